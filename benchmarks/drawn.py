"""Problems drawn from others: other classes unseen, fewer seen classes, fewer images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gsmflow import Problem, sources

FEATURES = {"digits": None, "FLO": "mobilenetv2", "AWA1": "shallow"}
_TEST = 0.2  # of the samples of a seen class


@dataclass(frozen=True)
class Drawn:
    """A problem, or how to draw one from it.

    Parameters
    ----------
    base : str
        Name of the problem that it is drawn from.
    seen : int
        Seen classes; 0 for the problem as it is published, whose classes no seed changes.
    images : int
        Training samples of each seen class at most; 0 for all.
    """

    base: str
    seen: int = 0
    images: int = 0

    @property
    def name(self) -> str:
        """Such as ``FLO``, or ``FLO, 20 seen x 40``."""
        return f"{self.base}, {self.seen} seen x {self.images or 'all'}" if self.seen else self.base

    def load(self, data_root: Path, seed: int) -> Problem:
        """The problem of a seed, which draws classes and samples where anything is drawn."""
        whole = sources.load(self.base, data_root=data_root, features=FEATURES[self.base])
        return drawn(whole, seed, self.seen, self.images) if self.seen else whole


def drawn(problem: Problem, seed: int, seen: int, images: int = 0) -> Problem:
    """As many unseen classes as in the problem, but others; `seen` of the rest, and so many training samples of each.

    A fifth of the samples of a seen class is for testing.
    """
    rng = np.random.default_rng([seed, 0xD4A3])
    order = rng.permutation(len(problem.classes))
    count = len(problem.unseen)
    unseen, seen_classes = np.sort(order[:count]), np.sort(order[count : count + seen])
    train, test = [], []
    for label in seen_classes:
        members = rng.permutation(np.flatnonzero(problem.labels == label))
        held_out = max(1, round(_TEST * len(members)))
        test.append(members[:held_out])
        train.append(members[held_out:][: images or None])
    of_unseen = [np.flatnonzero(problem.labels == label) for label in unseen]
    classes = np.sort(np.concatenate((unseen, seen_classes)))
    parts = [np.concatenate(part) for part in (train, test, of_unseen)]
    rows, ends = np.concatenate(parts), np.cumsum([0, *map(len, parts)])
    return Problem(
        name=problem.name,
        features=problem.features[rows],
        labels=np.searchsorted(classes, problem.labels[rows]),
        semantics=problem.semantics[classes],
        classes=tuple(problem.classes[label] for label in classes),
        train=np.arange(ends[0], ends[1]),
        test_seen=np.arange(ends[1], ends[2]),
        test_unseen=np.arange(ends[2], ends[3]),
    )
