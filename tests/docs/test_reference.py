"""The reference as it is built: complete, readable, its links resolved."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import griffe
import pytest

ROOT = Path(__file__).parents[2]
# Pages beyond this are too long to look something up in: about ten screens.
MOST_CHARACTERS = 25_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, str]:
    """The main part of every page of the reference, by its path."""
    pages = {}
    for file in sorted((site / "reference").rglob("index.html")):
        main = re.search(r"<article.*?</article>", file.read_text(encoding="utf-8"), re.S)
        assert main, file
        pages[file.parent.relative_to(site).as_posix()] = main[0]
    return pages


@pytest.fixture(scope="module")
def package() -> griffe.Module:
    extensions = griffe.load_extensions(str(ROOT / "docs/hooks/docstrings.py"))
    loaded = griffe.load(
        "gsmflow", search_paths=[ROOT / "src"], extensions=extensions, docstring_parser="numpy"
    )
    assert isinstance(loaded, griffe.Module)
    return loaded


def _public(owner: griffe.Object) -> Iterator[griffe.Object]:
    """The owner, and what is defined in it under a public name, however deep."""
    yield owner
    for name, member in owner.members.items():
        if not member.is_alias and not name.startswith("_") and isinstance(member, griffe.Object):
            yield from _public(member)


def _text(markup: str) -> str:
    """What a reader sees, code left out."""
    without_code = re.sub(r"<(pre|code)\b.*?</\1>", " ", markup, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without_code)).split())


def _described(member: griffe.Object) -> dict[str, str]:
    """Description by name, of all parameters and attributes that a docstring lists."""
    kinds = (griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes)
    sections = member.docstring.parsed if member.docstring else []
    return {item.name: item.description for s in sections if s.kind in kinds for item in s.value}


def _is_field(member: griffe.Attribute) -> bool:
    """Whether a member of a dataclass is one of its fields, and not a constant of the class."""
    of_class = "class-attribute" in member.labels and "instance-attribute" not in member.labels
    return member.annotation is not None and "property" not in member.labels and not of_class


def test_every_public_module_class_and_function_has_a_docstring(package: griffe.Module) -> None:
    kinds = (griffe.Kind.MODULE, griffe.Kind.CLASS, griffe.Kind.FUNCTION)
    checked = [m for m in _public(package) if m.kind in kinds or "property" in m.labels]
    assert len(checked) > 500
    assert not [m.path for m in checked if m.docstring is None or not m.docstring.value.strip()]


def test_every_field_of_a_dataclass_is_described(package: griffe.Module) -> None:
    missing, checked = [], 0
    for cls in _public(package):
        if isinstance(cls, griffe.Class) and "dataclass" in cls.labels:
            described = _described(cls)
            for member in cls.members.values():
                if (
                    not member.name.startswith("_")
                    and isinstance(member, griffe.Attribute)
                    and _is_field(member)
                ):
                    checked += 1
                    if not described.get(member.name, "").strip() and member.docstring is None:
                        missing.append(member.path)
    assert checked > 300
    assert not missing


def test_every_parameter_is_described_where_one_is(package: griffe.Module) -> None:
    missing = []
    for member in _public(package):
        if isinstance(member, griffe.Function) and (described := _described(member)):
            names = [p.name for p in member.parameters if p.name not in ("self", "cls")]
            missing += [
                f"{member.path}({name})"
                for name in names
                if name.lstrip("*") not in {d.lstrip("*") for d in described}
            ]
    assert not missing


def test_every_public_name_is_on_a_page(package: griffe.Module, pages: dict[str, str]) -> None:
    anchors = {name for page in pages.values() for name in re.findall(r'\bid="([^"]+)"', page)}
    kinds = (griffe.Kind.MODULE, griffe.Kind.CLASS, griffe.Kind.FUNCTION)
    missing = [m.path for m in _public(package) if m.kind in kinds and m.path not in anchors]
    assert not [path for path in missing if ".__main__" not in path]


def test_a_page_a_method(pages: dict[str, str]) -> None:
    from gsmflow.methods import method_names

    for name in method_names():
        assert f"reference/methods/{name.replace('-', '_')}" in pages


def test_no_description_is_empty(pages: dict[str, str]) -> None:
    empty = []
    for path, page in pages.items():
        for row in re.findall(r"<tr\b.*?</tr>", page, re.S):
            cells = re.findall(r"<td\b[^>]*>(.*?)</td>", row, re.S)
            if any(not re.sub(r"<[^>]+>|\s", "", cell) for cell in cells):
                empty.append(f"{path}: {' '.join(re.sub(r'<[^>]+>', ' ', row).split())}")
    assert not empty


def test_descriptions_are_whole_sentences(package: griffe.Module) -> None:
    broken = []
    for member in _public(package):
        for section in member.docstring.parsed if member.docstring else []:
            if isinstance(section.value, list):
                for item in section.value:
                    text = getattr(item, "description", ".").strip()
                    if not re.search(r"[.!?:)`|\]]$", text) or re.match(r"(Of|As|From|With|By|To|In) ", text):
                        broken.append(f"{member.path}, {getattr(item, 'name', section.kind.value)}: {text}")
    assert not broken


def test_arrays_have_shapes(package: griffe.Module) -> None:
    """What returns an array or a tensor says its shape in brackets."""
    missing, checked = [], 0
    for member in _public(package):
        returned = member.returns if isinstance(member, griffe.Function) else None
        if "property" in member.labels and isinstance(member, griffe.Attribute):
            returned = member.annotation
        if re.search("Tensor|NDArray", str(returned)) and not re.search("dict|Mapping", str(returned)):
            checked += 1
            text = member.docstring.value if member.docstring else ""
            if not re.search(r"\([\w ,*|()\[\]+.-]*\)", text):
                missing.append(member.path)
    assert checked > 100
    assert not missing


def test_summaries_are_whole_sentences(package: griffe.Module) -> None:
    """What stands in tables of modules, classes and functions is one paragraph that ends."""
    broken = []
    for member in _public(package):
        if member.docstring:
            first = member.docstring.value.strip().split("\n\n")[0]
            if not re.search(r"[.!?:)`]$", first) or "\n---" in first:
                broken.append(f"{member.path}: {first}")
    assert not broken


def test_tables_have_whole_sentences(pages: dict[str, str]) -> None:
    cut = []
    for path, page in pages.items():
        for cell in re.findall(r'<div class="doc-md-description">(.*?)</div>', page, re.S):
            text = html.unescape(re.sub(r"<[^>]+>", "", cell)).strip()
            if not re.search(r"[.!?:)`|\]]$", text) and text[-1:].isalnum() and " " in text:
                cut.append(f"{path}: {text}")
    assert not cut


def test_no_markup_of_another_kind_is_left(pages: dict[str, str]) -> None:
    for path, page in pages.items():
        text = _text(page)
        assert not re.search(r":(class|func|meth|mod|attr|data|exc|ref|obj|doc|math):", text), path
        assert not re.search(r"\]\s*\[[\w.]*\]", text), path
        assert "::" not in text, path
        assert "``" not in text, path
        assert "===" not in text, path


def test_signatures_are_broken_into_lines_and_not_cut_off(pages: dict[str, str]) -> None:
    for path, page in pages.items():
        for block in re.findall(r'<div class="[^"]*doc-signature[^"]*">.*?</div>', page, re.S):
            lines = html.unescape(re.sub(r"<[^>]+>", "", block)).splitlines()
            assert max(len(line) for line in lines) <= 105, (path, max(lines, key=len))


def test_no_page_is_too_long_to_look_something_up(pages: dict[str, str]) -> None:
    lengths = {path: len(re.sub(r"<[^>]+>", "", page)) for path, page in pages.items()}
    assert max(lengths.values()) < MOST_CHARACTERS, max(lengths, key=lambda path: lengths[path])


def test_no_markdown_is_left_as_it_was_written(site: Path) -> None:
    """A list or heading right below a paragraph becomes part of it."""
    mark = re.compile(r"^\s*([-*] |#{1,6} |\d\. ).*|\|\s*:?-{3,}", re.MULTILINE)
    raw = {}
    for file in sorted(site.rglob("index.html")):
        main = re.search(r"<article.*?</article>", file.read_text(encoding="utf-8"), re.DOTALL)
        text = re.sub(r"<(pre|code)\b.*?</\1>", "CODE", main[0] if main else "", flags=re.DOTALL)
        paragraphs = re.findall(r"<(?:p|td|li)[^>]*>(.*?)</(?:p|td|li)>", text, re.DOTALL)
        lines = [line[0] for each in paragraphs if (line := mark.search(re.sub(r"<[^>]+>", "", each)))]
        raw |= {file.parent.relative_to(site).as_posix(): lines} if lines else {}
    assert not raw
