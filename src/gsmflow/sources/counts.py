"""How large a data set is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """Sizes of a problem.

    samples: N. feature_dim: D. semantic_dim: A. seen, unseen: classes. train, test_seen, test_unseen:
    samples.
    """

    samples: int
    feature_dim: int
    semantic_dim: int
    seen: int
    unseen: int
    train: int
    test_seen: int
    test_unseen: int
