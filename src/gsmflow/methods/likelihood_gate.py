"""GSMFlow's likelihood as a gate: it decides between seen and unseen, and a softmax head for each kind
decides which class.

How it works is in [`gsmflow.methods.workings.likelihood_gate`][gsmflow.methods.workings.likelihood_gate].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import option
from gsmflow.methods.gsmflow import PARTS, GSMFlowOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class GateOptions(GSMFlowOptions):
    """Options of GSMFlow, and of the two heads."""

    table = "likelihood-gate"

    synthetic_per_class: int = option(300, "features synthesized for each unseen class", low=1)
    head_epochs: int = option(20, "passes of each head over its features", low=1)
    head_learning_rate: float = option(0.005, "Adam's, of both heads", above=0)
    head_batch_size: int = option(256, "features in a step of the heads", low=1)


METHOD = Method(
    name="likelihood-gate",
    citation="the flow of Chen et al. (ACM MM 2021) as a gate",
    options=GateOptions,
    inherits="gsmflow",
    fixed={"residual": False},
    parts=PARTS,
    divisible=True,
    learner=later("gsmflow.methods.workings.likelihood_gate:learner"),
    kind="classifier by itself",
    speed="2 to 6 minutes",
    when="as likelihood, if a softmax separates the classes on each side better",
)
