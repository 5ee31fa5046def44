"""The field's scores: U, S, H and T1 (Xian et al., TPAMI 2018) and AUSUC (Chao et al., ECCV 2016).

All accuracies are top-1, averaged over classes, as fractions. A score without samples to compute it from (for
example, no test samples of unseen classes) is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsmflow.data.problem import Problem

Logits = Callable[[NDArray[np.float32]], ArrayLike]
"""Features (N, D) to logits (N, C), one a class of the problem."""

SCORES = ("U", "S", "H", "T1", "AUSUC")
"""Names of all scores of a classifier on a test set, in the order of tables."""
GZSL_SCORES = ("U", "S", "H")
"""Names of the scores of generalized zero-shot learning alone."""
CURVE_SCORES = (*GZSL_SCORES, "AUSUC")
"""Names of the scores that follow from the seen-unseen curve; choices are made by them."""

_LOGITS = 1 << 22  # in memory at once


@dataclass(frozen=True)
class Scores:
    """Scores of one classifier on one test set.

    Parameters
    ----------
    U, S : float
        Accuracy of unseen (U) and of seen (S) test samples among all classes.
    H : float
        Their harmonic mean.
    T1 : float
        Accuracy of unseen test samples among unseen classes alone.
    AUSUC : float
        Area under the seen-unseen curve.
    per_class : dict[str, float]
        GZSL accuracy of every class with test samples, by name.
    """

    U: float
    S: float
    H: float
    T1: float
    AUSUC: float
    per_class: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with None for NaN."""
        scores = {name: getattr(self, name) for name in SCORES}
        plain = {name: value if np.isfinite(value) else None for name, value in scores.items()}
        return {**plain, "per_class": self.per_class}


@dataclass(frozen=True)
class SeenUnseenCurve:
    """Accuracies as one bias added to the unseen logits goes from -inf to +inf.

    Parameters
    ----------
    bias : NDArray[np.float64]
        (M,) ascending, finite.
    seen, unseen : NDArray[np.float64]
        (M + 1,) accuracies. Entry i is for biases between bias[i - 1] and bias[i]; the first entry is for
        -inf, the last for +inf.
    """

    bias: NDArray[np.float64]
    seen: NDArray[np.float64]
    unseen: NDArray[np.float64]

    @property
    def area(self) -> float:
        """AUSUC, by the trapezoid rule over the curve's corners; in [0, 1], NaN where one side has no samples."""
        if np.isnan(self.seen).any() or np.isnan(self.unseen).any():
            return float("nan")
        return float(np.trapezoid(self.seen, self.unseen))

    def at(self, bias: float) -> tuple[float, float]:
        """(unseen, seen) accuracy with this bias; in a tie a sample counts as seen."""
        index = int(np.searchsorted(self.bias, bias, side="left"))
        return float(self.unseen[index]), float(self.seen[index])


