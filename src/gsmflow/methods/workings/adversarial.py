"""What methods with a Wasserstein critic share (WGAN-GP: Gulrajani et al., NIPS 2017).

With real features x of a class with semantics a, synthetic ones x~ = G(z, a) of the same class, and
x^ = alpha x + (1 - alpha) x~ with alpha ~ U(0, 1) for each sample::

    L_D = E[D(x~, a)] - E[D(x, a)] + 10 E[(|grad_x^ D(x^, a)|_2 - 1)^2]        critic_steps times a step
    L_G = -E[D(x~, a)] + further losses of the method                             once a step

The critic has one hidden layer, D(x, a) = v . lrelu(W x + c_a) + d, so its slope is known in closed form::

    grad_x D(x, a) = W^T (v * lrelu'(W x + c_a))
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gsmflow.compute.activation import LEAK
from gsmflow.compute.randomness import stream
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.adversarial import AdversarialOptions
from gsmflow.methods.workings.networks import ConditionalMLP, linear, take
from gsmflow.methods.workings.trained import ConditionalPeer, descend

PENALTY = 10.0


class Critic(ConditionalMLP):
    """D(x, a), one hidden layer, and its slope in closed form."""

    def __init__(self, dim: int, semantic_dim: int, hidden: int) -> None:
        super().__init__(dim, semantic_dim, [hidden, 1])

    def judge(
        self, real: Tensor, fake: Tensor, mixed: Tensor, semantics: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(D(real), D(fake), grad D(mixed)) of features (B, D) of the same rows: (B, 1), (B, 1), (B, D)."""
        condition = take(self.condition(semantics), rows)
        scored = self.of_input(torch.stack((real, fake))) + condition
        scores = self.rest(scored)
        with torch.no_grad():  # lrelu' is piecewise constant
            slopes = torch.where(self.of_input(mixed) + condition < 0, LEAK, 1.0)
        assert isinstance(self.of_input, nn.Linear)
        readout, _ = linear(self.rest, 1)
        slope = slopes @ (readout.T * self.of_input.weight)
        return scores[0], scores[1], slope


class AdversarialPeer(ConditionalPeer):
    """Base of the methods with a critic: generator, critic, and the critic's steps."""

    def __init__(self, data: TrainingData, options: AdversarialOptions, seed: int) -> None:
        super().__init__(data, options.batch_size, options.epochs, seed)
        self.options, self.noise_dim = options, options.latent
        hidden = options.hidden
        generator = ConditionalMLP(options.latent, self.semantic_dim, [hidden, self.dim])
        critic = Critic(self.dim, self.semantic_dim, hidden)
        self.generator, self.critic = self.add("generator", generator), self.add("critic", critic)

        self.generator_adam = self.optimize("generator", self.generating(), options.learning_rate)
        self.critic_adam = self.optimize("critic", self.judging(), options.learning_rate)

    def generating(self) -> list[nn.Module]:
        """The networks that the generator's loss trains. A subclass adds its own."""
        return [self.generator]

    def judging(self) -> list[nn.Module]:
        """The networks that the critic's loss trains. A subclass adds its own."""
        return [self.critic]

    def train_critic(self, index: int) -> tuple[Tensor, Tensor, Losses]:
        """The critic's steps of step `index`; returns the features (B, D) and rows (B,) of the last batch,
        and the losses.
        """
        steps = self.options.critic_steps
        first = index * steps
        batches = [self.batch(turn) for turn in range(first, first + steps)]
        size = self.batches.size
        with torch.no_grad():
            rows = torch.cat([rows for _, rows in batches])
            fakes = self.synthesize(self.noise(len(rows), "critic noise", index), self.a, rows).split(size)
        losses: Losses = {}
        for turn, ((x, rows), fake) in enumerate(zip(batches, fakes, strict=True)):
            loss = self.critic_loss(x, fake, rows, first + turn)
            more = self.real_losses(x, rows)
            losses = descend(self.critic_adam, sum(more.values(), loss), critic=loss, **more)
        return *batches[-1], losses

    def critic_loss(self, x: Tensor, fake: Tensor, rows: Tensor, turn: int) -> Tensor:
        """L_D of real and synthetic features (B, D) of the same classes; `turn` counts the critic's steps."""
        device = x.device
        share = torch.rand(len(x), 1, generator=stream(device, self.seed, "mixture", turn), device=device)
        mixed = share * x + (1 - share) * fake
        real_score, fake_score, slope = self.critic.judge(x, fake, mixed, self.a, rows)
        penalty = (slope.norm(dim=1) - 1).square().mean()
        return fake_score.mean() - real_score.mean() + PENALTY * penalty

    def real_losses(self, x: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """Further losses of the critic's optimizer by name, on real features (B, D) and their rows."""
        return {}

    def synthesize(self, z: Tensor, semantics: Tensor, rows: Tensor) -> Tensor:
        """G(z, a)."""
        return self.generator(z, semantics, rows)
