"""The three generation shifts (Chen et al. 2021, section 1) and the distance between distributions, measured.

Everything here compares real and synthetic features of the same classes, as many of the one as of the other,
so that what few samples do to an estimate they do to both. No measure is ever used to choose anything.

======================  =================================================  ==============  ===================
measure                 what it is                                         range           better
======================  =================================================  ==============  ===================
semantic.cosine         of recovered and true semantics, both centered     [-1, 1]         higher
semantic.r2             1 - squared error of recovered semantics over      (-inf, 1]       higher
                        that of guessing the mean of the seen classes
variance.ratio          within-class variance, synthetic over real         [0, inf)        nearer to 1
variance.directions     the same along each principal direction            [0, inf)        nearer to 1
variance.rank           effective rank, synthetic over real                [0, inf)        nearer to 1
structure.spearman      rank correlation of distances between centres      [-1, 1]         higher
structure.procrustes    what no shift, scale and rotation of the centres   [0, 1]          lower
                        can explain
structure.order         Kendall's tau of the order of a class's neighbours [-1, 1]         higher
structure.nearest       classes whose nearest neighbour is the same        [0, 1]          higher
frechet                 squared Frechet distance of Gaussian fits          [0, inf)        lower
mmd                     unbiased squared maximum mean discrepancy          about [0, 2]    lower
mmd_p                   permutation p-value of the mmd                     (0, 1]          higher
precision, recall       synthetic samples among real ones, and reversed    [0, 1]          higher
======================  =================================================  ==============  ===================
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from torch import Tensor

Matrix = NDArray[np.float64]

_ENTRIES = 1 << 22  # numbers kept of either kind: 16 MB as float32
_PER_CLASS = 200  # samples of a class compared at most
_TRAIN_ROWS = 3000  # real features the regressor learns from at most
_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of the ridge, times the mean variance of a feature dimension
_PERMUTATIONS = 200
_DIRECTIONS = 32  # principal directions reported


@dataclass(frozen=True)
class Samples:
    """Real and synthetic features of the judging classes, row by row of the same class.

    real, synthetic: (M, D). labels: (M,) class indices, sorted. judge: whose features they are, in words.
    """

    real: NDArray[np.float32]
    synthetic: NDArray[np.float32]
    labels: NDArray[np.int64]
    judge: str

    def tensors(self) -> dict[str, Tensor]:
        """The three arrays, as ``samples.safetensors`` keeps them."""
        from torch import from_numpy

        arrays = {"real": self.real, "synthetic": self.synthetic, "labels": self.labels}
        return {name: from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    @staticmethod
    def matched(
        real: ArrayLike,
        real_labels: ArrayLike,
        synthetic: ArrayLike,
        synthetic_labels: ArrayLike,
        *,
        judge: str = "",
    ) -> Samples:
        """The first of each kind, as many as a class has of both; classes that lack one kind are left out.

        real: (N, D) with real_labels: (N,); synthetic: (M, D) with synthetic_labels: (M,).

        Raises
        ------
        ValueError: shapes do not fit.
        """
        left, right = np.asarray(real, np.float32), np.asarray(synthetic, np.float32)
        of_left, of_right = np.asarray(real_labels, np.int64), np.asarray(synthetic_labels, np.int64)
        if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
            raise ValueError(f"features of shapes {left.shape} and {right.shape}, expected (N, D) and (M, D)")
        if of_left.shape != left.shape[:1] or of_right.shape != right.shape[:1]:
            raise ValueError(
                f"{of_left.shape} and {of_right.shape} labels for {len(left)} and {len(right)} features"
            )
        rows: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for label in np.intersect1d(of_left, of_right):
            pair = np.flatnonzero(of_left == label), np.flatnonzero(of_right == label)
            count = min(map(len, pair))
            rows.append((pair[0][:count], pair[1][:count]))
        nothing = np.zeros(0, np.int64)
        a = np.concatenate([nothing, *(pair[0] for pair in rows)])
        b = np.concatenate([nothing, *(pair[1] for pair in rows)])
        return Samples(left[a], right[b], of_left[a], judge)


@dataclass(frozen=True)
class Semantic:
    """Recovery of class semantics by a ridge regressor trained on real features of seen classes.

    cosine, r2: mean over classes of what is recovered from synthetic features. real_cosine, real_r2: from
    real ones. Per class, in the order of :attr:`Shifts.classes`: the same. None without a regressor.
    """

    cosine: float | None
    r2: float | None
    real_cosine: float | None
    real_r2: float | None
    class_cosine: list[float]
    class_real_cosine: list[float]
    class_r2: list[float]
    class_real_r2: list[float]


@dataclass(frozen=True)
class Variance:
    """Within-class variance of synthetic over that of real features.

    ratio: of totals. directions: along principal directions of the real within-class variance, the widest
    first. rank, real_rank: effective ranks exp(entropy of the normalized spectrum), Roy and Vetterli
    (EUSIPCO 2007). class_ratio: class by class.
    """

    ratio: float | None
    directions: list[float]
    rank: float | None
    real_rank: float | None
    class_ratio: list[float | None]


@dataclass(frozen=True)
class Structure:
    """Agreement of the geometry of class centres; None with fewer than three classes.

    pairs: (class, class, real distance, synthetic distance) for every pair, positions in the list of classes.
    """

    spearman: float | None
    procrustes: float | None
    order: float | None
    nearest: float | None
    pairs: list[tuple[int, int, float, float]]


@dataclass(frozen=True)
class Distribution:
    """Distances between the distributions, class by class and on average.

    frechet, precision, recall: of synthetic features against one half of the real ones; real_*: of the
    other half against the same, so what an ideal generator would get. mmd: mean over classes, with a
    p-value under permutations within classes. None with fewer than four samples in every class.
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


