"""RLVC (Hou et al., CVPR 2026) on the flow: a generator is tuned by how well a classifier recognises its features.

How it works is in [`gsmflow.methods.workings.rlvc`][gsmflow.methods.workings.rlvc].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import option
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class RLVCOptions(GSMFlowOptions):
    """Options of the flow, and of the tuning by outcome."""

    table = "rlvc"

    cold_start: float = option(0.5, "fraction of the training before the tuning", low=0, below=1)
    outcome_weight: float = option(
        0.1, "weight of the outcome loss; 0 switches it off", low=0, search="0.01:1:log"
    )
    distillation_weight: float = option(
        0.1, "lambda_PD, weight of the distance to visual prototypes", low=0, search="0.01:1:log"
    )
    baseline_decay: float = option(0.9, "alpha, decay of the mean reward that is subtracted", low=0, below=1)
    reward_epochs: int = option(20, "passes in the training of the classifier that gives rewards", low=1)
    reward_learning_rate: float = option(0.005, "Adam's, of that classifier", above=0)


METHOD = Method(
    name="rlvc",
    citation="Hou et al., Incentivizing generative zero-shot learning via outcome-reward reinforcement learning with "
    "visual cues, CVPR 2026",
    options=RLVCOptions,
    inherits="gsmflow",
    learner=later("gsmflow.methods.workings.rlvc:learner"),
    rebuild=later("gsmflow.methods.workings.gsmflow:GSMFlowLearner"),
    parts={
        "without the outcome": ("outcome_weight=0",),
        "without visual prototypes": ("distillation_weight=0",),
    },
    kind="trained generator",
    speed="2 to 6 minutes",
    when="the flow tuned for a classifier of seen classes: to be compared with gsmflow on validation problems",
)
