"""Structural permutation: whether synthetic classes are arranged like the real ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gsmflow.scores.samples import Matrix

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Structure:
    """Agreement of the geometry of class centres. With fewer than three classes every value is None.

    Parameters
    ----------
    spearman : float | None
        Rank correlation of the distances between centres, in [-1, 1]; higher is better.
    procrustes : float | None
        What the best shift, scale and rotation leave unexplained, in [0, 1]; lower is better.
    order : float | None
        Kendall's tau of the order of each class's neighbours, mean over classes, in [-1, 1]; higher is
        better.
    nearest : float | None
        Fraction of classes whose nearest neighbour is the same; higher is better.
    pairs : list[tuple[int, int, float, float]]
        (class, class, real distance, synthetic distance) for every pair; classes by their position in the
        list.
    """

    spearman: float | None
    procrustes: float | None
    order: float | None
    nearest: float | None
    pairs: list[tuple[int, int, float, float]]


def structure(real: list[Matrix], synthetic: list[Matrix]) -> Structure:
    """Structural permutation: whether class centres of synthetic features are arranged like those of real ones."""
    from scipy.spatial import procrustes
    from scipy.spatial.distance import pdist, squareform
    from scipy.stats import kendalltau, spearmanr

    count = len(real)
    if count < 2:
        return Structure(None, None, None, None, [])
    centres = np.stack([x.mean(axis=0) for x in real])
    others = np.stack([x.mean(axis=0) for x in synthetic])
    a, b = pdist(centres), pdist(others)
    first, second = np.triu_indices(count, 1)
    pairs = [(int(i), int(j), float(x), float(y)) for i, j, x, y in zip(first, second, a, b, strict=True)]
    if count < 3 or not np.ptp(a) > 0 or not np.ptp(b) > 0:
        return Structure(None, None, None, None, pairs)
    full_a, full_b = squareform(a), squareform(b)
    rest = [np.delete(np.arange(count), i) for i in range(count)]
    taus = [_first(kendalltau(full_a[i, r], full_b[i, r])) for i, r in enumerate(rest)]
    same = [r[full_a[i, r].argmin()] == r[full_b[i, r].argmin()] for i, r in enumerate(rest)]
    return Structure(
        spearman=_finite(_first(spearmanr(a, b))),
        procrustes=float(procrustes(centres, others)[2]),
        order=_finite(float(np.mean(taus))),
        nearest=float(np.mean(same)),
        pairs=pairs,
    )


def _first(result: Any) -> float:
    """The statistic of a test's result."""
    return float(result[0])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