@dataclass(frozen=True)
class Shifts:
    """All measures of one generator. judge: what real features they were compared with. samples: how many."""

    judge: str
    classes: list[str]
    samples: int
    semantic: Semantic
    variance: Variance
    structure: Structure
    distribution: Distribution

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as ``shifts.json`` keeps them."""
        return asdict(self)


def headline(shifts: Mapping[str, Any]) -> dict[str, Any]:
    """One number a shift, and who judged, out of :meth:`Shifts.to_dict`: what ``metrics.json`` keeps."""
    return {
        "semantic": shifts["semantic"]["cosine"],
        "variance": shifts["variance"]["ratio"],
        "structure": shifts["structure"]["spearman"],
        "judge": shifts["judge"],
    }


def picked(labels: ArrayLike, dim: int, seed: int) -> NDArray[np.int64]:
    """Positions of the samples to compare, sorted by class: all of small classes, a draw from large ones.

    labels: (N,) classes of what there is; dim: D. At most 200 a class, fewer where D and classes are many.
    """
    values = np.asarray(labels, np.int64)
    classes = np.unique(values)
    limit = int(np.clip(_ENTRIES // max(1, len(classes) * dim), 8, _PER_CLASS))
    rng = np.random.default_rng([seed, 0x5417])
    drawn = [rng.permutation(np.flatnonzero(values == label))[:limit] for label in classes]
    return np.concatenate([np.zeros(0, np.int64), *drawn])


def measure(
    samples: Samples,
    semantics: ArrayLike,
    classes: tuple[str, ...],
    train: ArrayLike | None = None,
    train_labels: ArrayLike | None = None,
    *,
    seed: int = 0,
) -> Shifts:
    """All measures; the same for the same arguments.

    Parameters
    ----------
    samples: what is compared. semantics: (C, A) and classes: C names, which labels point into.
    train, train_labels: (N, D) and (N,) real features of seen classes, for the regressor of semantics;
        without them, semantic recovery is not measured.
    seed: of subsamples, halves and permutations.
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


