"""SAE (Kodirov et al., CVPR 2017): a linear auto-encoder whose code is the semantics, in closed form.

How it works is in [`gsmflow.methods.workings.sae`][gsmflow.methods.workings.sae].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gsmflow.base.options import Options, option
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class SAEOptions(Options):
    """The weight of encoding against decoding, and the space in which classes are compared."""

    table = "sae"

    encoding: float = option(
        0.0, "exponent of 10: lambda, the weight of encoding, in units of the data", low=-12, high=12
    )
    decoded: bool = option(
        True, "compare features with decoded semantics, not semantics with encoded features"
    )
    tried: int = option(
        4, "exponents tried on either side, in both spaces, if the protocol may choose", low=0, high=12
    )


def _at(options: SAEOptions, parameters: Mapping[str, float]) -> SAEOptions:
    return replace(options, encoding=parameters["encoding"], decoded=bool(parameters["decoded"]), tried=0)


METHOD = Method(
    name="sae",
    citation="Kodirov et al., Semantic autoencoder for zero-shot learning, CVPR 2017",
    options=SAEOptions,
    direct=later("gsmflow.methods.workings.sae:solutions"),
    at=_at,
    kind="closed form",
    speed="seconds",
    when="a linear map that must also reconstruct the features, for a baseline in papers",
)
