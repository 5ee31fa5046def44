"""Classes that are described by their names alone: sentences from prompt templates.

A template is a sentence with ``{}`` in the place of the name. The unit vectors of all sentences are averaged
([`averaged`][gsmflow.semantics.sentences.averaged]), as Radford et al. (ICML 2021) do for CLIP: the mean depends less
on the wording of a sentence and more on the class.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.files.class_names import alike, normal, spoken
from gsmflow.files.missing import unreadable

TEMPLATES = (
    "a photo of a {}.",
    "a close-up photo of a {}.",
    "a photo of the {}.",
    "a picture of a {}.",
    "a photo of one {}.",
    "a good photo of a {}.",
    "{}",
)
_PLACE = "{}"


def check_templates(templates: Sequence[str]) -> None:
    """Refuse templates without a place for the name.

    Raises
    ------
    InputError
        A template has none.
    """
    for template in templates:
        if _PLACE not in template:
            raise InputError(
                f"'{template}': has no {{}} in the place of the name; write it such as 'a drawing of a {{}}'",
                parameter="template",
            )


def sentences_of(name: str, templates: Sequence[str] = TEMPLATES) -> tuple[str, ...]:
    """The sentences about a class: its name, with spaces for ``_``, ``+`` and ``-``, in each template.

    >>> sentences_of("polar_bear", ["a photo of a {}."]), sentences_of("okapi", ["a {}", "the {}"])
    (('a photo of a polar bear.',), ('an okapi', 'the okapi'))
    """
    said = spoken(name)
    article = "an" if said[:1].casefold() in tuple("aeiou") else "a"
    return tuple(
        re.sub(r"\b([aA])n? \{\}", lambda m: f"{m[1]}{article[1:]} {{}}", each).replace(_PLACE, said)
        for each in templates
    )


def united(*lists: Iterable[str]) -> tuple[str, ...]:
    """All names of several lists in order, in normal form, each once; names that differ only in writing are the same.

    >>> united(["polar bear", "fox"], ["Fox", "Polar_bear", "okapi"])
    ('polar bear', 'fox', 'okapi')
    """
    first: dict[str, str] = {}
    for name in (normal(each) for names in lists for each in names):
        if name:
            first.setdefault(alike(name), name)
    return tuple(first.values())


def split_names(text: str) -> tuple[str, ...]:
    """The names in ``zebra,okapi``.

    Raises
    ------
    InputError
        A name is empty or occurs twice.
    """
    names = [normal(each) for each in text.split(",")]
    if "" in names:
        raise InputError(f"{text}: a name is empty; write them as zebra,okapi", parameter="classes")
    if len(united(names)) < len(names):
        raise InputError(f"{text}: the same class twice; remove one", parameter="classes")
    return tuple(names)


def _refuse_lists(path: Path, lines: Sequence[str]) -> None:
    """Refuse comments, lists, and several names in one line.

    Raises
    ------
    InputError
        There is such a line; the message names it.
    """
    said = {number: line.strip() for number, line in enumerate(lines, 1) if line.strip()}
    for number, line in said.items():
        if re.match(r"#\s", line):
            raise InputError(f"{path}: line {number} begins with #; leave comments out, one name a line")
    if said and all(re.match(r"[-*\u2022]\s|\d+[.)]\s", line) for line in said.values()):
        raise InputError(
            f"{path}: its lines are items of a list ('{next(iter(said.values()))[:40]}'); write names alone"
        )
    if len(said) == 1 and re.search(r"[,;\t]", next(iter(said.values()))):
        raise InputError(f"{path}: holds one line with several names; write one name a line")


def read_lines(path: Path) -> tuple[str, ...]:
    """The names in a text file, one a line; blank lines do not count.

    Raises
    ------
    InputError
        The file cannot be read, is not UTF-8, is empty, or names a class twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise unreadable(path, error) from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; save it as UTF-8, one name a line") from None
    first: dict[str, int] = {}
    _refuse_lists(path, lines)
    for number, line in enumerate(lines, 1):
        name = normal(line)
        if name and first.setdefault(alike(name), number) != number:
            raise InputError(
                f"{path}: line {first[alike(name)]} and line {number} both name '{name}'; remove one"
            )
    if not first:
        raise InputError(f"{path}: no names in it; write one class a line")
    return tuple(normal(line) for line in lines if normal(line))
