"""An industrial process: 12 operating states, described by 20 binary attributes that act on sensors of their own."""

from __future__ import annotations

import numpy as np

from gsmflow.data.problem import Problem


def process(
    seed: int, *, samples: int = 60, classes: int = 12, attributes: int = 20, unseen: int = 3
) -> Problem:
    """A problem of `samples` samples a class and two sensors an attribute.

    An attribute shifts its sensors (every fourth one) or makes them vary more (all others): of a class's mean feature
    only a quarter of the attributes can be told.
    """
    random = np.random.default_rng(seed)
    has = (random.random((classes, attributes)) < 0.4).astype(np.float32)
    while len(np.unique(has, axis=0)) < classes or (has.sum(axis=1) == 0).any():
        has = (random.random((classes, attributes)) < 0.4).astype(np.float32)
    shifts = np.arange(attributes) % 4 == 0
    mean = np.repeat(has * shifts * 1.5 * random.choice([-1, 1], attributes), 2, axis=1)
    deviation = np.repeat(np.exp(has * ~shifts), 2, axis=1)
    labels = np.repeat(np.arange(classes), samples)
    features = mean[labels] + deviation[labels] * random.normal(size=(len(labels), 2 * attributes))
    is_unseen = np.isin(labels, random.choice(classes, unseen, replace=False))
    tested = np.arange(len(labels)) % 5 == 0
    return Problem(
        name="process",
        features=features.astype(np.float32),
        labels=labels,
        semantics=has,
        classes=tuple(f"state {index}" for index in range(classes)),
        train=np.flatnonzero(~is_unseen & ~tested),
        test_seen=np.flatnonzero(~is_unseen & tested),
        test_unseen=np.flatnonzero(is_unseen),
    )
