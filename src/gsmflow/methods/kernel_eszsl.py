"""Kernel ESZSL (Romera-Paredes and Torr, ICML 2015, section 3.3) with a Gaussian kernel.

How it works is in [`gsmflow.methods.workings.kernel_eszsl`][gsmflow.methods.workings.kernel_eszsl].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gsmflow.base.options import option
from gsmflow.methods.eszsl import ESZSLOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class KernelESZSLOptions(ESZSLOptions):
    """Options of ESZSL and of the kernels; gamma and lambda are exponents of the regularizers themselves."""

    table = "kernel-eszsl"

    gamma: float = option(-1.0, "exponent of the regularizer on features", low=-12, high=12)
    semantic: float = option(-1.0, "exponent of the regularizer on semantics", low=-12, high=12)
    tried: int = option(
        2, "exponents tried on either side of both, if the protocol may choose", low=0, high=12
    )
    width: float = option(1.0, "exponent of 2: the kernel's width w, times the median distance of features")
    widths_tried: int = option(1, "exponents of the width tried on either side", low=0, high=12)
    semantic_width: float = option(
        0.0, "width of a Gaussian kernel on semantics, times their median distance; 0: a linear kernel", low=0
    )
    semantic_widths_tried: bool = option(
        True, "also try the semantic widths 1 and 0, if the protocol may choose"
    )
    exact_up_to: int = option(3000, "training features up to which the kernel is exact", low=1)
    landmarks: int = option(1500, "training features that the kernel compares with if there are more", low=1)
    fourier_features: int = option(0, "R, random Fourier features in place of the kernel; 0: none", low=0)


def _at(options: KernelESZSLOptions, parameters: Mapping[str, float]) -> KernelESZSLOptions:
    return replace(options, **parameters, tried=0, widths_tried=0, semantic_widths_tried=False)


METHOD = Method(
    name="kernel-eszsl",
    citation="Romera-Paredes and Torr, An embarrassingly simple approach to zero-shot learning, ICML 2015",
    options=KernelESZSLOptions,
    direct=later("gsmflow.methods.workings.kernel_eszsl:kernel_solutions"),
    at=_at,
    kind="closed form",
    speed="seconds to 1 minute",
    when="as eszsl, for data without a linear map, such as digits",
)
