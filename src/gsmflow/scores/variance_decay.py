"""Variance decay: how wide synthetic classes are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gsmflow.scores.samples import Matrix

if TYPE_CHECKING:
    pass


_DIRECTIONS = 32  # principal directions reported


@dataclass(frozen=True)
class Variance:
    """Within-class variance of synthetic features over that of real ones.

    Parameters
    ----------
    ratio : float | None
        Ratio of the total variances; 1 is right.
    directions : list[float]
        Ratio along each principal direction of the real within-class variance, the widest first.
    rank : float | None
        Effective rank of the synthetic features: exp(entropy of the normalized spectrum), Roy and Vetterli
        (EUSIPCO 2007).
    real_rank : float | None
        Effective rank of the real features.
    class_ratio : list[float | None]
        Ratio of the total variances of each class.
    """

    ratio: float | None
    directions: list[float]
    rank: float | None
    real_rank: float | None
    class_ratio: list[float | None]


def variance(real: list[Matrix], synthetic: list[Matrix]) -> Variance:
    """Variance decay: the synthetic within-class variance over the real one, of features (n, D) of each class."""
    usable = [(r, s) for r, s in zip(real, synthetic, strict=True) if len(r) > 1]
    ratios = [_ratio(_spread(s), _spread(r)) for r, s in zip(real, synthetic, strict=True)]
    if not usable:
        return Variance(None, [], None, None, ratios)
    of_real = np.concatenate([(r - r.mean(axis=0)) / math.sqrt(len(r) - 1) for r, _ in usable])
    of_synthetic = np.concatenate([(s - s.mean(axis=0)) / math.sqrt(len(s) - 1) for _, s in usable])
    _, values, axes = np.linalg.svd(of_real, full_matrices=False)
    other = np.linalg.svd(of_synthetic, compute_uv=False)
    nonzero = values**2 > 1e-12 * max(float(values[0]) ** 2, 1e-300)
    along = np.square(of_synthetic @ axes[nonzero].T).sum(axis=0) / np.square(values[nonzero])
    return Variance(
        ratio=_ratio(float(np.square(of_synthetic).sum()), float(np.square(of_real).sum())),
        directions=[float(v) for v in along[:_DIRECTIONS]],
        rank=effective_rank(other**2),
        real_rank=effective_rank(values**2),
        class_ratio=ratios,
    )


def effective_rank(spectrum: ArrayLike) -> float | None:
    """exp(entropy) of eigenvalues normalized to sum 1: in [1, D]; None where all are 0.

    >>> effective_rank([2.0, 2.0, 0.0]), effective_rank([0.0])
    (2.0, None)
    """
    values = np.asarray(spectrum, np.float64)
    if not values.sum() > 0:
        return None
    shares = values[values > 0] / values.sum()
    return round(float(np.exp(-(shares * np.log(shares)).sum())), 12)


def _spread(x: Matrix) -> float:
    return float(np.var(x, axis=0, ddof=1).sum()) if len(x) > 1 else float("nan")


def _ratio(above: float, below: float) -> float | None:
    return above / below if below > 0 else None
