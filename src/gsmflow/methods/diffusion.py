"""A diffusion model of features (Ho et al., NeurIPS 2020), conditioned as ZeroDiff (Ye et al., ICLR 2025) does.

How it works is in [`gsmflow.methods.workings.diffusion`][gsmflow.methods.workings.diffusion].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class DiffusionOptions(Options):
    """Sizes, training and the steps of synthesis."""

    table = "diffusion"

    epochs: int = option(60, "passes over the training features", low=1, search="20:200:log")
    batch_size: int = option(128, "training features in a step", low=1)
    learning_rate: float = option(1e-3, "Adam's", above=0, search="2e-4:3e-3:log")
    hidden: int = option(512, "size of both hidden layers", low=1, search="256,512,1024")
    noise_levels: int = option(20, "T, noise levels of training and steps of synthesis", low=2)
    lowest: float = option(0.1, "beta_min, how fast noise is added at the beginning", above=0)
    highest: float = option(20.0, "beta_max, how fast noise is added at the end", above=0)


METHOD = Method(
    name="diffusion",
    citation="Ye et al., ZeroDiff: solidified visual-semantic correlation in zero-shot learning, ICLR 2025; Ho et al., "
    "Denoising diffusion probabilistic models, NeurIPS 2020",
    options=DiffusionOptions,
    learner=later("gsmflow.methods.workings.diffusion:DiffusionLearner"),
    kind="trained generator",
    speed="1 to 3 minutes",
    when="a generator that removes noise step by step; no critic, one loss",
)