@dataclass(frozen=True)
class Summary:
    """What the curve needs to know about each test sample. Summaries of the parts of a test set can be joined.

    Parameters
    ----------
    margin : NDArray[np.float64]
        (N,) best seen minus best unseen logit: with a larger bias the sample is called unseen.
    as_seen, as_unseen : NDArray[np.bool_]
        (N,) whether the best class of that kind is the right one.
    labels : NDArray[np.int64]
        (N,) the true class.
    """

    margin: NDArray[np.float64]
    as_seen: NDArray[np.bool_]
    as_unseen: NDArray[np.bool_]
    labels: NDArray[np.int64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) whether the best class is the right one; in a tie a seen class wins, as on the curve."""
        return np.where(self.margin >= 0, self.as_seen, self.as_unseen)

    @staticmethod
    def of(logits: ArrayLike, labels: NDArray[np.int64], unseen: NDArray[np.int64]) -> Summary:
        """Summarize logits (N, C); of equal logits the first class counts."""
        values = np.asarray(logits, dtype=np.float64)
        rows = np.arange(len(values))
        seen = np.setdiff1d(np.arange(values.shape[1]), unseen)
        never = np.zeros(len(values), dtype=bool)
        if not len(seen):
            best_unseen = values.argmax(axis=1)
            return Summary(np.full(len(values), -np.inf), never, best_unseen == labels, labels)
        best_seen = seen[values[:, seen].argmax(axis=1)]
        if not len(unseen):
            return Summary(np.full(len(values), np.inf), best_seen == labels, never, labels)
        best_unseen = unseen[values[:, unseen].argmax(axis=1)]
        margin = values[rows, best_seen] - values[rows, best_unseen]
        return Summary(margin, best_seen == labels, best_unseen == labels, labels)

    @staticmethod
    def join(parts: Sequence[Summary]) -> Summary:
        """The summary of the samples of all parts, in order."""
        return Summary(
            np.concatenate([p.margin for p in parts]),
            np.concatenate([p.as_seen for p in parts]),
            np.concatenate([p.as_unseen for p in parts]),
            np.concatenate([p.labels for p in parts]),
        )


def per_class_accuracy(
    correct: NDArray[np.bool_], labels: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """Fraction of correct samples of each class, (C,); NaN for a class without samples.

    >>> per_class_accuracy(np.array([True, False, True]), np.array([0, 0, 2]), 3)
    array([0.5, nan, 1. ])
    """
    count = np.bincount(labels, minlength=classes).astype(np.float64)
    right = np.bincount(labels, weights=correct.astype(np.float64), minlength=classes)
    return np.divide(right, count, out=np.full(classes, np.nan), where=count > 0)


def class_mean(correct: NDArray[np.bool_], labels: NDArray[np.int64]) -> float:
    """Accuracy averaged over the classes that have samples (balanced accuracy); NaN without samples."""
    if not len(labels):
        return float("nan")
    return float(np.nanmean(per_class_accuracy(correct, labels, int(labels.max()) + 1)))


def harmonic_mean(unseen: float, seen: float) -> float:
    """H = 2 U S / (U + S); 0 where both are 0.

    >>> round(harmonic_mean(0.5, 1.0), 4), harmonic_mean(0.0, 0.0)
    (0.6667, 0.0)
    """
    return 2 * unseen * seen / (unseen + seen) if unseen + seen != 0 else 0.0


def seen_unseen_curve(of_seen: Summary, of_unseen: Summary) -> SeenUnseenCurve:
    """The exact curve from the summaries of the seen and of the unseen test samples.

    Every margin is a corner of the curve: there one more sample is called unseen. Samples with equal margins
    make one corner, so that the curve does not depend on their order.
    """
    margins = np.concatenate((of_seen.margin, of_unseen.margin))
    lost = np.concatenate((_weights(of_seen.labels) * of_seen.as_seen, np.zeros(len(of_unseen.labels))))
    gained = np.concatenate((np.zeros(len(of_seen.labels)), _weights(of_unseen.labels) * of_unseen.as_unseen))
    reached = np.isfinite(margins)
    corners, place = np.unique(margins[reached], return_inverse=True)
    steps_lost = np.bincount(place, weights=lost[reached], minlength=len(corners))
    steps_gained = np.bincount(place, weights=gained[reached], minlength=len(corners))
    seen = lost.sum() - np.concatenate(([0.0], np.cumsum(steps_lost)))
    unseen = np.concatenate(([0.0], np.cumsum(steps_gained)))
    nan = float("nan")
    return SeenUnseenCurve(
        corners,
        np.clip(seen, 0, 1) if len(of_seen.labels) else np.full(len(seen), nan),
        np.clip(unseen, 0, 1) if len(of_unseen.labels) else np.full(len(unseen), nan),
    )


def best_bias(curve: SeenUnseenCurve) -> float:
    """The bias with the highest H on the curve: the middle of its interval, the smallest such bias.

    In an unbounded interval it is one unit beyond the finite end. Without any corner, or where H is 0
    everywhere, it is 0.
    """
    h = 2 * curve.seen * curve.unseen / np.maximum(curve.seen + curve.unseen, np.finfo(float).tiny)
    if not len(curve.bias) or not np.nanmax(np.append(h, 0.0)) > 0:
        return 0.0
    index = int(np.nanargmax(h))
    if index == 0:
        return float(curve.bias[0] - 1)
    if index == len(curve.bias):
        return float(curve.bias[-1] + 1)
    return float((curve.bias[index - 1] + curve.bias[index]) / 2)


def curve_on(problem: Problem, logits: Logits) -> SeenUnseenCurve:
    """The seen-unseen curve of a classifier on the test parts of a problem."""
    return seen_unseen_curve(*(_summaries(problem, logits, 0.0)))


def score(
    problem: Problem, logits: Logits, *, unseen_logits: Logits | None = None, bias: float = 0.0
) -> Scores:
    """All scores of a classifier on the test parts of a problem, streamed over the samples.

    Parameters
    ----------
    problem : Problem
        Its test parts are scored.
    logits : Logits
        Maps features (N, D) to logits (N, C).
    unseen_logits : Logits | None
        Maps features (N, D) to logits (N, U) over ``problem.unseen``, for T1: the classifier of conventional
        zero-shot learning. Without it the unseen columns of `logits` are used.
    bias : float
        Added to the unseen logits.
    """
    of_seen, of_unseen = _summaries(problem, logits, bias)
    if unseen_logits is None:
        alone = of_unseen.as_unseen
    else:
        guesses = [
            problem.unseen[np.asarray(unseen_logits(part)).argmax(axis=1)]
            for part, _ in chunks(problem, problem.test_unseen)
        ]
        alone = np.concatenate([np.zeros(0, np.int64), *guesses]) == of_unseen.labels
    return scores_of(of_seen, of_unseen, alone, problem.classes)


def scores_of(
    of_seen: Summary, of_unseen: Summary, alone: NDArray[np.bool_], classes: Sequence[str]
) -> Scores:
    """All scores, of the summaries of the seen and of the unseen test samples.

    Parameters
    ----------
    of_seen, of_unseen : Summary
        N and M samples; 0 is allowed.
    alone : NDArray[np.bool_]
        (M,) whether a sample of an unseen class is recognised among the unseen classes alone.
    classes : Sequence[str]
        C names.
    """
    right = np.concatenate([part.right for part in (of_seen, of_unseen)])
    labels = np.concatenate((of_seen.labels, of_unseen.labels))
    accuracy = per_class_accuracy(right, labels, len(classes))
    count = len(of_seen.labels)
    seen, unseen = class_mean(right[:count], labels[:count]), class_mean(right[count:], labels[count:])
    return Scores(
        U=unseen,
        S=seen,
        H=harmonic_mean(unseen, seen),
        T1=class_mean(alone, of_unseen.labels),
        AUSUC=seen_unseen_curve(of_seen, of_unseen).area,
        per_class={classes[c]: float(accuracy[c]) for c in map(int, np.flatnonzero(np.isfinite(accuracy)))},
    )


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Mean and half width of its Student-t interval; the half width is NaN for fewer than two values.

    >>> mean, half = mean_interval([0.50, 0.52, 0.54])
    >>> round(mean, 3), round(half, 3)
    (0.52, 0.05)
    """
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return float("nan"), float("nan")
    if len(array) < 2:
        return float(array[0]), float("nan")
    from scipy.stats import t

    half = t.ppf((1 + level) / 2, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array))
    return float(array.mean()), float(half)


