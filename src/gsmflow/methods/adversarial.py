"""What methods with a Wasserstein critic share (WGAN-GP: Gulrajani et al., NIPS 2017).

How it works is in [`gsmflow.methods.workings.adversarial`][gsmflow.methods.workings.adversarial].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option


@dataclass(frozen=True)
class AdversarialOptions(Options):
    """Sizes and training of generator and critic."""

    epochs: int = option(60, "generator steps, in passes over the training features", low=1)
    batch_size: int = option(256, "training features in a step", low=1)
    learning_rate: float = option(1e-3, "learning rate of Adam with beta = (0.5, 0.999)", above=0)
    hidden: int = option(512, "hidden size of all networks", low=1)
    latent: int = option(64, "dimensions of z", low=1)
    critic_steps: int = option(5, "steps of the critic for one of the generator", low=1)
