"""Attributes of classes, scaled so that the unit of an attribute does not change its weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed

SCALINGS = ("none", "minmax", "standard")


def scaled(
    values: NDArray[np.float64], names: tuple[str, ...], columns: tuple[str, ...], scaling: str
) -> NDArray[np.float32]:
    """Scale attributes (C, A) column by column.

    Parameters
    ----------
    values : NDArray[np.float32]
        (C, A) attributes.
    names : tuple[str, ...]
        C class names, for messages.
    columns : tuple[str, ...]
        A names of attributes, for messages.
    scaling : str
        ``none``; ``minmax``, each to [0, 1]; ``standard``, each to mean 0 and variance 1 over the classes.

    Raises
    ------
    InputError
        An attribute has the same value for every class, so it cannot be scaled (except with ``none``); or a class
        is the lowest in every attribute, so that ``minmax`` would make it all zero.
    """
    if scaling not in SCALINGS:
        raise InputError(f"{scaling}: expected one of {', '.join(SCALINGS)}", parameter="scaling")
    if scaling == "none":
        return values.astype(np.float32)
    exact = np.asarray(values, dtype=np.float64)
    constant = np.flatnonzero(exact.max(axis=0) == exact.min(axis=0))
    if constant.size:
        raise InputError(
            f"column '{columns[constant[0]]}' has the same value for every class and says nothing",
            remedy="remove it, or use `scaling` none",
        )
    if scaling == "minmax":
        low, high = exact.min(axis=0), exact.max(axis=0)
        lowest = np.flatnonzero((exact == low).all(axis=1))
        if lowest.size:
            raise InputError(
                f"class '{names[lowest[0]]}' is the lowest in every attribute, so that minmax makes it all zero",
                remedy="use `scaling` standard, or add an attribute that it has",
            )
        return ((exact - low) / (high - low)).astype(np.float32)
    return ((exact - exact.mean(axis=0)) / exact.std(axis=0)).astype(np.float32)


def varying(values: NDArray[np.floating], columns: tuple[str, ...]) -> NDArray[np.int64]:
    """The indices of those attributes, columns of (C, A), that differ between classes.

    Raises
    ------
    InputError
        No attribute differs.
    """
    differ = np.flatnonzero((values != values[:1]).any(axis=0))
    if not differ.size:
        raise InputError(
            f"every attribute has the same value for every class ({listed(columns)}); add attributes that tell the "
            "classes apart"
        )
    return differ


def unit_length(vectors: NDArray[np.float32], names: tuple[str, ...]) -> NDArray[np.float32]:
    """Every row (of C, A) divided by its length.

    Raises
    ------
    InputError
        A row is all zero; the message names its class.
    """
    length = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    zero = np.flatnonzero(length[:, 0] == 0)
    if zero.size:
        raise InputError(f"class '{names[zero[0]]}' is all zero; describe it by something")
    return (vectors / length).astype(np.float32)
