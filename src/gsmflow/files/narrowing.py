"""Conversion from float64 to float32 that keeps the differences within a column, however far it is from zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FAR = 1024.0  # distance from zero in units of a column's spread; beyond it float32 loses ten of its 24 bits
_ROWS = 4096
_EXACT = 2.0**53  # beyond it float64 does not hold every whole number
_UNIT = 4096


def narrowed(values: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """Real numbers (N, D) as float32, and the offset (D,) that was subtracted first.

    A column that is far from zero compared with its spread, and that float32 does not hold exactly, is centred in
    float64 first: x -> float32(x - offset). All other columns have the offset 0 and the values float32(x). The offset
    is None if it is 0 everywhere.

    >>> values, offset = narrowed(np.array([[1.7e9 + 0.25, 1.0], [1.7e9 + 0.75, 2.0]]))
    >>> values.tolist(), offset.tolist()
    ([[0.25, 1.0], [0.75, 2.0]], [1700000000.0, 0.0])
    """
    if values.dtype == np.float32 or values.dtype.itemsize < 4 or not len(values):
        return values.astype(np.float32, copy=False), None
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        return _of_whole(values)
    low, high = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = high - low
        far = (spread > 0) & (np.maximum(np.abs(low), np.abs(high)) > _FAR * spread)
        far &= np.isfinite(spread)
        offset = np.zeros(values.shape[1])
        for column in np.flatnonzero(far):
            exact = values[:, column].astype(np.float64)
            if (exact.astype(np.float32) != exact).any():
                # A multiple of a power of two near the spread, so that the difference is exact.
                unit = 2.0 ** np.ceil(np.log2(spread[column]))
                offset[column] = np.floor(low[column] / unit) * unit
    return (off(values, offset), offset) if offset.any() else (off(values, None), None)


def _of_whole(values: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """[`narrowed`][gsmflow.files.narrowing.narrowed] for whole numbers of 64 bits, not all of which float64 holds: from
    columns beyond 2^53 an offset is subtracted in whole numbers first.
    """
    low, high = values.min(axis=0), values.max(axis=0)
    long = (np.abs(low.astype(np.float64)) > _EXACT) | (np.abs(high.astype(np.float64)) > _EXACT)
    if not long.any():
        return narrowed(values.astype(np.float64))
    # The mask has so many leading ones that float64 holds every multiple, also near 2^64.
    offset = np.where(long, low - low % np.array(_UNIT, low.dtype), np.array(0, low.dtype))
    small, more = narrowed((values - offset).astype(np.float64))
    whole = offset.astype(np.float64)
    return small, whole if more is None else whole + more


def single(values: NDArray[Any]) -> NDArray[np.float32]:
    """Real numbers (N, D) as float32, the same array where they are; silent about what is not finite, or is not then.

    Every reader refuses such values by their place.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32, copy=False)


def off(values: NDArray, offset: NDArray[np.float64] | None) -> NDArray[np.float32]:
    """float32(values - offset) of (N, D) values, computed in float64; without an offset, float32(values)."""
    if offset is None:
        return single(values)
    with np.errstate(over="ignore", invalid="ignore"):
        if values.dtype.kind in "iu" and (np.abs(offset) > _EXACT).any():
            whole = np.rint(offset).astype(values.dtype)
            return ((values - whole).astype(np.float64) - (offset - np.rint(offset))).astype(np.float32)
        out = np.empty(values.shape, np.float32)
        for start in range(0, len(values), _ROWS):
            out[start : start + _ROWS] = values[start : start + _ROWS].astype(np.float64) - offset
        return out
