"""CADA-VAE (Schoenfeld et al., CVPR 2019): VAEs of features and of semantics with one latent space.

Each has an encoder E_i, q_i(z) = N(mu_i, diag(sigma_i^2)), and a decoder D_i. Over pairs of a feature and the
semantics of its class (i, j = feature, semantics)::

    L_VAE = sum_i |x_i - D_i(z_i)|_1 + beta KL(q_i || N(0, I))          z_i = mu_i + sigma_i * eps_i
    L_CA  = sum_(i != j) |x_j - D_j(z_i)|_1                             cross-alignment
    L_DA  = 2 W,  W^2 = |mu_x - mu_a|^2 + |sigma_x - sigma_a|^2         Wasserstein distance of the Gaussians
    L     = L_VAE + gamma L_CA + delta L_DA                             means over the batch

The weights grow linearly from 0, as published: beta over the first 93 hundredths of the training, gamma from
21 to 75 hundredths, delta from 6 to 22. A head is trained on latents: z_x of real features, z_a of unseen
classes. It then classifies mu_x. Published: 1450 to 1660 hidden units in three of the networks and 660 in the
semantic decoder.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsmflow.compute.randomness import normal
from gsmflow.heads.representation import Representation
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.cada_vae import CADAOptions
from gsmflow.methods.workings.cvae import kl_to_standard_normal
from gsmflow.methods.workings.networks import linear, mlp, take
from gsmflow.methods.workings.trained import ConditionalPeer, descend


def wasserstein(mean: Tensor, sigma: Tensor, other_mean: Tensor, other_sigma: Tensor) -> Tensor:
    """2-Wasserstein distance of N(mean, diag(sigma^2)) and the other Gaussian, row by row: (B,) for (B, Z)."""
    square = (mean - other_mean).square().sum(dim=1) + (sigma - other_sigma).square().sum(dim=1)
    return square.clamp(min=1e-12).sqrt()  # the square root has no derivative at 0


def grown(progress: float, start: float, end: float) -> float:
    """0 until `start`, 1 from `end`, linear between; progress, start and end are fractions of a training."""
    return min(1.0, max(0.0, (progress - start) / (end - start)))


class CADALearner(ConditionalPeer):
    """CADA-VAE in training."""

    def __init__(self, data: TrainingData, options: CADAOptions, seed: int) -> None:
        super().__init__(data, options.batch_size, options.epochs, seed)
        self.options, self.noise_dim = options, options.latent
        hidden, latent = options.hidden, options.latent
        self.encoder = self.add("encoder", mlp([self.dim, hidden, 2 * latent]))
        self.decoder = self.add("decoder", mlp([latent, hidden, self.dim]))
        self.semantic_encoder = self.add("semantic encoder", mlp([self.semantic_dim, hidden, 2 * latent]))
        self.semantic_decoder = self.add("semantic decoder", mlp([latent, hidden, self.semantic_dim]))
        parts = [self.encoder, self.decoder, self.semantic_encoder, self.semantic_decoder]
        self.adam = self.optimize("adam", parts, options.learning_rate, (0.9, 0.999))

    def weights_at(self, index: int) -> tuple[float, float, float]:
        """beta, gamma and delta in step `index`."""
        o, progress = self.options, index / self.total_steps
        return (
            o.beta * grown(progress, 0.0, 0.93),
            o.cross_weight * grown(progress, 0.21, 0.75),
            o.alignment_weight * grown(progress, 0.06, 0.22),
        )

    def step(self, index: int) -> Losses:
        """One step of Adam on L."""
        x, rows = self.batch(index)
        a = take(self.a, rows)
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        # All samples of a class share one distribution.
        mean_a, log_variance_a = take(self.semantic_encoder(self.a), rows).chunk(2, dim=1)
        sigma, sigma_a = (log_variance / 2).exp(), (log_variance_a / 2).exp()
        z = mean + sigma * self.noise(len(x), "latent", index)
        z_a = mean_a + sigma_a * self.noise(len(x), "semantic latent", index)
        own = distance(x, self.decoder(z)) + distance(a, self.semantic_decoder(z_a))
        divergences = kl_to_standard_normal(mean, log_variance), kl_to_standard_normal(mean_a, log_variance_a)
        divergence = (divergences[0] + divergences[1]).mean()
        cross = distance(x, self.decoder(z_a)) + distance(a, self.semantic_decoder(z))
        alignment = 2 * wasserstein(mean, sigma, mean_a, sigma_a).mean()
        beta, gamma, delta = self.weights_at(index)
        loss = own + beta * divergence + gamma * cross + delta * alignment
        return descend(
            self.adam, loss, reconstruction=own, divergence=divergence, cross=cross, alignment=alignment
        )

    def synthetic(self, rows: Tensor, *key: int | str) -> Tensor:
        """Features (B, D) decoded from latents z_a of the seen classes at the positions `rows` (B,)."""
        mean, log_variance = take(self.semantic_encoder(self.a), rows).chunk(2, dim=1)
        z = mean + (log_variance / 2).exp() * normal(tuple(mean.shape), mean.device, *key)
        return self.units.restored(self.decoder(z))

    @torch.no_grad()
    def sample(self, semantics: Tensor, count: int, *key: int | str) -> Tensor:
        """Latents z_a of the classes, (len(semantics) * count, Z), class by class."""
        mean, log_variance = self.semantic_encoder(self.units.semantics(semantics)).chunk(2, dim=1)
        sigma = (log_variance / 2).exp()
        return torch.cat(
            [
                mean[i] + sigma[i] * normal((count, self.noise_dim), mean.device, *key, i)
                for i in range(len(mean))
            ]
        )

    @torch.no_grad()
    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        """Latents z_x of features (N, D), drawn by `key`: (N, Z)."""
        mean, log_variance = self.encoder(self.units.features(features)).chunk(2, dim=1)
        return mean + (log_variance / 2).exp() * normal(tuple(mean.shape), mean.device, *key)

    @torch.no_grad()
    def representation(self) -> Representation:
        """mu_x."""
        first, first_bias = linear(self.encoder, 0)
        last, last_bias = linear(self.encoder, 2)
        latent = self.options.latent
        return Representation(
            (
                (first / self.units.spread, first_bias.clone(), "leaky_relu"),
                (last[:latent].clone(), last_bias[:latent].clone(), "none"),
            ),
            (2,),
        )


def distance(target: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean over the batch of |target - reconstruction|_1, both (B, K)."""
    return (target - reconstruction).abs().sum(dim=1).mean()
