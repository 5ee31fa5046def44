"""The conditional flow without the remedies and without the prototype loss: the baseline of ablations.

The same couplings and the same maximum likelihood as [`gsmflow.methods.gsmflow`][gsmflow.methods.gsmflow],
but semantics enter only the block next to the noise, as they are, and features are not perturbed.
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class CFlowOptions(GSMFlowOptions):
    """Options of GSMFlow with the remedies switched off."""

    table = "cflow"


METHOD = Method(
    name="cflow",
    citation="Chen et al., Mitigating Generation Shifts for Generalized Zero-Shot Learning, ACM MM 2021 "
    "(its cFlow)",
    options=CFlowOptions,
    inherits="gsmflow",
    fixed={
        "residual": False,
        "perturbation": 0.0,
        "prototype_weight": 0.0,
        "prototype_classes": 0,
        "relative_positioning": False,
        "semantics_in_every_layer": False,
    },
    learner=later("gsmflow.methods.workings.gsmflow:GSMFlowLearner"),
    divisible=True,
    kind="trained generator",
    speed="1 to 3 minutes",
    when="the floor of an ablation: what the flow does without its remedies",
)
