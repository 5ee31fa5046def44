"""GSMFlow's likelihood as a gate: it decides between seen and unseen, and a softmax head on each side chooses the
class.

The head of the seen classes is trained on real features, that of the unseen classes on synthetic ones.
[`GatedHead`][gsmflow.heads.likelihood.GatedHead] says how the three are combined.
"""

from __future__ import annotations

import torch

from gsmflow.heads.likelihood import GatedHead
from gsmflow.heads.linear import LinearHead
from gsmflow.learning.head_data import Pool, Stream
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.softmax import train_head
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.likelihood_gate import GateOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner
from gsmflow.methods.workings.likelihood import LikelihoodLearner, likelihood_head


class GateLearner(LikelihoodLearner):
    """The flow in training; the heads are trained when they are asked for."""

    def __init__(self, flow: GSMFlowLearner, options: GateOptions) -> None:
        super().__init__(flow)
        self.options = options

    def head(self) -> GatedHead:  # type: ignore[override]
        """Both heads and the gate with the current weights."""
        flow, options, data = self.flow, self.options, self.flow.data
        heads = HeadOptions(
            learning_rate=options.head_learning_rate,
            epochs=options.head_epochs,
            batch_size=options.head_batch_size,
        )
        pool = Pool.synthesize(flow, data, options.synthetic_per_class, flow.seed)
        real = Pool(data.features, data.labels, len(data.labels))

        def last(part: Pool | Stream, classes: torch.Tensor, name: str) -> LinearHead:
            *_, head = train_head(part, len(classes), heads, flow.seed, name)
            return head

        return GatedHead(
            likelihood_head(flow),
            data.seen,
            data.unseen,
            last(real, data.seen, "gate seen"),
            last(pool.synthetic(data.unseen), data.unseen, "gate unseen"),
        )


def learner(data: TrainingData, options: GateOptions, seed: int) -> GateLearner:
    """A learner for the data."""
    return GateLearner(GSMFlowLearner(data, options, seed), options)
