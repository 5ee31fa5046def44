"""Semantics that look like mistakes: a row of totals, a value far outside all others, an attribute that counts."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gsmflow.data.concern import Concern, count, some

_FAR = 10  # times the range of the other values of the attribute, and times all values of the other classes
MARKERS = (-1.0, -9.0, -99.0, -999.0, -9999.0)  # usual marks for missing values
_FEWEST = 5  # with fewer classes a range says little
_COUNTED = 8  # with fewer classes an attribute may count by chance
_TOTALS = re.compile(
    r"(grand |sub)?total(s|e)?|sum|summe|gesamt|mean|average|avg|mittelwert|durchschnitt|median|std|stdev|std\.? dev|"
    r"min|max|minimum|maximum|count|anzahl|somme|moyenne|media|promedio"
)


def slips(semantics: NDArray[np.floating], classes: Sequence[str], names: Sequence[str]) -> list[Concern]:
    """Warnings about single values of semantics (C, A), with the names of classes and attributes."""
    exact = np.asarray(semantics, dtype=np.float64)
    return [
        *_totals(classes),
        *_markers(exact, names),
        *_far(exact, classes, names),
        *_counting(exact, names),
    ]


def _markers(exact: NDArray[np.float64], names: Sequence[str]) -> list[Concern]:
    """Attributes that are -1, -99, -999 or the like for some classes and never below zero for the others."""
    told = []
    for column, name in enumerate(names):
        values = exact[:, column]
        marked = np.isin(values, MARKERS)
        others = values[~marked]
        one = len(np.unique(values[marked])) == 1 and len(others) > marked.sum() and others.min() >= 0
        if one and not np.isin(others, (0, 1)).all():  # -1, 0 and 1 may be real values
            told.append(f"{name} ({values[marked][0]:g} for {count(int(marked.sum()), 'class', 'classes')})")
    if not told:
        return []
    return [
        Concern(
            "marker",
            f"{count(len(told), 'attribute')} with a value that looks like a mark for missing ones: {some(told)}. "
            "It is taken as a number; fill the values in, or leave the attribute out.",
        )
    ]


def _totals(classes: Sequence[str]) -> list[Concern]:
    """A first or last class with a name that spreadsheets give to a row of totals."""
    ends = dict.fromkeys((classes[0], classes[-1])) if len(classes) > 2 else {}
    named = [name for name in ends if _TOTALS.fullmatch(name.casefold())]
    if not named:
        return []
    return [
        Concern(
            "totals",
            f"A class named {some(named)}: it looks like a row of totals, and counts as a class that samples may be "
            "taken for. Remove the row if it is one.",
        )
    ]


def _far(exact: NDArray[np.float64], classes: Sequence[str], names: Sequence[str]) -> list[Concern]:
    """Values far outside the range of all other classes, such as 85 among fractions below 1."""
    if len(exact) < _FEWEST:
        return []
    ordered = np.sort(exact, axis=0)
    largest = np.abs(exact).max(axis=1)
    first, second = np.sort(largest)[:-3:-1]
    of_others = np.where(largest == first, second, first)
    told = []
    for end, low, high in ((-1, ordered[0], ordered[-2]), (0, ordered[1], ordered[-1])):
        extreme = ordered[end]
        outside = extreme - high if end else low - extreme
        for column in np.flatnonzero((high > low) & (outside > _FAR * (high - low))).tolist():
            row = int(np.flatnonzero(exact[:, column] == extreme[column])[0])
            if abs(extreme[column]) <= _FAR * of_others[row]:
                continue
            told.append(
                f"{names[column]} of {classes[row]} is {extreme[column]:g}, of the others {low[column]:g} to "
                f"{high[column]:g}"
            )
    if not told:
        return []
    return [
        Concern(
            "far",
            f"{count(len(told), 'value')} far outside of all others: {some(told)}. Look for a slip, or for another "
            "unit; one such value outweighs all else that describes the class.",
        )
    ]


def _counting(exact: NDArray[np.float64], names: Sequence[str]) -> list[Concern]:
    """Attributes that count the classes in their order."""
    if len(exact) < _COUNTED:
        return []
    steps = np.diff(exact, axis=0)
    counts = (steps == steps[:1]).all(axis=0) & (np.abs(steps[0]) == 1)
    told = [names[column] for column in np.flatnonzero(counts).tolist()]
    if not told:
        return []
    return [
        Concern(
            "counting",
            f"{count(len(told), 'attribute')} that counts the classes in their order: {some(told)}. A number of the "
            "row describes nothing; leave it out.",
        )
    ]
