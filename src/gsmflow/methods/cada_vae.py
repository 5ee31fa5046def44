"""CADA-VAE (Schoenfeld et al., CVPR 2019): VAEs of features and of semantics with one latent space.

How it works is in [`gsmflow.methods.workings.cada_vae`][gsmflow.methods.workings.cada_vae].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class CADAOptions(Options):
    """Sizes, training, and the weights of the losses."""

    table = "cada-vae"

    epochs: int = option(60, "passes over the training features", low=1)
    batch_size: int = option(64, "training features in a step", low=1)
    learning_rate: float = option(5e-4, "Adam's", above=0)
    hidden: int = option(512, "hidden size of all networks", low=1)
    latent: int = option(64, "dimensions of z", low=1)
    beta: float = option(0.25, "final weight of the KL terms", low=0)
    cross_weight: float = option(2.37, "gamma, final weight of cross-alignment", low=0)
    alignment_weight: float = option(8.13, "delta, final weight of distribution alignment", low=0)


METHOD = Method(
    name="cada-vae",
    citation="Schoenfeld et al., Generalized zero- and few-shot learning via aligned variational "
    "autoencoders, CVPR 2019",
    options=CADAOptions,
    learner=later("gsmflow.methods.workings.cada_vae:CADALearner"),
    kind="trained generator",
    speed="2 to 5 minutes",
    when="features and semantics meet in one latent space; for many classes with few samples each",
)
