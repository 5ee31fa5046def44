"""GSMFlow's likelihood as a gate: it decides between seen and unseen, and a softmax head for each kind
decides which class.

The head of the seen classes is trained on real features, that of the unseen classes on synthetic ones.
[`GatedHead`][gsmflow.heads.likelihood.GatedHead] says how the three are combined.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gsmflow.base.options import option
from gsmflow.heads.likelihood import GatedHead
from gsmflow.heads.linear import LinearHead
from gsmflow.learning.head_data import Pool, Stream
from gsmflow.learning.softmax import HeadOptions, train_head
from gsmflow.methods.gsmflow import PARTS, GSMFlowLearner, GSMFlowOptions
from gsmflow.methods.likelihood import LikelihoodLearner, likelihood_head
from gsmflow.methods.method import Method


@dataclass(frozen=True)
class GateOptions(GSMFlowOptions):
    """Options of GSMFlow, and of the two heads."""

    table = "likelihood-gate"

    synthetic_per_class: int = option(300, "features synthesized for each unseen class", low=1)
    head_epochs: int = option(20, "passes of each head over its features", low=1)
    head_learning_rate: float = option(0.005, "Adam's, of both heads", above=0)
    head_batch_size: int = option(256, "features in a step of the heads", low=1)


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


METHOD = Method(
    name="likelihood-gate",
    citation="the flow of Chen et al. (ACM MM 2021) as a gate",
    options=GateOptions,
    inherits="gsmflow",
    parts=PARTS,
    divisible=True,
    learner=lambda data, options, seed: GateLearner(GSMFlowLearner(data, options, seed), options),
)
