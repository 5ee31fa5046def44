"""RLVC (Hou et al., CVPR 2026) on the flow: outcome-reward tuning with class-wise visual cues.

The equations, and what differs from the paper, are in [`gsmflow.learning.reward`][gsmflow.learning.reward]; the two
updates of a step are in [`gsmflow.methods.workings.flow_reward`][gsmflow.methods.workings.flow_reward]. The method is
`gsmflow` with ``reward.tune``, under a name and with options of its own.
"""

from __future__ import annotations

from gsmflow.learning.reward import Reward
from gsmflow.learning.reward_options import RewardOptions
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.rlvc import RLVCOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner


def learner(data: TrainingData, options: RLVCOptions, seed: int) -> GSMFlowLearner:
    """The flow, tuned by outcome."""
    reward = RewardOptions(
        tune=True,
        cold_start=options.cold_start,
        outcome_weight=options.outcome_weight,
        distillation_weight=options.distillation_weight,
        baseline_decay=options.baseline_decay,
        classifier_epochs=options.reward_epochs,
        classifier_learning_rate=options.reward_learning_rate,
    )
    return GSMFlowLearner(data, options, seed).rewarded(Reward(data, reward, seed))
