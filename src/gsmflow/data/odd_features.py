"""Features that give the class away: those that count the rows, and those with one value for each class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gsmflow.data.concern import Concern, count, some
from gsmflow.data.odd_semantics import MARKERS
from gsmflow.data.problem import Problem
from gsmflow.files.feature_store import is_mapped

_HEAD = 64  # rows that are enough to clear most features
_ROWS = 20  # fewer rows may rise by chance
_EVER_RISING = 0.25  # least fraction of the steps from row to row in which a rising feature changes


def of_features(problem: Problem) -> list[Concern]:
    """Warnings about the features of a problem, from the order of the samples and from the labels.

    A few rows are enough to clear most features, so this takes hardly any time.
    """
    used = np.sort(np.concatenate((problem.train, problem.test_seen, problem.test_unseen)))
    return [*_running(problem, used), *_telling(problem, used), *_markers(problem)]


def _markers(problem: Problem) -> list[Concern]:
    """Features that are -99, -999 or the like for some samples and never below zero for the others."""
    features = problem.features
    if not len(features) or is_mapped(features) or problem.offset is not None:
        return []
    marked = []
    for column in np.flatnonzero(np.isin(features.min(axis=0), MARKERS[2:])).tolist():
        values = features[:, column]
        others = values[values != values.min()]
        if 2 * len(others) > len(values) and others.min() >= 0:
            marked.append(
                f"{_called(problem, column)} ({values.min():g} in {len(values) - len(others)} samples)"
            )
    if not marked:
        return []
    return [
        Concern(
            "marker",
            f"{count(len(marked), 'feature')} with a value that looks like a mark for missing ones: {some(marked)}. It "
            "is taken as a number; fill the values in, or remove the samples or the feature.",
        )
    ]


def _running(problem: Problem, used: NDArray[np.int64]) -> list[Concern]:
    if len(used) < _ROWS:
        return []
    rows = problem.features[used[:_HEAD]]
    steps = np.diff(rows, axis=0)
    rising = []
    for column in np.flatnonzero((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)).tolist():
        whole = np.diff(problem.features[:, column][used].astype(np.float64))
        runs = (whole >= 0).all() or (whole <= 0).all()
        if runs and np.count_nonzero(whole) >= _EVER_RISING * len(whole):
            rising.append(_called(problem, column))
    if not rising:
        return []
    never = "never falls" if len(rising) == 1 else "never fall"
    return [
        Concern(
            "running",
            f"{count(len(rising), 'feature')} that {never}, or never rises, from row to row: {some(rising)}. Where "
            "rows are in the order of their classes, a number or a time of the row gives the class away; leave it out, "
            "unless the rows were sorted by it.",
        )
    ]


def _telling(problem: Problem, used: NDArray[np.int64]) -> list[Concern]:
    """Features with one value for each class, different values for classes with several samples."""
    labels = problem.labels[used]
    order = np.argsort(labels, kind="stable")
    same = np.flatnonzero(labels[order[1:]] == labels[order[:-1]])  # pairs of neighbours of one class
    if not len(same):
        return []
    some_pairs = same[:: -(-len(same) // _HEAD)]
    first, second = used[order[some_pairs]], used[order[some_pairs + 1]]
    possible = np.flatnonzero((problem.features[first] == problem.features[second]).all(axis=0))
    several = np.flatnonzero(np.bincount(labels) > 1)
    telling = []
    for column in possible.tolist():
        values = problem.features[:, column][used][order]
        if (values[same] == values[same + 1]).all():
            starts = np.searchsorted(labels[order], several)
            if len(np.unique(values[starts])) > 1:
                telling.append(_called(problem, column))
    if not telling:
        return []
    return [
        Concern(
            "telling",
            f"{count(len(telling), 'feature')} with the same value for every sample of a class: {some(telling)}. Such "
            "a feature says the class rather than measures anything, and a sample of a new class cannot be trusted to "
            "have it; leave it out, unless it really was measured.",
        )
    ]


def _called(problem: Problem, column: int) -> str:
    return problem.feature_names[column] if problem.feature_names else f"feature {column + 1}"
