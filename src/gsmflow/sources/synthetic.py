"""Synthetic problems of any size from a known distribution, for tests, timing and learning curves.

Every class c has a position u_c in a space of a few dimensions. Its semantics are a smooth function of
u_c, unit length like published attributes; its features are Gaussian,

    x | a ~ N(m(a), s(a)² (F Fᵀ + diag(v))),     m(a) = W₂ tanh(W₁ ā + b₁),     s(a) = exp(0.3 tanh(w·ā)),

where ā is a, centered and scaled. So the features of an unseen class follow from its semantics, and a
generator only needs to learn m and s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.options import Options, from_mapping, option, parse_value
from gsmflow.base.suggest import listed
from gsmflow.data.problem import Counts, Problem
from gsmflow.sources.published import KNOWN, Known
from gsmflow.sources.source import NamedProblem

_LATENT = 4  # dimensions of the space of the class positions; few, so that 15 seen classes can cover it
_HIDDEN = 64  # width of the map from semantics to class means
_RANK = 4  # directions in which the features of a class vary together
_ROWS = 4096  # samples computed at a time
_RESNET_DIM = 2048  # dimensions of the published features


@dataclass(frozen=True)
class SyntheticOptions(Options):
    """Size and difficulty of a synthetic problem; ``synthetic:n=...,d=...`` on the command line."""

    table = "synthetic"

    n: int = option(2400, "samples, all classes and parts together", low=20)
    d: int = option(32, "feature dimensions", low=2)
    a: int = option(12, "semantic dimensions", low=2)
    classes: int = option(24, "classes, seen and unseen", low=4)
    unseen: int = option(6, "unseen classes", low=1)
    spread: float = option(
        0.5, "standard deviation within a class in each dimension; that of the class means is 1", above=0
    )
    test: float = option(0.2, "fraction of the samples of seen classes for testing", above=0, below=1)
    n_unseen: int = option(0, "samples of unseen classes; 0: as many for each class as for the others", low=0)
    seed: int = option(0, "seed of the distribution and of the samples", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unseen > self.classes - 2:
            raise InputError(
                f"synthetic.unseen = {self.unseen}: leaves {self.classes - self.unseen} seen of "
                f"{self.classes} classes, at least two are needed"
            )
        for part, size, least in (
            ("training", self.counts.train, self.counts.seen),
            ("seen test", self.counts.test_seen, 1),
            ("unseen test", self.counts.test_unseen, self.unseen),
        ):
            if size < least:
                raise InputError(
                    f"synthetic.n = {self.n}: makes {max(size, 0)} {part} samples, at least {least} needed"
                )

    @property
    def counts(self) -> Counts:
        """The sizes of the problem with these options."""
        test_unseen = self.n_unseen or round(self.n * self.unseen / self.classes)
        test_seen = round((self.n - test_unseen) * self.test)
        return Counts(
            samples=self.n,
            feature_dim=self.d,
            semantic_dim=self.a,
            seen=self.classes - self.unseen,
            unseen=self.unseen,
            train=self.n - test_unseen - test_seen,
            test_seen=test_seen,
            test_unseen=test_unseen,
        )


@dataclass(frozen=True)
class Truth:
    """The distribution that the samples were drawn from, with H hidden units and R shared directions.

    Parameters
    ----------
    shift : NDArray[np.float32]
        (A,) subtracted from the semantics a.
    scale : float
        Multiplies the shifted semantics, which gives ā.
    w1 : NDArray[np.float32]
        (A, H) first layer of the map to the class means.
    b1 : NDArray[np.float32]
        (H,) its bias.
    w2 : NDArray[np.float32]
        (H, D) second layer of that map.
    factors : NDArray[np.float32]
        (R, D) F of the shared covariance.
    variances : NDArray[np.float32]
        (D,) v of the shared covariance.
    widths : NDArray[np.float32]
        (A,) w, which determines how much wider than average a class is.
    """

    shift: NDArray[np.float32]
    scale: float
    w1: NDArray[np.float32]
    b1: NDArray[np.float32]
    w2: NDArray[np.float32]
    factors: NDArray[np.float32]
    variances: NDArray[np.float32]
    widths: NDArray[np.float32]

    def mean(self, semantics: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class means (C, D) of semantics (C, A)."""
        hidden: NDArray[np.float32] = np.tanh(self._centered(semantics) @ self.w1 + self.b1)
        return hidden @ self.w2

    def deviation(self, semantics: NDArray[np.float32]) -> NDArray[np.float32]:
        """The factor s (C,) by which the noise of each class is larger or smaller than the shared one."""
        logarithm: NDArray[np.float32] = np.float32(0.3) * np.tanh(self._centered(semantics) @ self.widths)
        return np.exp(logarithm)

    def covariance(self, semantics: NDArray[np.float32]) -> NDArray[np.float32]:
        """Within-class covariances (C, D, D) of semantics (C, A)."""
        shared = self.factors.T @ self.factors + np.diag(self.variances)
        return np.square(self.deviation(semantics))[:, None, None] * shared

    def _centered(self, semantics: NDArray[np.float32]) -> NDArray[np.float32]:
        return (semantics - self.shift) * np.float32(self.scale)


