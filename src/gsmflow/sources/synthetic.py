"""Problems with a known truth: class means a smooth function of the semantics, known covariance."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gsmflow.errors import InputError
from gsmflow.options import Options, from_mapping, option, parse_value
from gsmflow.problem import Problem

_RANK = 4  # directions in which all classes vary together
_HIDDEN = 16  # units of the smooth function
_ROWS = 4096


@dataclass(frozen=True)
class SyntheticOptions(Options):
    """Sizes of a synthetic problem; ``synthetic:n=1000,d=32`` on the command line."""

    table = "synthetic"

    n: int = option(2400, "samples in all", low=20)
    d: int = option(32, "feature dimensions", low=2)
    classes: int = option(24, "classes in all", low=6)
    unseen: int = option(6, "of them unseen", low=1)
    a: int = option(12, "semantic dimensions", low=2)
    spread: float = option(0.5, "within-class standard deviation, a dimension; class means have 1", above=0)
    test: float = option(0.2, "fraction of the seen classes' samples held out", above=0, below=1)
    seed: int = option(0, "of the truth and of the samples", low=0)


PUBLISHED = {
    "AWA1": {"n": 30475, "d": 2048, "classes": 50, "unseen": 10, "a": 85},
    "AWA2": {"n": 37322, "d": 2048, "classes": 50, "unseen": 10, "a": 85},
    "APY": {"n": 15339, "d": 2048, "classes": 32, "unseen": 12, "a": 64},
    "CUB": {"n": 11788, "d": 2048, "classes": 200, "unseen": 50, "a": 312},
    "SUN": {"n": 14340, "d": 2048, "classes": 717, "unseen": 72, "a": 102},
    "FLO": {"n": 8189, "d": 2048, "classes": 102, "unseen": 20, "a": 1024},
}
"""Sizes of the published data sets: ``synthetic:AWA2``."""


@dataclass(frozen=True)
class Truth:
    """What the samples were drawn from.

    means: (C, D), one a class. factor: (D, r) and noise: the covariance of every class is
    factor @ factor.T + noise ** 2 * I.
    """

    means: NDArray[np.float64]
    factor: NDArray[np.float64]
    noise: float

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Within-class covariance (D, D), the same for all classes."""
        return self.factor @ self.factor.T + self.noise**2 * np.eye(len(self.factor))


def parse(text: str) -> SyntheticOptions:
    """Options from the part after ``synthetic:``: a published name, ``key=value`` pairs, or both.

    Raises
    ------
    InputError: an unknown name or a value out of range.
    """
    values: dict[str, object] = {}
    types = {f.name: type(getattr(SyntheticOptions(), f.name)) for f in fields(SyntheticOptions)}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if equals:
            values[key] = parse_value(value, types.get(key, str))
        elif part in PUBLISHED:
            values |= PUBLISHED[part]
        else:
            raise InputError(
                f"synthetic:{text}: '{part}' is neither key=value nor one of {', '.join(PUBLISHED)}"
            )
    return from_mapping(SyntheticOptions, values, f"synthetic:{text}")


def make(options: SyntheticOptions = SyntheticOptions()) -> tuple[Problem, Truth]:
    """Draw a problem and its truth.

    Semantics are uniform in [0, 1]. Class means are a random two-layer tanh network of them, scaled
    to standard deviation 1; around them every class has the same low-rank plus diagonal covariance,
    of standard deviation `spread` a dimension. The last `unseen` classes are unseen.

    Raises
    ------
    InputError: too few seen classes or samples for the sizes asked for.
    """
    seen = options.classes - options.unseen
    if seen < 2 or options.n < 2 * options.classes:
        raise InputError(
            f"synthetic: {options.classes} classes, {options.unseen} of them unseen, and {options.n} "
            "samples; at least two classes must be seen and every class needs two samples"
        )
    rng = np.random.default_rng([options.seed, 0x517])
    semantics = rng.uniform(0, 1, (options.classes, options.a))
    inner = rng.normal(0, 2 / np.sqrt(options.a), (options.a, _HIDDEN))
    outer = rng.normal(0, 1 / np.sqrt(_HIDDEN), (_HIDDEN, options.d))
    means = np.tanh((semantics - 0.5) @ inner) @ outer
    means = (means - means.mean(axis=0)) / means.std()
    factor = rng.normal(0, options.spread * np.sqrt(0.5 / _RANK), (options.d, min(_RANK, options.d)))
    truth = Truth(means, factor, options.spread * np.sqrt(0.5))

    labels = np.arange(options.n) % options.classes
    features = np.empty((options.n, options.d), np.float32)
    for start in range(0, options.n, _ROWS):  # in chunks: only the float32 result is ever whole
        part = labels[start : start + _ROWS]
        noise = rng.standard_normal((len(part), options.d)) * truth.noise
        noise += rng.standard_normal((len(part), factor.shape[1])) @ factor.T
        features[start : start + _ROWS] = means[part] + noise
    is_seen = labels < seen
    position = np.arange(options.n) // options.classes  # of the sample within its class
    held_out = max(1, round(options.test * (options.n // options.classes)))
    problem = Problem(
        name=f"synthetic-{options.n}x{options.d}",
        features=features,
        labels=labels,
        semantics=semantics.astype(np.float32),
        classes=tuple(f"class {c}" for c in range(options.classes)),
        train=np.flatnonzero(is_seen & (position >= held_out)),
        test_seen=np.flatnonzero(is_seen & (position < held_out)),
        test_unseen=np.flatnonzero(~is_seen),
        notes={"split": "drawn with the data"},
    )
    return problem, truth
