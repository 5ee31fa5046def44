"""IZF, invertible zero-shot flow (Shen et al., ECCV 2020): a flow to a semantic and a non-semantic factor.

How it works is in [`gsmflow.methods.workings.izf`][gsmflow.methods.workings.izf].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class IZFOptions(Options):
    """Sizes, training and weights."""

    table = "izf"

    epochs: int = option(40, "passes over the training features", low=1)
    batch_size: int = option(128, "training features in a step", low=1)
    learning_rate: float = option(5e-4, "Adam's", above=0)
    weight_decay: float = option(1e-4, "Adam's L2 term", low=0)
    blocks: int = option(3, "coupling blocks", low=1)
    hidden: int = option(512, "hidden size of the coupling subnets", low=1)
    factor: int = option(64, "K, most dimensions of the semantic factor; see the module", low=1)
    separation: float = option(
        2.0, "standard deviation of each dimension of c over the seen classes", above=0
    )
    central_weight: float = option(1.0, "lambda_C, weight of the centralizing loss", low=0)
    discrepancy_weight: float = option(0.1, "lambda_MMD, weight of the negative discrepancy", low=0)


METHOD = Method(
    name="izf",
    citation="Shen et al., Invertible zero-shot recognition flows, ECCV 2020",
    options=IZFOptions,
    learner=later("gsmflow.methods.workings.izf:IZFLearner"),
    kind="trained generator",
    speed="1 to 5 minutes",
    when="another flow, to compare gsmflow with",
)
