"""The three generation shifts (Chen et al. 2021, section 1) and the distance between distributions, measured.

Everything here compares as many real as synthetic features of each class: an estimate from few samples is biased,
and so both are biased alike. No measure is ever used to choose anything.

| measure | what it is | range | better |
| --- | --- | --- | --- |
| semantic.cosine | cosine of recovered and true semantics, both centered | [-1, 1] | higher |
| semantic.r2 | 1 - squared error of recovered semantics over that of guessing the mean | (-inf, 1] | higher |
| variance.ratio | within-class variance, synthetic over real | [0, inf) | nearer to 1 |
| variance.directions | the same along each principal direction | [0, inf) | nearer to 1 |
| variance.rank | effective rank, synthetic over real | [0, inf) | nearer to 1 |
| structure.spearman | rank correlation of the distances between class centres | [-1, 1] | higher |
| structure.procrustes | what no shift, scale and rotation of the centres can explain | [0, 1] | lower |
| structure.order | Kendall's tau of the order of a class's neighbours | [-1, 1] | higher |
| structure.nearest | fraction of classes whose nearest neighbour is the same | [0, 1] | higher |
| frechet | squared Fréchet distance of Gaussian fits | [0, inf) | lower |
| mmd | unbiased squared maximum mean discrepancy | about [0, 2] | lower |
| mmd_p | permutation p-value of the mmd | (0, 1] | higher |
| precision, recall | synthetic samples among real ones, and the reverse | [0, 1] | higher |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from gsmflow.scores.class_structure import Structure, structure
from gsmflow.scores.distribution import Distribution, distribution
from gsmflow.scores.samples import Samples, _rows
from gsmflow.scores.semantic_recovery import Semantic, _Regressor, semantic_recovery
from gsmflow.scores.variance_decay import Variance, variance

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Shifts:
    """All measures of one generator.

    Parameters
    ----------
    judge : str
        What the real features are that synthetic ones were compared with.
    classes : list[str]
        Names of the classes that were compared.
    samples : int
        Real features that were compared, as many as synthetic ones.
    semantic : Semantic
        Semantic inconsistency.
    variance : Variance
        Variance decay.
    structure : Structure
        Structural permutation.
    distribution : Distribution
        Distance between the distributions.
    """

    judge: str
    classes: list[str]
    samples: int
    semantic: Semantic
    variance: Variance
    structure: Structure
    distribution: Distribution

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they are stored in ``shifts.json``."""
        return asdict(self)


def headline(shifts: Mapping[str, Any]) -> dict[str, Any]:
    """One number for each shift, and the real features it was judged by, as ``metrics.json`` stores them. `shifts` is
    what [`Shifts.to_dict`][gsmflow.scores.shifts.Shifts.to_dict] returns.
    """
    return {
        "semantic": shifts["semantic"]["cosine"],
        "variance": shifts["variance"]["ratio"],
        "structure": shifts["structure"]["spearman"],
        "judge": shifts["judge"],
    }


def measure(
    samples: Samples,
    semantics: ArrayLike,
    classes: tuple[str, ...],
    train: ArrayLike | None = None,
    train_labels: ArrayLike | None = None,
    *,
    seed: int = 0,
) -> Shifts:
    """Compute all measures; the same arguments give the same values.

    Parameters
    ----------
    samples : Samples
        Real and synthetic features of the same classes.
    semantics : ArrayLike
        (C, A) class vectors.
    classes : tuple[str, ...]
        C class names; labels are positions among them.
    train : ArrayLike | None
        (N, D) real features of seen classes, for the regressor of semantics; without them semantic recovery
        is not measured.
    train_labels : ArrayLike | None
        (N,) their classes.
    seed : int
        Determines subsamples, halves and permutations.
    """
    vectors = np.asarray(semantics, np.float64)
    rows = _rows(samples.labels)
    real = [samples.real[r].astype(np.float64) for r in rows]
    synthetic = [samples.synthetic[r].astype(np.float64) for r in rows]
    present = np.unique(samples.labels)
    regressor = None
    if train is not None and train_labels is not None and len(np.unique(np.asarray(train_labels))) > 1:
        regressor = _Regressor(np.asarray(train), np.asarray(train_labels), vectors, seed)
    return Shifts(
        judge=samples.judge,
        classes=[classes[c] for c in present],
        samples=len(samples.labels),
        semantic=semantic_recovery(regressor, real, synthetic, vectors[present]),
        variance=variance(real, synthetic),
        structure=structure(real, synthetic),
        distribution=distribution(real, synthetic, seed),
    )
