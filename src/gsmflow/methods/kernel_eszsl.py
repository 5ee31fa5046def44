"""Kernel ESZSL (Romera-Paredes and Torr, ICML 2015, section 3.3) with a Gaussian kernel (random Fourier features).

The kernel k(x, x') = exp(-|x - x'|^2 / (2 w^2)) is the expectation of phi(x)' phi(x') with

    phi(x) = sqrt(2 / R) cos(Omega x + b),  Omega_ij ~ N(0, 1 / w^2),  b_i ~ U[0, 2 pi]

(Rahimi and Recht, NIPS 2007). ESZSL is then solved on phi(x). Its cost grows with R, not with the square of
the number of samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from gsmflow.base.options import option
from gsmflow.compute.randomness import normal, stream
from gsmflow.heads.representation import Representation, RepresentedHead
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.eszsl import ESZSLOptions, solutions
from gsmflow.methods.method import Method


@dataclass(frozen=True)
class KernelESZSLOptions(ESZSLOptions):
    """Options of ESZSL, and of the kernel."""

    table = "kernel-eszsl"

    tried: int = option(
        2, "exponents tried to each side of both, where the protocol may choose", low=0, high=12
    )
    fourier_features: int = option(2048, "R, random Fourier features", low=1)
    width: float = option(0.0, "exponent of 2: the kernel's width w, times the median distance of features")
    widths_tried: int = option(2, "exponents of the width tried to each side", low=0, high=12)


def _solutions(
    data: TrainingData, options: KernelESZSLOptions
) -> Iterator[tuple[dict[str, float], RepresentedHead]]:
    count, dim, device = options.fourier_features, data.features.shape[1], data.device
    omega = normal((count, dim), device, 0, "fourier")
    phase = torch.rand(count, generator=stream("cpu", 0, "phase")).to(device) * 2 * math.pi
    distance = median_distance(data.features)
    for shift in sorted(range(-options.widths_tried, options.widths_tried + 1), key=abs):
        width = options.width + shift
        phi = Representation(((omega / (2**width * distance), phase, "cos"),), (1,))
        mapped = replace(data, features=torch.cat([phi(rows) for rows in data.features.split(1 << 14)]))
        for parameters, head in solutions(mapped, options):
            yield {"width": width, **parameters}, RepresentedHead(phi, head)


def median_distance(features: torch.Tensor) -> float:
    """The median Euclidean distance between up to 1,000 of the features (N, D); 1 where that is 0."""
    some = features[:: max(1, len(features) // 1000)][:1000]
    return float(torch.pdist(some).median()) or 1.0 if len(some) > 1 else 1.0


METHOD = Method(
    name="kernel-eszsl",
    citation="Romera-Paredes and Torr, An embarrassingly simple approach to zero-shot learning, ICML 2015",
    options=KernelESZSLOptions,
    direct=_solutions,
)
