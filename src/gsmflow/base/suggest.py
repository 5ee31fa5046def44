"""Suggestions for a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 12  # names listed before the rest is only counted


def instead_of(name: str, known: Iterable[str], *, quote: str = "'") -> str:
    """The end of an error message: the nearest known name, or the known ones.

    Parameters
    ----------
    name : str
        What was asked for.
    known : Iterable[str]
        What there is.
    quote : str
        Put around the suggested name.

    Examples
    --------
    >>> instead_of("zerba", ["horse", "zebra"])
    "did you mean 'zebra'?"
    >>> instead_of("epoch", ["flow.epochs", "head.loss"])
    "did you mean 'flow.epochs'?"
    >>> instead_of("?", ["horse", "zebra"])
    'known: horse, zebra'
    """
    names = list(known)
    wanted = name.lower().strip()
    whole = {n.lower(): n for n in reversed(names)}
    ends = {n.rpartition(".")[2]: known for n, known in whole.items()}  # the option in table.option
    for spellings, asked in ((whole, wanted), (ends, wanted.rpartition(".")[2])):
        near = difflib.get_close_matches(asked, spellings, 1)
        if near:
            return f"did you mean {quote}{spellings[near[0]]}{quote}?"
    return f"known: {listed(names)}"


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known name that is written most like another, in any case; None if none is like it.

    Parameters
    ----------
    name : str
        What was written.
    known : Iterable[str]
        What there is.
    likeness : float
        How much alike they have to be, from 0 to 1, as difflib measures it.

    >>> nearest("Zebras", ["zebra", "horse"]), nearest("okapi", ["zebra", "horse"])
    ('zebra', None)
    """
    spellings = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), spellings, 1, likeness)
    return spellings[near[0]] if near else None


def listed(names: Iterable[str]) -> str:
    """Names with commas between them, the first dozen only.

    >>> listed(["a", "b"]), listed([])
    ('a, b', 'none')
    """
    all_names = list(names)
    rest = len(all_names) - _SHOWN
    return (", ".join(all_names[:_SHOWN]) or "none") + (f" and {rest} more" if rest > 0 else "")
