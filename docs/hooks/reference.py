"""The pages of the reference: one page a public module, made from the source tree, so that none is forgotten.

A hook of mkdocs. Rooms come in the order of `ROOMS`, what others' programs use first; a room that is missing there
comes last.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PACKAGE = "gsmflow"
# From what a program outside the package uses to what only the package itself does.
ROOMS = (
    "estimator",
    "methods",
    "data",
    "sources",
    "heads",
    "learning",
    "protocol",
    "recipes",
    "runs",
    "scores",
    "flow",
    "images",
    "semantics",
    "studies",
    "report",
    "serve",
    "files",
    "compute",
    "base",
    "cli",
)


@dataclass(frozen=True)
class Module:
    """A public module: its dotted name, its page, the first sentence of its docstring.

    `own` are the public names that are defined in it, `others` the names that it takes from other modules and
    offers as its own (in `__all__`), with the modules they come from. A name is described on one page only.
    """

    name: str
    page: str
    summary: str
    own: tuple[str, ...]
    others: dict[str, str]


def _summary(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def _offered(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def _module(name: str, page: str, file: Path) -> Module:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    own = [node.name for node in tree.body if isinstance(node, definitions) and not node.name.startswith("_")]
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    origins = {alias.asname or alias.name: str(node.module) for node in imports for alias in node.names}
    others = {name: origins[name] for name in _offered(tree) if name in origins and not name.startswith("_")}
    return Module(name, page, _summary(ast.get_docstring(tree)), tuple(own), others)


def public_modules(source: Path) -> list[Module]:
    """Every module of the package without a part that begins with an underscore, rooms before their modules."""
    modules = []
    for file in sorted(source.rglob("*.py")):
        parts = file.relative_to(source).with_suffix("").parts
        package = parts[-1] == "__init__"
        parts = parts[:-1] if package else parts
        if any(part.startswith("_") for part in parts):
            continue
        page = "/".join((*parts, "index.md")) if package else "/".join(parts) + ".md"
        modules.append(_module(".".join((PACKAGE, *parts)), f"reference/{page}", file))
    return sorted(modules, key=lambda module: (_place(module), module.name))


def _place(module: Module) -> int:
    room = module.name.split(".")[1] if "." in module.name else ""
    if not room:
        return -1
    return ROOMS.index(room) if room in ROOMS else len(ROOMS)


def _children(module: Module, modules: list[Module]) -> list[Module]:
    depth = module.name.count(".") + 1
    return [m for m in modules if m.name.startswith(f"{module.name}.") and m.name.count(".") == depth]


def _text(module: Module, modules: list[Module]) -> str:
    """A page: the module's docstring and own names; for a room also what it offers, and its modules."""
    children = _children(module, modules)
    if not children:
        return f"::: {module.name}\n"
    members = json.dumps(module.own) if module.own else "false"
    lines = [f"::: {module.name}", "    options:", f"      members: {members}", ""]
    if module.others:
        lines += ["| also found here | from |", "| --- | --- |"]
        lines += [
            f"| [`{name}`][{origin}.{name}] | [`{origin}`][{origin}] |"
            for name, origin in module.others.items()
        ]
        lines += [""]
    if module.name != PACKAGE:
        lines += ["| module | |", "| --- | --- |"]
        lines += [
            f"| [`{m.name.rsplit('.', 1)[1]}`][{m.name}] | {m.summary.replace('|', '&#124;')} |"
            for m in children
        ]
    return "\n".join(lines) + "\n"


def _entry(module: Module, modules: list[Module]) -> dict[str, object]:
    title = module.name.rsplit(".", 1)[1]
    children = _children(module, modules)
    if not children:
        return {title: module.page}
    return {title: [module.page, *(_entry(child, modules) for child in children)]}


def _source(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent / "src" / PACKAGE


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put all modules under the navigation's entry "Reference", after the pages that are written by hand."""
    modules = public_modules(_source(config))
    for entry in config.nav:
        if "Reference" in entry:
            top = [m for m in modules if m.name.count(".") == 1]
            entry["Reference"] = [*entry["Reference"], {PACKAGE: f"reference/{PACKAGE}.md"}]
            entry["Reference"] += [_entry(module, modules) for module in top]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every public module."""
    modules = public_modules(_source(config))
    for module in modules:
        page = f"reference/{PACKAGE}.md" if module.name == PACKAGE else module.page
        files.append(File.generated(config, page, content=_text(module, modules)))
    return files


def on_page_markdown(markdown: str, page: object, config: MkDocsConfig, files: Files) -> str:
    """Append the table of rooms to the reference's first page."""
    if page.file.src_uri != "reference/index.md":  # type: ignore[attr-defined]
        return markdown
    lines = ["", "| room | |", "| --- | --- |"]
    rooms = [m for m in public_modules(_source(config)) if m.name.count(".") == 1]
    lines += [f"| [`{room.name.rsplit('.', 1)[1]}`][{room.name}] | {room.summary} |" for room in rooms]
    return markdown + "\n".join(lines) + "\n"
