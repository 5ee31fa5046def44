"""What a reader should know first: classes never recognised, classes with similar semantics, unreliable measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.report.record import Record
from gsmflow.runs.joined_semantics import Describer

_SHOWN = 6  # most notices of a kind; the others are counted
_DIFFERING = 4  # most attributes named for a pair of classes
_ALIKE = 0.2  # fraction of the median distance between classes below which two classes are alike
_FEW_CLASSES = 10  # with fewer classes a mean over classes is unreliable


@dataclass(frozen=True)
class Difference:
    """An attribute in which two classes differ.

    Parameters
    ----------
    name : str
        The attribute's name.
    first, second : str
        Its value for the first and for the second class.
    """

    name: str
    first: str
    second: str


@dataclass(frozen=True)
class Notice:
    """A sentence at the top of the page.

    Parameters
    ----------
    kind : str
        Its topic, in a word or two.
    text : str
        The sentence.
    pair : tuple[str, str]
        The two classes that it is about; empty if it is about something else.
    differ : tuple[Difference, ...]
        How these two differ.
    """

    kind: str
    text: str
    pair: tuple[str, str] = ("", "")
    differ: tuple[Difference, ...] = ()


def notices(record: Record, called: dict[str, tuple[str, float, int]]) -> list[Notice]:
    """Everything that a reader should know first about a run, the most serious first.

    Parameters
    ----------
    record : Record
        The run.
    called : dict[str, tuple[str, float, int]]
        For each class the wrong label that its test samples get most often, their share, and their number in all.
    """
    recorded = sorted(_recorded(record), key=lambda notice: notice.kind != "better")
    items = [*recorded, *_never(record, called)]
    if not _nearly_never(record):  # the classes that are never recognised are told one by one
        items = [notice for notice in items if notice.kind != "missed"]
    if not any("twin" in notice.kind for notice in recorded):
        items += _twins(record)
    return items + _unreliable(record)


def _recorded(record: Record) -> list[Notice]:
    """The warnings that the run stored."""
    written = record.metrics.get("warnings")
    if not isinstance(written, list):
        return []
    objects: list[dict[str, Any]] = [each for each in written if isinstance(each, dict)]
    return [Notice(str(each.get("kind", "")), str(each["text"])) for each in objects if each.get("text")]


def _nearly_never(record: Record) -> bool:
    """Whether a seen class is recognised at times, and less than a tenth as often as the mean of them."""
    rates = [rate for name, rate in record.metrics["per_class"].items() if record.seen.get(name)]
    return any(0 < rate < np.mean(rates) / 10 for rate in rates)


def _never(record: Record, called: dict[str, tuple[str, float, int]]) -> list[Notice]:
    names = [name for name, rate in record.metrics["per_class"].items() if rate == 0]
    items = []
    for name in names[:_SHOWN]:
        text, other = f"{name} is never recognised", called.get(name)
        if other is None:
            items.append(Notice("never recognised", f"{text}."))
            continue
        taken_for, share, count = other
        part = "all" if share == 1 else f"{share:.0%}"
        samples = "its only test sample is" if count == 1 else f"{part} of its {count} test samples are"
        text = f"{text}: {samples} taken for {taken_for}."
        items.append(
            Notice("never recognised", text, (name, taken_for), differences(record, name, taken_for))
        )
    return items + _more(names, "never recognised", "classes are never recognised; the table has them.")


def _twins(record: Record) -> list[Notice]:
    """Pairs of classes whose semantics hardly differ, so that no method can distinguish them."""
    if record.semantics is None or len(record.semantics) < 3:
        return []
    scaled = _scaled(record.semantics)
    squares = (scaled**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * scaled @ scaled.T, 0))
    upper = np.triu_indices(len(distances), 1)
    near = distances[upper]
    close = np.flatnonzero(near < _ALIKE * float(np.median(near)))
    order = close[np.argsort(near[close], kind="stable")]
    names = list(record.seen)
    pairs = [(names[int(upper[0][i])], names[int(upper[1][i])]) for i in order]
    items = [
        Notice(
            "twins",
            f"{first} and {second} are described almost alike; give attributes in which they differ.",
            (first, second),
            differences(record, first, second),
        )
        for first, second in pairs[:_SHOWN]
    ]
    return items + _more(pairs, "twins", "pairs of classes are described almost alike.")


def _unreliable(record: Record) -> list[Notice]:
    """Measures of the shifts that are unreliable in this run."""
    shifts = record.shifts
    if not shifts:
        return []
    items, count = [], len(shifts["classes"])
    if shifts["semantic"].get("r2") is not None and count < _FEW_CLASSES:
        items.append(
            f"Recovered semantics (cosine, R²) are means over {count} classes: too few to compare runs by."
        )
    precision, real = (shifts["distribution"].get(key) for key in ("precision", "real_precision"))
    if precision == 0:
        against = f" (real ones get {real:.2f})" if real is not None else ""
        items.append(
            f"Precision is 0{against}: no synthetic sample lies among its class's real ones. This is common with few "
            "samples of many dimensions and says little; look at the widths and at recall."
        )
    return [Notice("measures", text) for text in items]


def _more(all_of_them: list[Any], kind: str, text: str) -> list[Notice]:
    left = len(all_of_them) - _SHOWN
    return [Notice(kind, f"{left} more {text}")] if left > 0 else []


def differences(record: Record, first: str, second: str) -> tuple[Difference, ...]:
    """The attributes in which two classes differ most, the largest difference first, in their own units.

    The dimensions of a text are none: their numbers say nothing to a reader.
    """
    names = list(record.seen)
    if record.semantics is None or first not in names or second not in names:
        return ()
    describer = Describer.of(record.folder, record.config, record.dimensions)
    by_hand = len(describer.by_hand)
    called, values = describer.own_of_all(record.semantics)
    called, values = called[:by_hand], _rounded(values[:, :by_hand])
    i, j = names.index(first), names.index(second)
    gap = np.abs(_scaled(values)[i] - _scaled(values)[j])
    order = np.argsort(-gap, kind="stable")[:_DIFFERING]
    return tuple(
        Difference(called[d], f"{values[i, d]:.3g}", f"{values[j, d]:.3g}")
        for d in order.tolist()
        if gap[d] > 0
    )


def _rounded(values: NDArray[Any]) -> NDArray[np.float64]:
    """Values (C, a) without what is left of rounding: in its own units again, a 0 of joined semantics is 2e-9."""
    largest = np.abs(values.astype(np.float64)).max(axis=0, initial=0)
    largest[largest == 0] = 1
    return np.round(values / largest, 5) * largest + 0.0


def _scaled(semantics: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Every dimension in units of its standard deviation over the classes."""
    values = semantics.astype(np.float64)
    spread = values.std(axis=0)
    return values / np.where(spread > 0, spread, 1)
