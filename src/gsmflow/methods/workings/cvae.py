"""Conditional VAE for zero-shot learning (Mishra et al., CVPR Workshops 2018).

With features x, semantics a of their class, encoder q(z | x, a) = N(mu, diag(sigma^2)), decoder G(z, a)::

    L = mean |x - G(z, a)|^2 + beta * mean KL(q(z | x, a) || N(0, I))        z = mu + sigma * eps
    KL = - 1/2 sum (1 + log sigma^2 - mu^2 - sigma^2)

Both terms are sums over dimensions and means over the batch. Features of class u are G(z, a_u) with z ~ N(0, I).
"""

from __future__ import annotations

from torch import Tensor

from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.cvae import CVAEOptions
from gsmflow.methods.workings.networks import ConditionalMLP
from gsmflow.methods.workings.trained import ConditionalPeer, descend


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
