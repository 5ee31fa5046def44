"""GSMFlow with boundary samples (Chen et al., IEEE TMM, arXiv 2207.01798) in place of visual perturbation.

How it works is in [`gsmflow.methods.workings.gsmflow_tmm`][gsmflow.methods.workings.gsmflow_tmm].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import option
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class TMMOptions(GSMFlowOptions):
    """Options of GSMFlow, of the relation network and of mining."""

    table = "gsmflow-tmm"

    relation_epochs: int = option(50, "passes in the training of the relation network", low=1)
    relation_hidden: int = option(256, "hidden size of the relation network", low=1)
    relation_learning_rate: float = option(3e-3, "learning rate of Adam for the relation network", above=0)
    mining_rate: float = option(30.0, "length of the steps that move copies to class boundaries", low=0)
    mining_moves: int = option(20, "steps for each moved copy", low=1)
    entropy_weight: float = option(10.0, "weight of the entropy of relation scores", low=0)


METHOD = Method(
    name="gsmflow-tmm",
    citation="Chen et al., GSMFlow: generation shifts mitigating flow for generalized zero-shot learning, "
    "IEEE TMM, arXiv 2207.01798",
    options=TMMOptions,
    inherits="gsmflow",
    fixed={"residual": False, "perturbation": 0.0},
    learner=later("gsmflow.methods.workings.gsmflow_tmm:learner"),
    rebuild=later("gsmflow.methods.workings.gsmflow:GSMFlowLearner"),
    parts={
        "without semantics in every layer": ("semantics_in_every_layer=off",),
        "without mining": ("mining_rate=0",),
        "without relative positioning": ("relative_positioning=off",),
        "without prototype loss": ("prototype_weight=0",),
        "only the flow": (
            "semantics_in_every_layer=off",
            "mining_rate=0",
            "relative_positioning=off",
            "prototype_weight=0",
        ),
    },
    divisible=True,
    kind="trained generator",
    speed="2 to 7 minutes",
    when="the paper's follow-up, to compare with; on small data it gains nothing over gsmflow",
)
