"""From float64 to float32 without losing what a column says, however far from zero it lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FAR = 1024.0  # times its spread that a column lies from zero before float32 takes ten of its 24 bits
_ROWS = 4096


def narrowed(values: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """Real numbers (N, D) as float32, and the offset (D,) that was taken off first.

    A column that lies far from zero, compared with its spread, and whose digits float32 does not hold, is centred in
    float64 first: x -> float32(x - offset). Of all others the offset is 0 and the values are float32(x); the offset is
    None where it is 0 everywhere.

    >>> values, offset = narrowed(np.array([[1.7e9 + 0.25, 1.0], [1.7e9 + 0.75, 2.0]]))
    >>> values.tolist(), offset.tolist()
    ([[0.25, 1.0], [0.75, 2.0]], [1700000000.0, 0.0])
    """
    if values.dtype == np.float32 or values.dtype.itemsize < 4 or not len(values):
        return values.astype(np.float32, copy=False), None
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


def off(values: NDArray, offset: NDArray[np.float64] | None) -> NDArray[np.float32]:
    """float32(values - offset) of (N, D) values, computed in float64; without an offset, float32(values)."""
    with np.errstate(over="ignore"):  # beyond float32's range becomes inf, and is refused as such
        if offset is None:
            return values.astype(np.float32, copy=False)
        out = np.empty(values.shape, np.float32)
        for start in range(0, len(values), _ROWS):
            out[start : start + _ROWS] = values[start : start + _ROWS].astype(np.float64) - offset
        return out