def paired_difference(
    ours: Sequence[float], theirs: Sequence[float], level: float = 0.95
) -> tuple[float, float]:
    """Mean of ours - theirs over the pairs, and the half width of its interval.

    Raises
    ------
    ValueError
        Different numbers of values.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} and {len(theirs)} values, expected pairs")
    return mean_interval(np.subtract(ours, theirs).tolist(), level)


def chunks(
    problem: Problem, part: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Features (n, D) and labels (n,) of a part of a problem, in chunks whose logits fit into memory.

    Parameters
    ----------
    problem : Problem
        The problem.
    part : NDArray[np.int64]
        (N,) indices of its samples.
    """
    rows = max(1, _LOGITS // len(problem.classes))
    for start in range(0, len(part), rows):
        chosen = part[start : start + rows]
        yield problem.features[chosen], problem.labels[chosen]


def _weights(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each sample's share of the class-averaged accuracy."""
    if not len(labels):
        return np.zeros(0)
    counts = np.bincount(labels)
    return 1 / counts[labels] / np.count_nonzero(counts)


def _summaries(problem: Problem, logits: Logits, bias: float) -> tuple[Summary, Summary]:
    def of(part: NDArray[np.int64]) -> Summary:
        nothing = np.zeros(0)
        parts = [Summary(nothing, nothing.astype(bool), nothing.astype(bool), nothing.astype(np.int64))]
        for features, labels in chunks(problem, part):
            summary = Summary.of(logits(features), labels, problem.unseen)
            parts.append(Summary(summary.margin - bias, summary.as_seen, summary.as_unseen, labels))
        return Summary.join(parts)

    return of(problem.test_seen), of(problem.test_unseen)
