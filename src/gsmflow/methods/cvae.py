"""Conditional VAE for zero-shot learning (Mishra et al., CVPR Workshops 2018).

How it works is in [`gsmflow.methods.workings.cvae`][gsmflow.methods.workings.cvae].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class CVAEOptions(Options):
    """Sizes and training of encoder and decoder."""

    table = "cvae"

    epochs: int = option(40, "passes over the training features", low=1, search="10:100:log")
    batch_size: int = option(128, "training features in a step", low=1)
    learning_rate: float = option(1e-3, "Adam's", above=0, search="2e-4:3e-3:log")
    hidden: int = option(512, "hidden size of encoder and decoder", low=1, search="256,512,1024")
    latent: int = option(50, "dimensions of z", low=1)
    beta: float = option(1.0, "weight of the KL term", low=0, search="0.01:3:log")


METHOD = Method(
    name="cvae",
    citation="Mishra et al., A generative model for zero shot learning using conditional variational "
    "autoencoders, CVPR Workshops 2018",
    options=CVAEOptions,
    learner=later("gsmflow.methods.workings.cvae:CVAELearner"),
    kind="trained generator",
    speed="1 to 2 minutes",
    when="a generator for a first comparison: small, quick and steady",
)
