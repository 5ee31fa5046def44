"""Sentences about classes, as one vector a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.semantics.attributes import unit_length

Encode = Callable[[list[str]], NDArray[np.float32]]
"""Maps n sentences to vectors (n, A)."""


def averaged(
    names: tuple[str, ...], sentences: Sequence[Sequence[str]], encode: Encode
) -> NDArray[np.float32]:
    """The mean of the unit vectors of the sentences of each class, scaled to unit length: (C, A).

    Parameters
    ----------
    names : tuple[str, ...]
        C class names.
    sentences : Sequence[Sequence[str]]
        The sentences of each class, at least one.
    encode : Encode
        Maps n sentences to vectors (n, A).

    Raises
    ------
    InputError
        The encoder returns values that are not finite, or the vectors of the sentences of a class add up to zero.
    """
    flat = [sentence for each in sentences for sentence in each]
    vectors = np.asarray(encode(flat), dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(flat):
        raise InputError(
            f"the encoder gives shape {vectors.shape} for {len(flat)} sentences; use another one"
        )
    owner = np.repeat(np.arange(len(names)), [len(each) for each in sentences])
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise InputError(f"class '{names[owner[bad[0]]]}': the encoder gives a vector that is not finite")
    units = unit_length(vectors, tuple(names[index] for index in owner))
    sums = np.zeros((len(names), units.shape[1]), np.float64)
    np.add.at(sums, owner, units)
    return unit_length((sums / np.bincount(owner)[:, None]).astype(np.float32), names)
