"""How many samples got each class, and how many of them are unsure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_UNSURE = 0.5  # the best class's probability below which a sample is unsure, where the person says nothing
_SHOWN = 40  # classes told one by one


class ClassCounts:
    """Counts labels in tables that come part by part.

    Parameters
    ----------
    unsure : float | None
        Probability of the best class below which a sample is unsure; None: 0.5.
    """

    def __init__(self, unsure: float | None) -> None:
        self._bound = _UNSURE if unsure is None else unsure
        self._all: Counter[str] = Counter()
        self._unsure: Counter[str] = Counter()
        self._unseen: set[str] = set()

    def add(self, table: pl.DataFrame) -> None:
        """Count the rows of a table with columns ``class``, ``unseen_class`` and ``probability``."""
        self._all.update(table["class"].to_list())
        self._unsure.update(table.filter(table["probability"] < self._bound)["class"].to_list())
        self._unseen.update(table.filter(table["unseen_class"])["class"].unique().to_list())

    def lines(self) -> Iterator[str]:
        """One line a class, the most frequent first, and a line on how many samples are unsure."""
        ranked = sorted(self._all.items(), key=lambda pair: (-pair[1], pair[0]))
        width = max((len(name) for name, _ in ranked[:_SHOWN]), default=0)
        for name, count in ranked[:_SHOWN]:
            unsure = f", {self._unsure[name]} unsure" if self._unsure[name] else ""
            unseen = ", unseen class" if name in self._unseen else ""
            yield f"  {name:{width}}  {count}{unsure}{unseen}"
        if len(ranked) > _SHOWN:
            yield f"  and {len(ranked) - _SHOWN} classes more"
        total = self._unsure.total()
        yield f"{total} of {self._all.total()} unsure (probability below {self._bound:g})"
