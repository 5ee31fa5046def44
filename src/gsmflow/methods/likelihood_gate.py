"""GSMFlow's likelihood as a gate: it says seen or unseen, a softmax head on each side says which class.

The head of the seen classes is trained on real features, that of the unseen ones on synthetic features; the
margin of the gate and how the three are put together: [`GatedHead`][gsmflow.heads.likelihood.GatedHead].
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
    """Those of GSMFlow, and those of the two heads."""

    table = "likelihood-gate"

    synthetic_per_class: int = option(300, "features synthesized for each unseen class", low=1)
    head_epochs: int = option(20, "passes of each head over its features", low=1)
    head_learning_rate: float = option(0.005, "Adam's, of both heads", above=0)
    head_batch_size: int = option(256, "features a step of the heads", low=1)


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
