"""CNZSL (Skorokhodov and Elhoseiny, ICLR 2021): from semantics to a classifier, with class normalization.

How it works is in [`gsmflow.methods.workings.cnzsl`][gsmflow.methods.workings.cnzsl].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class CNZSLOptions(Options):
    """Sizes and training. The defaults are the published ones, except for `nonnegative`."""

    table = "cnzsl"

    epochs: int = option(50, "passes over the training features", low=1, search="20:100:log")
    batch_size: int = option(256, "training features in a step", low=1)
    learning_rate: float = option(
        5e-4, "learning rate of Adam; a tenth of it after half of the epochs", above=0, search="2e-4:2e-3:log"
    )
    weight_decay: float = option(1e-4, "Adam's L2 term", low=0)
    hidden: int = option(1024, "hidden size of the network", low=1, search="256,512,1024")
    scale: float = option(5.0, "gamma: features and prototypes have this length", above=0, search="2:8")
    nonnegative: bool = option(
        False,
        "end in a ReLU, as published; only for non-negative features, so not after a projection",
    )


METHOD = Method(
    name="cnzsl",
    citation="Skorokhodov and Elhoseiny, Class normalization for (continual) generalized zero-shot learning, "
    "ICLR 2021",
    options=CNZSLOptions,
    learner=later("gsmflow.methods.workings.cnzsl:CNZSLLearner"),
    kind="classifier by itself",
    speed="10 seconds to 1 minute",
    when="a network from semantics to classes; the best method that trains in so little time",
)
