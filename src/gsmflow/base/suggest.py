"""Suggestions for a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 12  # names listed before the rest is only counted


def instead_of(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest known name, or the known ones.

    >>> instead_of("zerba", ["horse", "zebra"])
    "did you mean 'zebra'?"
    >>> instead_of("?", ["horse", "zebra"])
    'known: horse, zebra'
    """
    names = list(known)
    lower = {n.lower(): n for n in reversed(names)}
    near = difflib.get_close_matches(name.lower().strip(), lower, 1)
    return f"did you mean '{lower[near[0]]}'?" if near else f"known: {listed(names)}"


def listed(names: Iterable[str]) -> str:
    """Names with commas between them, the first dozen only.

    >>> listed(["a", "b"]), listed([])
    ('a, b', 'none')
    """
    all_names = list(names)
    rest = len(all_names) - _SHOWN
    return (", ".join(all_names[:_SHOWN]) or "none") + (f" and {rest} more" if rest > 0 else "")
