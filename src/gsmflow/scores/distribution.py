"""How far synthetic features are from real ones as distributions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gsmflow.scores.samples import Matrix

if TYPE_CHECKING:
    pass


_PERMUTATIONS = 200


@dataclass(frozen=True)
class Distribution:
    """Distances between the distributions, class by class and on average.

    Synthetic features are compared with one half of the real ones. The values named ``real_...`` compare the other half
    of the real features with it, as if a perfect generator had made them. With fewer than four samples in every class
    all values are None.

    Parameters
    ----------
    frechet : float | None
        Squared Fréchet distance of Gaussians fitted to each class, mean over classes; at least 0, lower is better.
    real_frechet : float | None
        The same for real features.
    mmd : float | None
        Unbiased squared maximum mean discrepancy, mean over classes; about 0 to 2, lower is better.
    mmd_p : float | None
        p-value of the discrepancy under permutations within classes, in (0, 1].
    precision : float | None
        Fraction of synthetic samples that lie among the real ones of their class.
    real_precision : float | None
        The same for real features.
    recall : float | None
        Fraction of real samples that lie among the synthetic ones of their class.
    real_recall : float | None
        The same for real features.
    class_frechet : list[float | None]
        The Fréchet distance of each class; None where it has too few samples.
    class_mmd : list[float | None]
        The discrepancy of each class.
    class_mmd_p : list[float | None]
        The p-value of each class.
    """

    frechet: float | None
    real_frechet: float | None
    mmd: float | None
    mmd_p: float | None
    precision: float | None
    real_precision: float | None
    recall: float | None
    real_recall: float | None
    class_frechet: list[float | None]
    class_mmd: list[float | None]
    class_mmd_p: list[float | None]


def distribution(real: list[Matrix], synthetic: list[Matrix], seed: int) -> Distribution:
    """Distances between the real and the synthetic features of each class, arrays (n, D)."""
    rng = np.random.default_rng([seed, 0xD157])
    halves: list[dict[str, float]] = []
    frechets: list[float | None] = []
    mmds: list[float | None] = []
    ps: list[float | None] = []
    permuted: list[Matrix] = []
    for x, s in zip(real, synthetic, strict=True):
        if len(x) < 4:
            frechets, mmds, ps = [*frechets, None], [*mmds, None], [*ps, None]
            continue
        half = len(x) // 2
        order = rng.permutation(len(x))
        judge, reference, synthetic_half = (
            x[order[:half]],
            x[order[half : 2 * half]],
            s[rng.permutation(len(s))[:half]],
        )
        precision, recall = precision_recall(judge, synthetic_half)
        real_precision, real_recall = precision_recall(judge, reference)
        halves.append(
            {
                "frechet": frechet(judge, synthetic_half),
                "real_frechet": frechet(judge, reference),
                "precision": precision,
                "recall": recall,
                "real_precision": real_precision,
                "real_recall": real_recall,
            }
        )
        frechets.append(halves[-1]["frechet"])
        statistics = _mmd_statistics(x, s, rng)
        permuted.append(statistics)
        mmds.append(float(statistics[0]))
        ps.append(_p_value(statistics))
    if not halves:
        return Distribution(None, None, None, None, None, None, None, None, frechets, mmds, ps)
    means = {name: float(np.mean([h[name] for h in halves])) for name in halves[0]}
    together = np.mean(permuted, axis=0)
    return Distribution(
        **means,
        mmd=float(together[0]),
        mmd_p=_p_value(together),
        class_frechet=frechets,
        class_mmd=mmds,
        class_mmd_p=ps,
    )


def frechet(real: ArrayLike, synthetic: ArrayLike) -> float:
    """Squared Frechet distance of Gaussians fitted to (N, D) and (M, D): in [0, inf), 0 for equal moments.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)); the last trace is the nuclear norm of the product of the
    centered samples, (N, M), which stays small where D is large.
    """
    x, y = np.asarray(real, np.float64), np.asarray(synthetic, np.float64)
    a = (x - x.mean(axis=0)) / math.sqrt(len(x) - 1)
    b = (y - y.mean(axis=0)) / math.sqrt(len(y) - 1)
    product = a @ b.T if len(x) + len(y) < 4 * x.shape[1] else None
    if product is None:  # more samples than dimensions: D x D factors have the same singular values
        product = _triangle(a) @ _triangle(b).T
    cross = np.linalg.svd(product, compute_uv=False).sum()
    apart = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    return float(max(0.0, apart + np.square(a).sum() + np.square(b).sum() - 2 * cross))


def _triangle(x: Matrix) -> Matrix:
    """R of the QR decomposition: R.T @ R is x.T @ x."""
    from scipy.linalg import qr

    return np.asarray(qr(x, mode="r")[0])[: x.shape[1]]


def mmd(
    real: ArrayLike, synthetic: ArrayLike, *, permutations: int = _PERMUTATIONS, seed: int = 0
) -> tuple[float, float]:
    """Unbiased squared MMD (Gretton et al., JMLR 2012) of (N, D) and (N, D), and its permutation p-value.

    Kernel: Gaussian, its width the median distance of all samples. The value lies in about [0, 2], slightly
    below 0 by chance for equal distributions. p lies in [1 / (permutations + 1), 1]: small where the
    distributions differ.
    """
    rng = np.random.default_rng(seed)
    statistics = _mmd_statistics(
        np.asarray(real, np.float64), np.asarray(synthetic, np.float64), rng, permutations
    )
    return float(statistics[0]), _p_value(statistics)


def precision_recall(real: ArrayLike, synthetic: ArrayLike, neighbours: int = 3) -> tuple[float, float]:
    """Precision and recall of samples (Kynkaanniemi et al., NeurIPS 2019), in [0, 1].

    Each real sample has a ball that reaches to its k-th nearest real neighbour. Precision is the fraction of synthetic
    samples that lie in such a ball. Recall is the same with real and synthetic samples exchanged.

    Parameters
    ----------
    real : ArrayLike
        (N, D) real samples.
    synthetic : ArrayLike
        (M, D) synthetic samples.
    neighbours : int
        k, the neighbour whose distance is the radius around a sample.
    """
    x, y = np.asarray(real, np.float64), np.asarray(synthetic, np.float64)
    return _covered(x, y, neighbours), _covered(y, x, neighbours)


def _covered(manifold: Matrix, samples: Matrix, neighbours: int) -> float:
    from scipy.spatial.distance import cdist

    own = np.sort(cdist(manifold, manifold), axis=1)
    radius = own[:, min(neighbours, len(manifold) - 1)]  # column 0 is the sample itself
    return float((cdist(samples, manifold) <= radius).any(axis=1).mean())


def _mmd_statistics(
    x: Matrix, y: Matrix, rng: np.random.Generator, permutations: int = _PERMUTATIONS
) -> Matrix:
    """The statistic, then the statistic of each permutation of real and synthetic: (1 + permutations,)."""
    from scipy.spatial.distance import cdist

    n, m = len(x), len(y)
    both = np.concatenate((x, y))
    squares = cdist(both, both, "sqeuclidean")
    width = float(np.median(squares[np.triu_indices(n + m, 1)])) or 1.0
    kernel = np.exp(-squares / width)
    np.fill_diagonal(kernel, 0)
    member = np.zeros((n + m, permutations + 1))
    member[:n, 0] = 1
    for column in range(1, permutations + 1):
        member[rng.permutation(n + m)[:n], column] = 1
    other = 1 - member
    to_first, to_second = kernel @ member, kernel @ other
    within = (member * to_first).sum(axis=0) / (n * (n - 1)) + (other * to_second).sum(axis=0) / (m * (m - 1))
    return within - 2 * (member * to_second).sum(axis=0) / (n * m)


def _p_value(statistics: Matrix) -> float:
    return float((statistics >= statistics[0] - 1e-12).mean())
