"""SDGZSL (Chen et al., ICCV 2021): a conditional VAE, and features divided into a semantic and another part.

How it works is in [`gsmflow.methods.workings.sdgzsl`][gsmflow.methods.workings.sdgzsl].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import option
from gsmflow.methods.cvae import CVAEOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class SDGZSLOptions(CVAEOptions):
    """Options of the VAE, and of the divided code."""

    table = "sdgzsl"

    epochs: int = option(40, "passes over the training features", low=1, search="20:200:log")
    learning_rate: float = option(3e-4, "Adam's", above=0, search="1e-4:2e-3:log")
    code: int = option(512, "dimensions of each part of the code", low=1, search="256,512,1024")
    relation_hidden: int = option(128, "hidden size of the relation network", low=1)
    relation_weight: float = option(
        0.1, "lambda_R, weight of the relation of code and semantics", low=0, search="0.01:30:log"
    )
    correlation_weight: float = option(
        0.01, "lambda_TC, weight of the total correlation of both parts", low=0, search="0.001:0.1:log"
    )


METHOD = Method(
    name="sdgzsl",
    citation="Chen et al., Semantics disentangling for generalized zero-shot learning, ICCV 2021",
    options=SDGZSLOptions,
    learner=later("gsmflow.methods.workings.sdgzsl:SDGZSLLearner"),
    parts={
        "without the relation": ("relation_weight=0",),
        "without the total correlation": ("correlation_weight=0",),
    },
    kind="trained generator",
    speed="1 to 5 minutes",
    when="a VAE by the authors of gsmflow, whose head sees only the part of a feature that semantics explain",
)
