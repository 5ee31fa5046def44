"""Options of tuning a generator by its outcome, as [`gsmflow.learning.reward`][gsmflow.learning.reward] does."""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option


@dataclass(frozen=True)
class RewardOptions(Options):
    """Whether and how any generator is tuned by how well a classifier recognises what it synthesizes."""

    table = "reward"

    tune: bool = option(
        False,
        "tune the generator by how well a classifier of the seen classes recognises what it synthesizes for them "
        "(after Hou et al., CVPR 2026); only for methods with a generator",
    )
    cold_start: float = option(
        0.5, "fraction of the training before the tuning", low=0, below=1, search="0.2:0.9"
    )
    outcome_weight: float = option(
        0.1, "weight of the outcome loss; 0 switches it off", low=0, search="0.01:1:log"
    )
    distillation_weight: float = option(
        0.1, "lambda_PD, weight of the distance to visual prototypes", low=0, search="0.01:1:log"
    )
    baseline_decay: float = option(0.9, "alpha, decay of the mean reward that is subtracted", low=0, below=1)
    classifier_epochs: int = option(20, "passes in the training of the classifier that gives rewards", low=1)
    classifier_learning_rate: float = option(0.005, "Adam's, of that classifier", above=0)
