"""A diffusion model of features (Ho et al., NeurIPS 2020), conditioned as ZeroDiff (Ye et al., ICLR 2025) does.

With features x, centred and in units, semantics a of their class, and variance-preserving noise of T levels at the
times tau_t = t / T, training minimizes L::

    log A_t = - tau_t^2 (beta_max - beta_min) / 2 - tau_t beta_min            A: the share of the signal's variance
    x_t     = sqrt(A_t) x + sqrt(1 - A_t) eps,    eps ~ N(0, I)
    L       = mean |x - G(x_t, a, t)|^2                                       t uniform over 1, ..., T

G predicts the clean feature. Every training feature gets new noise each time, so that a network with few samples does
not memorize them; this is ZeroDiff's first idea. Features are synthesized from x_T ~ N(0, I) by the deterministic
steps of Song et al. (DDIM, ICLR 2021)::

    x^ = G(x_t, a, t)        x_(t-1) = sqrt(A_(t-1)) x^ + sqrt(1 - A_(t-1)) (x_t - sqrt(A_t) x^) / sqrt(1 - A_t)

As in ZeroDiff: the noise schedule with its constants, and a network that predicts the clean feature from the noisy
feature, semantics and time. Different:

- G is trained by the squared error alone. ZeroDiff has four levels, draws z for G, and trains it with three critics
  that learn from each other; with twenty levels neither is needed.
- ZeroDiff's second generator, of contrastive representations from a fine-tuned network, is left out, because features
  are fixed here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gsmflow.compute.randomness import stream
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.diffusion import DiffusionOptions
from gsmflow.methods.workings.networks import ConditionalMLP
from gsmflow.methods.workings.trained import ConditionalPeer, descend

_WAVES = 8  # sines and cosines of the time, an input of the network


def signal(levels: int, lowest: float, highest: float) -> Tensor:
    """A_0 = 1, A_1, ..., A_T: the share of the signal's variance, (T + 1,) float64, falling."""
    times = torch.arange(levels + 1, dtype=torch.float64) / levels
    return (-0.5 * times.square() * (highest - lowest) - times * lowest).exp()


def waves(levels: int) -> Tensor:
    """The time of each noise level as an input of the network: (T + 1, 2 _WAVES)."""
    times = torch.arange(levels + 1, dtype=torch.float64) / levels
    angles = math.pi * times[:, None] * 2.0 ** torch.arange(_WAVES, dtype=torch.float64) / 2
    return torch.cat((angles.sin(), angles.cos()), dim=1).float()


class Centre(nn.Module):
    """The mean of the training features, in units, (D,)."""

    middle: Tensor

    def __init__(self, middle: Tensor) -> None:
        super().__init__()
        self.register_buffer("middle", middle)


class DiffusionLearner(ConditionalPeer):
    """The diffusion model in training."""

    def __init__(self, data: TrainingData, options: DiffusionOptions, seed: int) -> None:
        super().__init__(data, options.batch_size, options.epochs, seed)
        self.options, self.noise_dim = options, self.dim
        self.centre = Centre(self.units.features(data.features.double().mean(dim=0).float())).to(data.device)
        self.networks["centre"] = self.centre
        sizes = [options.hidden, options.hidden, self.dim]
        self.denoiser = self.add("denoiser", ConditionalMLP(self.dim + 2 * _WAVES, self.semantic_dim, sizes))
        self.adam = self.optimize("adam", [self.denoiser], options.learning_rate, (0.9, 0.999))
        self.signal = signal(options.noise_levels, options.lowest, options.highest).float().to(data.device)
        self.waves = waves(options.noise_levels).to(data.device)

    def clean(self, x: Tensor, semantics: Tensor, rows: Tensor, levels: Tensor) -> Tensor:
        """G: the predicted clean features (B, D) of noisy ones x (B, D) of the levels (B,)."""
        return self.denoiser(torch.cat((x, self.waves[levels]), dim=1), semantics, rows)

    def noisy(self, x: Tensor, noise: Tensor, levels: Tensor) -> Tensor:
        """x_t of clean features x (B, D), standard normal noise (B, D) and levels (B,)."""
        share = self.signal[levels][:, None]
        return share.sqrt() * x + (1 - share).sqrt() * noise

    def step(self, index: int) -> Losses:
        """One step of Adam on L."""
        x, rows = self.batch(index)
        x = x - self.centre.middle
        drawn = stream("cpu", self.seed, "levels", index)
        levels = torch.randint(1, self.options.noise_levels + 1, (len(x),), generator=drawn).to(x.device)
        guess = self.clean(self.noisy(x, self.noise(len(x), "noise", index), levels), self.a, rows, levels)
        loss = (x - guess).square().sum(dim=1).mean()
        return descend(self.adam, loss, denoising=loss)

    def synthesize(self, z: Tensor, semantics: Tensor, rows: Tensor) -> Tensor:
        """x_0, (B, D), from x_T = z."""
        x = z
        for level in range(self.options.noise_levels, 0, -1):
            now, then = self.signal[level], self.signal[level - 1]
            guess = self.clean(x, semantics, rows, torch.full((len(x),), level, device=x.device))
            noise = (x - now.sqrt() * guess) / (1 - now).sqrt()
            x = then.sqrt() * guess + (1 - then).sqrt() * noise
        return x + self.centre.middle