def parse(text: str, *, seed: int = 0) -> SyntheticOptions:
    """The options in a text such as ``n=5000,d=128``; ``AWA2`` and other known names stand for their sizes.

    Parameters
    ----------
    text : str
        Names and values, or the name of a published data set.
    seed : int
        Used if the text has no seed.

    Raises
    ------
    InputError
        A name or option is unknown, or a value is out of range.

    Examples
    --------
    >>> parse("n=500,classes=10,unseen=2").counts.train
    320
    >>> parse("AWA2,spread=3").counts.test_seen
    5882
    """
    kinds = get_type_hints(SyntheticOptions)
    sizes: dict[str, Any] = {}
    asked: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if equals:
            asked[key] = parse_value(value, kinds.get(key, str))
        elif part.upper() in KNOWN:
            sizes = _sizes_of(KNOWN[part.upper()])
        else:
            raise InputError(
                f"synthetic:{text}: '{part}' is neither a setting such as n=5000 nor one of {listed(KNOWN)}"
            )
    if {"n", "classes", "unseen"} & set(asked):
        sizes.pop("n_unseen", None)  # with another n the published number does not apply
    return from_mapping(SyntheticOptions, {"seed": seed} | sizes | asked, f"synthetic:{text}")


def _sizes_of(known: Known) -> dict[str, Any]:
    seen = known.train + known.test_seen
    return {
        "n": seen + known.test_unseen,
        "d": _RESNET_DIM,
        "a": known.semantic_dim,
        "classes": known.seen + known.unseen,
        "unseen": known.unseen,
        "test": known.test_seen / seen,
        "n_unseen": known.test_unseen,
    }


def make(options: SyntheticOptions | None = None) -> tuple[Problem, Truth]:
    """A problem and its distribution; the same options give the same pair.

    Samples are in the order train, test_seen, test_unseen, and class by class within a part, divided as
    equally as possible. The last classes are the unseen ones; since all classes are drawn alike, that is a
    random choice.
    """
    options = options or SyntheticOptions()
    counts = options.counts
    rng = np.random.default_rng([options.seed, 0x51])
    semantics = _draw_semantics(rng, options.classes, options.a)
    truth = _draw_truth(rng, semantics, options.d, options.spread)
    seen, unseen = np.split(np.arange(options.classes), [counts.seen])
    sizes = [counts.train, counts.test_seen, counts.test_unseen]
    groups = zip((seen, seen, unseen), sizes, strict=True)
    labels = np.concatenate([_divide(group, size) for group, size in groups])
    train, test_seen, test_unseen = np.split(np.arange(options.n), np.cumsum(sizes[:2]))
    problem = Problem(
        name=f"synthetic-{options.n}x{options.d}",
        features=_draw_features(rng, truth, semantics, labels),
        labels=labels,
        semantics=semantics,
        classes=tuple(f"class {index}" for index in range(options.classes)),
        train=train,
        test_seen=test_seen,
        test_unseen=test_unseen,
        notes={"split": f"drawn with seed {options.seed}", "semantics": "drawn, unit length"},
    )
    return problem, truth


def _divide(classes: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """`size` sorted labels; the numbers of samples of two classes differ by at most one."""
    return np.sort(classes[np.arange(size) % len(classes)])


def _draw_semantics(rng: np.random.Generator, classes: int, dims: int) -> NDArray[np.float32]:
    """(C, A) in (0, 1) before they are scaled to unit length."""
    place = rng.standard_normal((classes, _LATENT))
    directions = rng.standard_normal((_LATENT, dims))
    semantics = 1 / (1 + np.exp(-(place @ directions + rng.standard_normal(dims))))
    return (semantics / np.linalg.norm(semantics, axis=1, keepdims=True)).astype(np.float32)


def _draw_truth(rng: np.random.Generator, semantics: NDArray[np.float32], dim: int, spread: float) -> Truth:
    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.standard_normal(shape, dtype=np.float32)

    width = semantics.shape[1]
    shift = semantics.mean(axis=0)
    scale = float(1 / np.linalg.norm(semantics - shift, axis=1).mean())
    # With |ā| about 1, hidden units see about one standard deviation: tanh bends but does not saturate.
    w1, b1, w2 = normal(width, _HIDDEN), 0.5 * normal(_HIDDEN), normal(_HIDDEN, dim)
    factors, variances = normal(_RANK, dim), 0.5 + rng.random(dim, dtype=np.float32)
    raw = Truth(shift, scale, w1, b1, w2, factors, variances, normal(width))
    between = np.sqrt(np.mean(np.var(raw.mean(semantics), axis=0)))
    within = np.sqrt(np.mean(raw.deviation(semantics) ** 2) * np.mean((factors**2).sum(axis=0) + variances))
    gain = np.float32(spread / within)
    return replace(raw, w2=w2 / between, factors=gain * factors, variances=gain * gain * variances)


def _draw_features(
    rng: np.random.Generator, truth: Truth, semantics: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Features (N, D), drawn in place and completed a few rows at a time, so that there is no second copy."""
    means, deviation = truth.mean(semantics), truth.deviation(semantics)
    features = np.empty((len(labels), len(truth.variances)), dtype=np.float32)
    rng.standard_normal(dtype=np.float32, out=features)
    independent = np.sqrt(truth.variances)
    for start in range(0, len(labels), _ROWS):
        rows, label = features[start : start + _ROWS], labels[start : start + _ROWS]
        rows *= independent
        rows += rng.standard_normal((len(rows), len(truth.factors)), dtype=np.float32) @ truth.factors
        rows *= deviation[label, None]
        rows += means[label]
    return features


SOURCE = NamedProblem(
    "synthetic",
    title="made to measure with known truth, as synthetic:n=5000,d=128 or synthetic:AWA2",
    citation="made on the spot",
    load=lambda details, seed: make(parse(details, seed=seed))[0],
    counts=lambda: SyntheticOptions().counts,
    split="drawn",
)
