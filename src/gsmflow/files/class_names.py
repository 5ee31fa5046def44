"""Names of classes and of parts of a split, as different programs and people write them.

A name has one normal form, see [`normal`][gsmflow.files.class_names.normal]. Two names in normal form may still mean
the same class, if they differ only in case or in what separates their words.
[`matched`][gsmflow.files.class_names.matched] treats them as the same if only one class can be meant, and says so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import instead_of, listed
from gsmflow.files.column_names import INVISIBLE

_PARTS = {
    "train": "train training",
    "val": "val valid validation dev",
    "test": "test testing",
}
_PART_OF = {word: part for part, words in _PARTS.items() for word in words.split()}
_NUMBER = re.compile(r"(-?)(\d{1,15})(?:\.0*)?", re.ASCII)
_BETWEEN = re.compile(r"(?<=[^\W_])[\s_+-]+(?=[^\W_])")  # not at the ends: -1 is not 1


@dataclass(frozen=True)
class Matched:
    """Which classes some names mean.

    Parameters
    ----------
    index : tuple[int, ...]
        For each name, the index of its class.
    note : str
        Which names were not written exactly as their class, in a sentence; empty if all were.
    """

    index: tuple[int, ...]
    note: str


def normal(name: str) -> str:
    """A name in normal form: composed Unicode, single plain spaces, and no spaces around it.

    >>> normal("lo\\u0308we\\u00a0"), normal(" polar\\u00a0 bear")
    ('löwe', 'polar bear')
    """
    return " ".join(unicodedata.normalize("NFC", name).split())


def alike(name: str) -> str:
    """A form that names with the same meaning share: without case and invisible characters, with one space for ``_``,
    ``+``, ``-`` or spaces between words. A whole number, as data frames and spreadsheets write it, becomes its value.

    >>> alike("Grizzly+Bear") == alike("grizzly_bear"), alike("-1") == alike("1")
    (True, False)
    >>> alike("7.0") == alike("007") == alike("7"), alike("7.5")
    (True, '7.5')
    """
    said = _BETWEEN.sub(" ", normal(name.translate(INVISIBLE)).casefold())
    if number := _NUMBER.fullmatch(said):
        return f"{number[1]}{int(number[2])}"
    return said


def spoken(name: str) -> str:
    """A name as people say it: one space for ``_``, ``+``, ``-`` or spaces between words.

    >>> spoken("polar_bear"), spoken("Grizzly+Bear")
    ('polar bear', 'Grizzly Bear')
    """
    return _BETWEEN.sub(" ", normal(name.translate(INVISIBLE)))


def part(name: str) -> str | None:
    """The part of a split that a name stands for: ``train``, ``val`` or ``test``; None for other names.

    >>> part("Training"), part("valid"), part("dev"), part("TEST"), part("horse")
    ('train', 'val', 'val', 'test', None)
    """
    return _PART_OF.get(normal(name).casefold())


def clash(names: Sequence[str]) -> tuple[int, int] | None:
    """The indices of the first two names with the same normal form; None if all differ."""
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        if first.setdefault(normal(name), place) != place:
            return first[normal(name)], place
    return None


def matched(
    names: Sequence[str],
    classes: Sequence[str],
    where: Callable[[int], str],
    of: str,
    *,
    missing: str = "has no row in",
    otherwise: str = "add a row for it, or leave it out",
) -> Matched:
    """Find the class that each name means: the class with exactly that name, or the only class with a similar name.

    Parameters
    ----------
    names : Sequence[str]
        N names, of the labels of samples for example; they may repeat.
    classes : Sequence[str]
        C distinct names.
    where : Callable[[int], str]
        The place of a name, by its index, for messages.
    of : str
        Where the classes are listed, for messages.
    missing : str
        What a name without a class does, for messages, before `of`.
    otherwise : str
        What can be done about it if it is no slip of the pen.

    Raises
    ------
    InputError
        A name belongs to no class; or several classes have a similar name and none has exactly that name.
    """
    exact = {name: place for place, name in enumerate(classes)}
    of_normal: dict[str, list[int]] = {}
    of_alike: dict[str, list[int]] = {}
    for place, name in enumerate(classes):
        of_normal.setdefault(normal(name), []).append(place)
        of_alike.setdefault(alike(name), []).append(place)
    meant: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in meant:
            continue
        if name in exact:
            meant[name] = exact[name]
            continue
        possible = of_normal.get(normal(name)) or of_alike.get(alike(name), [])
        if not possible:
            others = _without(names[index + 1 :], name, of_normal, of_alike)
            more = f" (others: {listed(others)})" if others else ""
            hint = instead_of(name, tuple(classes))
            hint += " Otherwise " if hint.endswith("?") else "; "
            raise InputError(f"{where(index)} '{name}', which {missing} {of}{more}; {hint}{otherwise}")
        if len(possible) > 1:
            one, other = (classes[place] for place in possible[:2])
            raise InputError(
                f"{where(index)} '{name}', which may mean '{one}' or '{other}' in {of}; write it as one of them"
            )
        meant[name] = possible[0]
    changed = [
        f"'{_shown(name, classes[p])}' as '{classes[p]}'" for name, p in meant.items() if name != classes[p]
    ]
    note = f"{len(changed)} written otherwise than their class: {listed(changed)}" if changed else ""
    return Matched(tuple(meant[name] for name in names), note)


def _without(
    names: Sequence[str], but: str, of_normal: dict[str, list[int]], of_alike: dict[str, list[int]]
) -> list[str]:
    """The names of no class, each once, but for one of them."""
    return [
        f"'{name}'"
        for name in dict.fromkeys(names)
        if name != but and normal(name) not in of_normal and alike(name) not in of_alike
    ]


def _shown(name: str, other: str) -> str:
    """A name written so that people can distinguish it from another one that may look the same."""
    return ascii(name)[1:-1] if normal(name) == normal(other) or not name.isprintable() else name
