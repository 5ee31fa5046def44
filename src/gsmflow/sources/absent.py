"""Dropping classes that have semantics but no image, and naming classes without names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Kept:
    """The arrays of a problem without absent classes.

    Parameters
    ----------
    rows : Indices | None
        Indices of the samples that stay; None if all do.
    labels : Indices
        (N,) new class index of every sample that stays.
    semantics : NDArray[np.float32]
        (C, A) vectors of the classes that stay.
    classes : tuple[str, ...]
        C names of the classes that stay.
    parts : tuple[Indices, Indices, Indices]
        Indices of training, seen test and unseen test samples among those that stay.
    number : Indices
        New index of every old class, -1 where it was dropped.
    dropped : tuple[str, ...]
        Names of the dropped classes.
    """

    rows: Indices | None
    labels: Indices
    semantics: NDArray[np.float32]
    classes: tuple[str, ...]
    parts: tuple[Indices, Indices, Indices]
    number: Indices
    dropped: tuple[str, ...]


def drop_absent(
    labels: Indices,
    semantics: NDArray[np.float32],
    classes: tuple[str, ...],
    parts: tuple[Indices, Indices, Indices],
) -> Kept:
    """Drop the classes that have no sample in any part of the split.

    labels (N,), semantics (C, A), C classes, parts: train, test_seen, test_unseen.
    """
    used = np.unique(labels[np.concatenate(parts)])
    number = np.full(len(classes), -1, dtype=np.int64)
    number[used] = np.arange(len(used))
    dropped = tuple(name for name, new in zip(classes, number, strict=True) if new < 0)
    renumbered = number[labels]
    rows = None
    if (renumbered < 0).any():  # samples of dropped classes, which are outside all parts
        rows = np.flatnonzero(renumbered >= 0)
        train, test_seen, test_unseen = (np.searchsorted(rows, part) for part in parts)
        renumbered, parts = renumbered[rows], (train, test_seen, test_unseen)
    names = tuple(classes[c] for c in used)
    return Kept(rows, renumbered, semantics[used], names, parts, number, dropped)


def numbered(count: int) -> tuple[str, ...]:
    """Names for classes without names, by their 1-based label.

    >>> numbered(2)
    ('class 1', 'class 2')
    """
    return tuple(f"class {index + 1}" for index in range(count))
