"""FREE (Chen et al., ICCV 2021): f-VAEGAN-D2 with a refinement of features that semantics and class centres shape.

How it works is in [`gsmflow.methods.workings.free`][gsmflow.methods.workings.free].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import option
from gsmflow.methods.f_vaegan_d2 import VAEGANOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class FREEOptions(VAEGANOptions):
    """Options of f-VAEGAN-D2, and of the refinement."""

    table = "free"

    cycle_weight: float = option(0.01, "lambda_R, of the semantic cycle", low=0, search="0.001:1:log")
    centre_weight: float = option(
        0.05, "lambda_C, of the margin to the centres", low=0, search="0.005:0.5:log"
    )
    centre_margin: float = option(0.1, "Delta, by how much another centre has to be farther", low=0)
    balance: float = option(
        0.5, "gamma, weight of the own centre against the nearest other one", low=0, high=1
    )


METHOD = Method(
    name="free",
    citation="Chen et al., FREE: feature refinement for generalized zero-shot learning, ICCV 2021",
    options=FREEOptions,
    learner=later("gsmflow.methods.workings.free:FREELearner"),
    parts={
        "without the cycle": ("cycle_weight=0",),
        "without the centres": ("centre_weight=0",),
    },
    kind="trained generator",
    speed="2 to 6 minutes",
    when="a GAN whose head also sees features refined towards semantics and class centres; see tf-vaegan",
)
