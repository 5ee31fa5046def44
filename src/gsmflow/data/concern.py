"""Something that looks wrong and yet is no error, and how several of a kind are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

_SHOWN = 5  # told one by one


@dataclass(frozen=True)
class Concern:
    """Something that a person should look at.

    Parameters
    ----------
    kind : str
        A word or two that stands in ``metrics.json``; ``docs/data.md`` lists them.
    text : str
        A sentence or two for people.
    """

    kind: str
    text: str

    def to_dict(self) -> dict[str, str]:
        """As it stands in ``metrics.json``."""
        return asdict(self)


def count(number: int, one: str, several: str = "") -> str:
    """How many, in words.

    >>> count(1, "pair"), count(2, "class", "classes")
    ('1 pair', '2 classes')
    """
    return f"{number} {one if number == 1 else several or one + 's'}"


def some(told: Sequence[str]) -> str:
    """The first few of what is told, and how many more there are.

    >>> some(["a", "b"]), some(list("abcdefgh"))
    ('a, b', 'a, b, c, d, e and 3 more')
    """
    more = len(told) - _SHOWN
    return ", ".join(told[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
