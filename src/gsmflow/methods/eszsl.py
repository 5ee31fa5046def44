"""ESZSL (Romera-Paredes and Torr, ICML 2015): a bilinear map from features to classes, in closed form.

How it works is in [`gsmflow.methods.workings.eszsl`][gsmflow.methods.workings.eszsl].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gsmflow.base.options import Options, option
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class ESZSLOptions(Options):
    """Regularizers of ESZSL: 10 to the power of an option, times the mean of the diagonal it is added to."""

    table = "eszsl"

    gamma: float = option(-1.0, "exponent of the regularizer on features", low=-12, high=12)
    semantic: float = option(-1.0, "exponent of the regularizer on semantics", low=-12, high=12)
    tried: int = option(
        4, "exponents tried on either side of both, if the protocol may choose", low=0, high=12
    )


def _at(options: ESZSLOptions, parameters: Mapping[str, float]) -> ESZSLOptions:
    return replace(options, **parameters, tried=0)


METHOD = Method(
    name="eszsl",
    citation="Romera-Paredes and Torr, An embarrassingly simple approach to zero-shot learning, ICML 2015",
    options=ESZSLOptions,
    direct=later("gsmflow.methods.workings.eszsl:solutions"),
    cheap=True,
    at=_at,
    kind="closed form",
    speed="seconds",
    when="a bilinear map, for a baseline in papers",
)
