"""Warnings: things that look wrong but are not errors, and listing several of one kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

_SHOWN = 5  # listed one by one


@dataclass(frozen=True)
class Concern:
    """Something that a person should look at.

    Parameters
    ----------
    kind : str
        The kind in ``metrics.json``, a word or two; ``docs/data.md`` lists them.
    text : str
        The warning, a sentence or two.
    """

    kind: str
    text: str

    def to_dict(self) -> dict[str, str]:
        """The entry in ``metrics.json``."""
        return asdict(self)


def count(number: int, one: str, several: str = "") -> str:
    """A number with its noun.

    >>> count(1, "pair"), count(2, "class", "classes")
    ('1 pair', '2 classes')
    """
    return f"{number} {one if number == 1 else several or one + 's'}"


def some(told: Sequence[str]) -> str:
    """The first few entries of a list, and how many more there are.

    >>> some(["a", "b"]), some(list("abcdefgh"))
    ('a, b', 'a, b, c, d, e and 3 more')
    """
    more = len(told) - _SHOWN
    return ", ".join(told[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
