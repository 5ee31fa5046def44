"""Kernel ESZSL (Romera-Paredes and Torr, ICML 2015, section 3.3) with a Gaussian kernel.

With kernel matrices K of the training features (N, N) and K_s of the semantics of the seen classes (S, S), and targets
Y (N, S) of +1 / -1::

    k(x, x') = exp(-|x - x'|^2 / (2 w^2))
    logit of class c for x:  k(x, X) (K + gamma I)^-1  Y (K_s + lambda I)^-1 k_s(S, a_c)

With the linear kernel k_s(a, a') = a'a' the right half is that of ESZSL. Here semantics are centered, and a Gaussian
kernel on them may be tried too.

Up to `exact_up_to` training features this is solved exactly. With more features, `landmarks` of them are drawn, evenly
over the classes, and their coefficients are fitted to all features (subset of regressors: Smola and Schölkopf, ICML
2000)::

    k(x, Z) (K_zx K_xz + gamma K_zz)^-1  K_zx Y (K_s + lambda I)^-1 k_s(S, a_c)

For problems too large for both there are random Fourier features (Rahimi and Recht, NIPS 2007), whose cost depends on
their number alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from gsmflow.compute.finite import TrainingFailed
from gsmflow.compute.randomness import normal, stream
from gsmflow.heads.base import Head
from gsmflow.heads.kernel import GaussianKernel, KernelHead
from gsmflow.heads.representation import Representation, RepresentedHead
from gsmflow.learning.tensors import TrainingData, evenly_drawn
from gsmflow.methods.kernel_eszsl import KernelESZSLOptions
from gsmflow.methods.workings.eszsl import solutions, targets
from gsmflow.methods.workings.semantic_kernel import regression, semantic_kernel

_ROWS = 1 << 13  # training features whose kernels with the landmarks are computed in one go
_JITTER = 1e-5  # added to the diagonal of a kernel matrix before it is factorized


def kernel_solutions(
    data: TrainingData, options: KernelESZSLOptions
) -> Iterator[tuple[dict[str, float], Head]]:
    """A head for every width and pair of exponents to try; the one in the options comes first."""
    distance = median_distance(data.features)
    solve = _by_fourier if options.fourier_features else _by_kernel
    for shift in sorted(range(-options.widths_tried, options.widths_tried + 1), key=abs):
        width = options.width + shift
        for parameters, head in solve(data, options, 2**width * distance):
            yield {"width": width, **parameters}, head


def _by_kernel(
    data: TrainingData, options: KernelESZSLOptions, width: float
) -> Iterator[tuple[dict[str, float], Head]]:
    """Heads of one width: the exact solution, or the solution on landmarks."""
    exact = len(data.features) <= options.exact_up_to
    centers = data.features if exact else data.features[evenly_drawn(data.labels, options.landmarks)]
    system = _System(data, GaussianKernel(centers, width), exact)
    shifts = sorted(range(-options.tried, options.tried + 1), key=abs)
    kernels = [(each, semantic_kernel(data, each)) for each in _semantic_widths(options)]
    semantics = [
        (each, ds, regression(between, data.seen, options.semantic + ds))
        for each, between in kernels
        for ds in shifts
    ]
    for dg in shifts:
        gamma = options.gamma + dg
        name = "kernel-eszsl", exact, len(centers), width, gamma
        coefficients = data.once(name, partial(system.solution, gamma))
        for semantic_width, ds, across in semantics:
            parameters = {"gamma": gamma, "semantic": options.semantic + ds, "semantic_width": semantic_width}
            yield parameters, KernelHead(system.kernel, (coefficients @ across).T.float().contiguous())


@dataclass(frozen=True)
class _System:
    """The linear system of one width; its matrices are computed when they are first needed."""

    data: TrainingData
    kernel: GaussianKernel
    exact: bool

    @cached_property
    def _among(self) -> Tensor:
        """K_zz (M, M)."""
        among = self.kernel(self.kernel.centers).double()
        among.diagonal().add_(_JITTER)
        return among

    @cached_property
    def _sides(self) -> tuple[Tensor | None, Tensor]:
        """K_zx K_xz (M, M) where there are landmarks, and the right side (M, S)."""
        if self.exact:
            return None, targets(self.data.labels, len(self.data.seen))
        return _products(self.data, self.kernel)

    def solution(self, gamma: float) -> Tensor:
        """The coefficients (M, S) with the regularizer 10^gamma."""
        gram, right = self._sides
        if gram is None:
            left = self._among.clone()
            left.diagonal().add_(10**gamma)
        else:
            left = gram + 10**gamma * self._among
        return torch.cholesky_solve(right, _factor(left))


def _factor(matrix: Tensor) -> Tensor:
    """The Cholesky factor; if rounding made the matrix indefinite, a little is added to its diagonal first."""
    size = matrix.diagonal().mean()
    for exponent in range(-9, 0):
        factor, broken = torch.linalg.cholesky_ex(matrix)
        if not broken:
            return factor
        matrix.diagonal().add_(10**exponent * size)
    raise TrainingFailed(
        "kernel-eszsl: the kernel matrix cannot be factorized; choose another features.scaling"
    )


def _semantic_widths(options: KernelESZSLOptions) -> list[float]:
    also = (0.0, 1.0) if options.semantic_widths_tried else ()
    return list(dict.fromkeys((options.semantic_width, *also)))


def _products(data: TrainingData, kernel: GaussianKernel) -> tuple[Tensor, Tensor]:
    """K_zx K_xz (M, M) and K_zx Y (M, S) over all training features, some rows at a time."""
    size = len(kernel.centers)
    gram = torch.zeros(size, size, dtype=torch.float64, device=data.device)
    right = torch.zeros(size, len(data.seen), dtype=torch.float64, device=data.device)
    for rows, labels in zip(data.features.split(_ROWS), data.labels.split(_ROWS), strict=True):
        part = kernel(rows).double()
        gram += part.T @ part
        right += part.T @ targets(labels, len(data.seen))
    return gram, right


def _by_fourier(
    data: TrainingData, options: KernelESZSLOptions, width: float
) -> Iterator[tuple[dict[str, float], Head]]:
    """ESZSL on phi(x) = sqrt(2 / R) cos(Omega x + b), without the factor sqrt(2 / R)."""
    count, dim, device = options.fourier_features, data.features.shape[1], data.device
    omega = normal((count, dim), device, 0, "fourier")
    phase = torch.rand(count, generator=stream("cpu", 0, "phase")).to(device) * 2 * math.pi
    phi = Representation(((omega / width, phase, "cos"),), (1,))
    mapped = replace(data, features=torch.cat([phi(rows) for rows in data.features.split(1 << 14)]))
    for parameters, head in solutions(mapped, options):
        yield parameters, RepresentedHead(phi, head)


def median_distance(features: torch.Tensor) -> float:
    """The median Euclidean distance between up to 1,000 of the features (N, D); 1 where that is 0."""
    some = features[:: max(1, len(features) // 1000)][:1000]
    return float(torch.pdist(some).median()) or 1.0 if len(some) > 1 else 1.0
