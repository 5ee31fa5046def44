"""GSMFlow's flow as a classifier: log p(x | class) of every class, no synthesis and no head.

By the change of variables, with z = f(x; g(a_c))::

    log p(x | c) = log|det dz/dx| - |z|^2 / 2 - D / 2 log(2 pi)
"""

from __future__ import annotations

from gsmflow.flow.model import GSMFlow
from gsmflow.heads.likelihood import LikelihoodHead
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.likelihood import LikelihoodOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner


def likelihood_head(learner: GSMFlowLearner) -> LikelihoodHead:
    """The float32 classifier of a flow in training: bfloat16 is too coarse for log-determinants."""
    clamp = learner.options.clamp
    model = GSMFlow.from_state({name: t.clone() for name, t in learner.weights().items()}, clamp)
    return LikelihoodHead(model.to(learner.data.device), learner.data.semantics, clamp)


class LikelihoodLearner:
    """The flow in training (see [`Scorer`][gsmflow.learning.learner.Scorer])."""

    def __init__(self, flow: GSMFlowLearner) -> None:
        self.flow = flow
        self.steps_per_epoch, self.total_steps = flow.steps_per_epoch, flow.total_steps
        self.step, self.weights, self.load_weights = flow.step, flow.weights, flow.load_weights
        self.state, self.load_state = flow.state, flow.load_state

    def head(self) -> LikelihoodHead:
        """The classifier with the current weights."""
        return likelihood_head(self.flow)


def learner(data: TrainingData, options: LikelihoodOptions, seed: int) -> LikelihoodLearner:
    """A learner for the data."""
    return LikelihoodLearner(GSMFlowLearner(data, options, seed))