class _Regressor:
    """Ridge from features to semantics; its penalty chosen by leaving whole classes of the training out."""

    def __init__(self, features: NDArray[Any], labels: NDArray[Any], semantics: Matrix, seed: int) -> None:
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import GridSearchCV, GroupKFold

        rng = np.random.default_rng([seed, 0x4E6])
        order = rng.permutation(len(labels))
        each = max(1, _TRAIN_ROWS // len(np.unique(labels)))
        rows = np.concatenate([order[labels[order] == c][:each] for c in np.unique(labels)])
        x, y = features[rows].astype(np.float64), labels[rows]
        self.mean: Matrix = semantics[np.unique(labels)].mean(axis=0)
        unit = float(np.var(x, axis=0).mean()) * len(x) or 1.0
        folds = min(3, len(np.unique(y)))
        self._model: Any = GridSearchCV(
            Ridge(),
            {"alpha": [p * unit for p in _PENALTIES]},
            cv=GroupKFold(folds),
            scoring="neg_mean_squared_error",
        ).fit(x, semantics[y], groups=y)

    def __call__(self, features: Matrix) -> Matrix:
        """Recovered semantics (N, A)."""
        return self._model.predict(features).reshape(len(features), -1)


def semantic_recovery(
    regressor: _Regressor | None, real: list[Matrix], synthetic: list[Matrix], semantics: Matrix
) -> Semantic:
    """Semantic inconsistency: how well semantics (K, A) come back from the features (n, D) of each class."""
    if regressor is None or not real:
        return Semantic(None, None, None, None, [], [], [], [])

    def recovered(features: list[Matrix]) -> tuple[list[float], list[float]]:
        cosines, determined = [], []
        for x, a in zip(features, semantics, strict=True):
            found, true = regressor(x) - regressor.mean, a - regressor.mean
            lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(true)
            cosines.append(float(np.mean(found @ true / np.maximum(lengths, 1e-12))))
            error = np.square(found - true).sum(axis=1).mean()
            determined.append(float(1 - error / max(float(true @ true), 1e-12)))
        return cosines, determined

    (cosine, r2), (real_cosine, real_r2) = recovered(synthetic), recovered(real)
    return Semantic(
        cosine=float(np.mean(cosine)),
        r2=float(np.mean(r2)),
        real_cosine=float(np.mean(real_cosine)),
        real_r2=float(np.mean(real_r2)),
        class_cosine=cosine,
        class_real_cosine=real_cosine,
        class_r2=r2,
        class_real_r2=real_r2,
    )


def variance(real: list[Matrix], synthetic: list[Matrix]) -> Variance:
    """Variance decay: the synthetic within-class variance over the real one; (n, D) a class."""
    usable = [(r, s) for r, s in zip(real, synthetic, strict=True) if len(r) > 1]
    ratios = [_ratio(_spread(s), _spread(r)) for r, s in zip(real, synthetic, strict=True)]
    if not usable:
        return Variance(None, [], None, None, ratios)
    of_real = np.concatenate([(r - r.mean(axis=0)) / math.sqrt(len(r) - 1) for r, _ in usable])
    of_synthetic = np.concatenate([(s - s.mean(axis=0)) / math.sqrt(len(s) - 1) for _, s in usable])
    _, values, axes = np.linalg.svd(of_real, full_matrices=False)
    other = np.linalg.svd(of_synthetic, compute_uv=False)
    kept = values**2 > 1e-12 * max(float(values[0]) ** 2, 1e-300)
    along = np.square(of_synthetic @ axes[kept].T).sum(axis=0) / np.square(values[kept])
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


def structure(real: list[Matrix], synthetic: list[Matrix]) -> Structure:
    """Structural permutation: whether class centres of synthetic features lie as those of real ones."""
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


def distribution(real: list[Matrix], synthetic: list[Matrix], seed: int) -> Distribution:
    """Distances between real and synthetic features of each class, (n, D) each."""
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
        judge, reference, made = x[order[:half]], x[order[half : 2 * half]], s[rng.permutation(len(s))[:half]]
        precision, recall = precision_recall(judge, made)
        real_precision, real_recall = precision_recall(judge, reference)
        halves.append(
            {
                "frechet": frechet(judge, made),
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
    if product is None:  # more samples than dimensions: the same singular values from D x D factors
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

    Precision: synthetic samples that lie within some real sample's distance to its k-th real neighbour.
    Recall: the same with the kinds exchanged. real: (N, D), synthetic: (M, D).
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
    """The statistic, then those with the two kinds permuted, (1 + permutations,)."""
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


def _rows(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _spread(x: Matrix) -> float:
    return float(np.var(x, axis=0, ddof=1).sum()) if len(x) > 1 else float("nan")


def _ratio(above: float, below: float) -> float | None:
    return above / below if below > 0 else None


def _first(result: Any) -> float:
    """The statistic of a test's result."""
    return float(result[0])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
