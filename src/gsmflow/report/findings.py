"""The results that a report shows of a run, computed from its classifier, its history and its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.report.record import Record
from gsmflow.scores.gzsl import SeenUnseenCurve, curve_on

_CURVE_POINTS = 250
_CONFUSED = 12  # most classes in the confusion picture
_PAIRS = 20  # most rows of its table


@dataclass(frozen=True)
class Curve:
    """The seen-unseen curve with few points, and the place of the classifier on it. All values are in [0, 1].

    Parameters
    ----------
    unseen : list[float]
        Accuracy on unseen classes at each point.
    seen : list[float]
        Accuracy on seen classes at each point.
    area : float
        Area under the whole curve (AUSUC).
    at : tuple[float, float]
        (unseen, seen) of the classifier itself.
    """

    unseen: list[float]
    seen: list[float]
    area: float
    at: tuple[float, float]


@dataclass(frozen=True)
class Confusion:
    """How test samples of the most confused classes are labelled.

    Parameters
    ----------
    classes : list[str]
        K names.
    rates : list[list[float]]
        (K, K) fractions of the samples of each true class (row) that got each label (column). Samples missing
        in a row got other labels.
    pairs : list[tuple[str, str, float, int]]
        (true class, given class, fraction, number of samples) of all classes, the worst first.
    """

    classes: list[str]
    rates: list[list[float]]
    pairs: list[tuple[str, str, float, int]]


@dataclass(frozen=True)
class Stage:
    """A stage of training.

    Parameters
    ----------
    name : str
        Its name in the history.
    losses : dict[str, tuple[list[int], list[float]]]
        The steps of each loss and its values there, by name.
    scores : dict[str, tuple[list[int], list[float]]]
        The steps of each validation score and its values there, by name.
    ends : int
        Its last step.
    """

    name: str
    losses: dict[str, tuple[list[int], list[float]]]
    scores: dict[str, tuple[list[int], list[float]]]
    ends: int


def curve(record: Record) -> Curve | None:
    """The curve on the test set; None without data, or without test samples of one kind."""
    problem = record.problem
    if problem is None or not len(problem.test_seen) or not len(problem.test_unseen):
        return None
    whole = curve_on(problem, record.classifier.logits)
    corners = _thinned(whole)
    return Curve(
        [round(float(v), 5) for v in whole.unseen[corners]],
        [round(float(v), 5) for v in whole.seen[corners]],
        whole.area,
        whole.at(0.0),
    )


def _thinned(whole: SeenUnseenCurve) -> NDArray[np.int64]:
    """Corners at about equal distances along the curve, including both ends."""
    along = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(whole.unseen)) + np.abs(np.diff(whole.seen)))))
    places = np.searchsorted(along, np.linspace(0, along[-1], _CURVE_POINTS))
    return np.unique(np.append(places, [0, len(along) - 1]))


def _counts(record: Record) -> NDArray[np.int64] | None:
    """(C, C) numbers of test samples by true class and given label; None without data or test samples."""
    problem = record.problem
    if problem is None:
        return None
    test = np.concatenate((problem.test_seen, problem.test_unseen))
    if not len(test):
        return None
    count = len(problem.classes)
    given = np.concatenate(
        [
            record.classifier.logits(problem.features[part]).argmax(axis=1)
            for part in np.array_split(test, max(1, len(test) // 4096))
        ]
    )
    pairs = problem.labels[test] * count + given
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


def taken_for(record: Record) -> dict[str, tuple[str, float, int]]:
    """For each class the wrong label that its test samples get most often, their share, and their number in all."""
    never = [name for name, rate in record.metrics["per_class"].items() if rate == 0]
    counts = _counts(record) if never else None
    if counts is None or record.problem is None:
        return {}
    names = record.problem.classes
    mistaken = {}
    for name in never:
        row = counts[names.index(name)] if name in names else np.zeros(0)
        if row.sum():
            other = int(row.argmax())
            mistaken[name] = (names[other], float(row[other] / row.sum()), int(row.sum()))
    return mistaken


def confusion(record: Record) -> Confusion | None:
    """The worst confusions on the test set; None without data or test samples."""
    problem, counts = record.problem, _counts(record)
    if problem is None or counts is None:
        return None
    count = len(problem.classes)
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = rates.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")
    true, label = np.unravel_index(order[: count * count], wrong.shape)
    names, chosen = problem.classes, list[int]()
    pairs: list[tuple[str, str, float, int]] = []
    for i, j in zip(true.tolist(), label.tolist(), strict=True):
        if not counts[i, j] or wrong[i, j] == 0:
            break
        if len(pairs) < _PAIRS:
            pairs.append((names[i], names[j], float(rates[i, j]), int(counts[i, j])))
        fresh = [c for c in dict.fromkeys((i, j)) if c not in chosen]
        if len(chosen) + len(fresh) <= _CONFUSED:
            chosen += fresh
        if len(chosen) >= _CONFUSED - 1 and len(pairs) >= _PAIRS:
            break
    shown = _grouped(chosen, wrong)
    return Confusion(
        [names[c] for c in shown],
        [[round(float(v), 4) for v in rates[c, shown]] for c in shown],
        pairs,
    )


def _grouped(chosen: list[int], wrong: NDArray[np.float64]) -> list[int]:
    """The classes in an order that puts those confused with each other side by side, so that the picture
    shows blocks.
    """
    left, shown = list(chosen), list[int]()
    while left:
        if not shown:
            shown.append(left.pop(0))
            continue
        near = max(left, key=lambda c: wrong[c, shown[-1]] + wrong[shown[-1], c])
        left.remove(near)
        shown.append(near)
    return shown


def stages(record: Record) -> list[Stage]:
    """The stages of a run's training, read from its history."""
    names = list(dict.fromkeys(entry["stage"] for entry in record.history))
    stages_of_run = []
    for name in names:
        entries = [entry for entry in record.history if entry["stage"] == name]
        losses = {key for entry in entries for key in entry if key.startswith("loss")}
        scored = [entry for entry in entries if isinstance(entry.get("scores"), dict)]
        keys = dict.fromkeys(key for entry in scored for key in entry["scores"])
        stages_of_run.append(
            Stage(
                name,
                {
                    loss: _points([(e["step"], e[loss]) for e in entries if loss in e])
                    for loss in sorted(losses)
                },
                {key: _points([(e["step"], e["scores"].get(key)) for e in scored]) for key in keys},
                max(entry["step"] for entry in entries),
            )
        )
    return stages_of_run


def _points(pairs: list[tuple[int, Any]]) -> tuple[list[int], list[float]]:
    numbers = [(step, float(value)) for step, value in pairs if isinstance(value, (int, float))]
    return [step for step, _ in numbers], [round(value, 6) for _, value in numbers]


def is_final(name: str) -> bool:
    """Whether a stage is a training on all training data, of the run or of a member."""
    return name.rpartition(", ")[2] == "final"


def stage_title(name: str) -> str:
    """The name of a stage in the report."""
    if name == "final":
        return "all training data"
    member, _, rest = name.rpartition(", ")
    if member:
        return f"{member}, {stage_title(rest)}"
    number = name.removeprefix("validation").strip()
    return f"validation problem {number}" if number else "validation problem"


def test_counts(record: Record) -> dict[str, int]:
    """Number of test samples by class name; empty without data."""
    problem = record.problem
    if problem is None:
        return {}
    test = np.concatenate((problem.test_seen, problem.test_unseen))
    counts = np.bincount(problem.labels[test], minlength=len(problem.classes))
    return {name: int(counts[index]) for index, name in enumerate(problem.classes)}
