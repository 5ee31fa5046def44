"""Conditional VAE for zero-shot learning (Mishra et al., CVPR Workshops 2018).

With features x, semantics a of their class, encoder q(z | x, a) = N(mu, diag(sigma^2)), decoder G(z, a)::

    L = mean |x - G(z, a)|^2 + beta * mean KL(q(z | x, a) || N(0, I))        z = mu + sigma * eps
    KL = - 1/2 sum (1 + log sigma^2 - mu^2 - sigma^2)

Both terms are sums over dimensions, means over the batch. Features of class u are G(z, a_u) with z ~ N(0, I).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gsmflow.base.options import Options, option
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.method import Method
from gsmflow.methods.networks import ConditionalMLP
from gsmflow.methods.trained import ConditionalPeer, descend


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


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diag(exp(log_variance))) || N(0, I)) in nats, row by row: (B,) for (B, Z)."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1)


class CVAELearner(ConditionalPeer):
    """CVAE in training."""

    def __init__(self, data: TrainingData, options: CVAEOptions, seed: int) -> None:
        super().__init__(data, options.batch_size, options.epochs, seed)
        self.options, self.noise_dim = options, options.latent
        hidden, latent = options.hidden, options.latent
        encoder = ConditionalMLP(self.dim, self.semantic_dim, [hidden, 2 * latent])
        decoder = ConditionalMLP(latent, self.semantic_dim, [hidden, self.dim])
        self.encoder, self.decoder = self.add("encoder", encoder), self.add("decoder", decoder)
        self.adam = self.optimize("adam", [self.encoder, self.decoder], options.learning_rate)

    def step(self, index: int) -> Losses:
        """One step of Adam on the evidence lower bound."""
        x, rows = self.batch(index)
        mean, log_variance = self.encoder(x, self.a, rows).chunk(2, dim=1)
        z = mean + (log_variance / 2).exp() * self.noise(len(x), "latent", index)
        reconstruction = (x - self.decoder(z, self.a, rows)).square().sum(dim=1).mean()
        divergence = kl_to_standard_normal(mean, log_variance).mean()
        loss = reconstruction + self.options.beta * divergence
        return descend(self.adam, loss, reconstruction=reconstruction, divergence=divergence)

    def synthesize(self, z: Tensor, semantics: Tensor, rows: Tensor) -> Tensor:
        """G(z, a)."""
        return self.decoder(z, semantics, rows)


METHOD = Method(
    name="cvae",
    citation="Mishra et al., A generative model for zero shot learning using conditional variational "
    "autoencoders, CVPR Workshops 2018",
    options=CVAEOptions,
    learner=CVAELearner,
)
