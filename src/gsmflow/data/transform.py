"""The transformation of features before anything learns from them. It is fitted on training samples alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.data.feature_options import FeatureOptions, check_projection
from gsmflow.data.problem import Problem
from gsmflow.files.feature_store import chunks, empty_like, is_mapped, rows_of
from gsmflow.files.narrowing import off

_ROWS = 8192  # rows transformed at a time
_FAR = 10  # ranges, or standard deviations, of a feature in training, beyond which a value is far outside
_MANY = 0.2  # fraction of the features of a sample that have to be far outside


@dataclass(frozen=True)
class FeatureTransform:
    """x -> ((x - shift) * scale - center) @ axes, made by [`fit`][gsmflow.data.transform.FeatureTransform.fit].

    Parameters
    ----------
    shift : NDArray[np.float32]
        (D,) what is subtracted from the features.
    scale : NDArray[np.float32]
        (D,) what the shifted features are multiplied by.
    unit_length : bool
        Every sample is scaled to length 1 before it is projected.
    log : bool
        Features are replaced by log(1 + x) before they are scaled.
    center : NDArray[np.float32] | None
        (D,) mean of the scaled training features; None without projection.
    axes : NDArray[np.float32] | None
        (D, K) orthonormal columns, the principal components; None without projection.
    offset : NDArray[np.float64] | None
        (D,) what was subtracted from the raw values in float64 before they became float32, see
        [`Problem`][gsmflow.data.problem.Problem]; None without one.
    absolute : bool
        The offset is added again first, because logarithms and lengths are computed from the raw values.
    """

    shift: NDArray[np.float32]
    scale: NDArray[np.float32]
    unit_length: bool = False
    log: bool = False
    center: NDArray[np.float32] | None = None
    axes: NDArray[np.float32] | None = None
    offset: NDArray[np.float64] | None = None
    absolute: bool = False

    @property
    def in_dim(self) -> int:
        """D, dimensions of raw features."""
        return len(self.shift)

    @property
    def out_dim(self) -> int:
        """Dimensions after the transformation: D, or K with a projection."""
        return self.in_dim if self.axes is None else self.axes.shape[1]

    @staticmethod
    def fit(problem: Problem, options: FeatureOptions) -> FeatureTransform:
        """Fit on the training samples of `problem`.

        Raises
        ------
        InputError
            The training features have fewer components than are asked for; a feature is below zero and `log`
            is on; or the range of a dimension is too wide or too narrow for float32.
        """
        check_projection(problem, options)
        offset = problem.offset
        # These three work on the raw values, not on the differences from the offset.
        absolute = offset is not None and (options.log or options.scaling in ("length", "none"))
        train = rows_of(problem.features, problem.train)
        if absolute:
            train = _raw(train, offset)
        where = problem.origins.get("features", "features")
        dim = train.shape[1]
        if options.log:
            if train.min() < 0:
                raise InputError(f"{where}: negative values, so features.log cannot be used; leave it off")
            train = _logarithms(train)
        shift, scale = np.zeros(dim, np.float32), np.ones(dim, np.float32)
        if options.scaling == "minmax":
            low, high = train.min(axis=0), train.max(axis=0)
            with np.errstate(over="ignore"):
                span = high - low
            # A constant dimension carries no information; dividing by 1 maps it to 0 and not to NaN.
            shift = np.where(np.isfinite(span), low, np.inf)
            with np.errstate(over="ignore"):
                scale = (1 / np.where(span > 0, span, 1)).astype(np.float32)
        elif options.scaling == "standard":
            mean, spread = _moments(train)
            shift = mean.astype(np.float32)
            with np.errstate(over="ignore"):
                scale = (1 / np.where(spread > 0, spread, 1)).astype(np.float32)
        usable = np.isfinite(shift) & np.isfinite(scale)
        if not usable.all():
            column = int(np.flatnonzero(~usable)[0])
            raise InputError(
                f"{where}: dimension {column} (counted from 0) ranges from {train[:, column].min():.4g} to "
                f"{train[:, column].max():.4g} in training, too wide or too narrow for float32; rescale or "
                "remove it"
            )
        fitted = FeatureTransform(
            shift, scale, options.scaling == "length", options.log, offset=offset, absolute=absolute
        )
        components = options.components(dim, len(train))
        if not components:
            return fitted
        scaled = fitted(rows_of(problem.features, problem.train))
        center = _moments(scaled)[0].astype(np.float32)
        axes = _principal_axes(scaled, center, components)
        return replace(fitted, center=center, axes=axes)

    def narrowed(self, raw: NDArray) -> NDArray[np.float32]:
        """Convert raw values (N, D) of any type to the input of the transformation: float32, without the offset."""
        return off(raw, self.offset)

    def raw(self, features: NDArray[np.float32]) -> NDArray[np.float32] | NDArray[np.float64]:
        """Inverse of [`narrowed`][gsmflow.data.transform.FeatureTransform.narrowed], (N, D) to (N, D); float64 if there
        is an offset.
        """
        return features if self.offset is None else features.astype(np.float64) + self.offset

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Transform features (N, D) to (N, K), in chunks; the offset is already subtracted, as in a problem.

        Raises
        ------
        InputError
            The features have another number of dimensions than the training features.
        """
        if features.ndim != 2 or features.shape[1] != self.in_dim:
            raise InputError(
                f"features: shape {features.shape}, expected (samples, {self.in_dim}) as in training"
            )
        out = empty_like(features, (len(features), self.out_dim))
        for start in range(0, len(features), _ROWS):
            rows = np.asarray(features[start : start + _ROWS], dtype=np.float32)
            if self.absolute:
                rows = _raw(rows, self.offset)
            if self.log:
                rows = np.log1p(np.maximum(rows, 0))
            rows = (rows - self.shift) * self.scale
            if self.unit_length:
                rows /= np.maximum(_lengths(rows), 1e-12)
            if self.axes is not None and self.center is not None:
                rows = (rows - self.center) @ self.axes
            out[start : start + _ROWS] = rows
        return out

    def outside(self, features: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which samples (N,) are far outside the training features (N, D), as samples in other units are.

        For such a sample at least a fifth of the features are more than ten times the training range away from that
        range. False for all samples if features are not scaled one by one.
        """
        if self.unit_length or self.log or self.absolute or (self.scale == 1).all():
            return np.zeros(len(features), np.bool_)
        with np.errstate(over="ignore", invalid="ignore"):
            far = np.abs((features - self.shift) * self.scale) > _FAR
        return far.mean(axis=1) >= _MANY

    def inverse(self, features: NDArray[np.float32]) -> NDArray[np.float32] | NDArray[np.float64]:
        """Map transformed features (N, K) back to raw ones (N, D).

        Components beyond K and lengths that were scaled to 1 are lost.
        """
        rows = features
        if self.axes is not None and self.center is not None:
            rows = rows @ self.axes.T + self.center
        rows = rows / self.scale + self.shift
        if self.absolute:
            return np.expm1(rows) if self.log else rows
        return np.expm1(rows) if self.log else self.raw(rows)

    def state(self) -> dict[str, Tensor]:
        """Tensors from which [`from_state`][gsmflow.data.transform.FeatureTransform.from_state] rebuilds the same
        transformation.
        """
        flags = torch.tensor(
            [float(self.unit_length), float(self.log), float(self.absolute)], dtype=torch.float64
        )
        state = {
            "shift": torch.from_numpy(self.shift.copy()),
            "scale": torch.from_numpy(self.scale.copy()),
            "flags": flags if self.offset is not None else flags[:2].clone(),
        }
        if self.offset is not None:
            state["offset"] = torch.from_numpy(self.offset.copy())
        if self.axes is not None and self.center is not None:
            state |= {"center": torch.from_numpy(self.center), "axes": torch.from_numpy(self.axes)}
        return state

    @staticmethod
    def from_state(state: dict[str, Tensor]) -> FeatureTransform:
        """Inverse of [`state`][gsmflow.data.transform.FeatureTransform.state]."""
        unit_length, log, *absolute = state["flags"].tolist()
        projected = "axes" in state
        return FeatureTransform(
            state["shift"].numpy(),
            state["scale"].numpy(),
            bool(unit_length),
            bool(log),
            state["center"].numpy() if projected else None,
            state["axes"].numpy() if projected else None,
            state["offset"].numpy() if "offset" in state else None,
            bool(absolute and absolute[0]),
        )


def _raw(rows: NDArray[np.float32], offset: NDArray[np.float64] | None) -> NDArray[np.float32]:
    """The raw values in float32, which are less exact than the differences from the offset."""
    return rows if offset is None else (rows + offset).astype(np.float32)


def _lengths(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The lengths (N, 1) of rows, in float64 if squares overflow float32."""
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    long = ~np.isfinite(lengths[:, 0])
    if long.any():
        lengths[long] = np.linalg.norm(rows[long].astype(np.float64), axis=1, keepdims=True)
    return lengths


def _logarithms(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """log(1 + x) of features (N, D); a memory map if they are one."""
    if not is_mapped(rows):
        return np.log1p(rows)
    out = empty_like(rows, rows.shape)
    for part in chunks(*rows.shape):
        out[part] = np.log1p(rows[part])
    return out


def _moments(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each dimension of features (N, D); memory maps are read part by part."""
    if not is_mapped(rows):
        return rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    parts = list(chunks(*rows.shape))
    mean, squares = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    for part in parts:
        mean += rows[part].sum(axis=0, dtype=np.float64) / len(rows)
    for part in parts:
        squares += np.square(rows[part] - mean).sum(axis=0) / len(rows)
    return mean, np.sqrt(squares)


def _principal_axes(
    rows: NDArray[np.float32], center: NDArray[np.float32], count: int
) -> NDArray[np.float32]:
    """The first principal axes (D, count) of features (N, D), with signs fixed so that runs agree."""
    if is_mapped(rows):
        centered = (rows[part] - center for part in chunks(*rows.shape))
        covariance = sum((part.T @ part).astype(np.float64) for part in centered) / len(rows)
    else:
        centered = rows - center
        covariance = (centered.T @ centered).astype(np.float64) / len(centered)
    variance, axes = np.linalg.eigh(covariance)
    order = np.argsort(variance)[::-1][:count]
    chosen = axes[:, order]
    chosen *= np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(count)])
    return np.ascontiguousarray(chosen, dtype=np.float32)
