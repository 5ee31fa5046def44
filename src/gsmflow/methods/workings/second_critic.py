"""The second critic of f-VAEGAN-D2 (Xian et al., CVPR 2019) and TF-VAEGAN in the transductive setting.

The second critic compares unlabelled features x_u of unseen classes with synthetic features of unseen classes that are
drawn with equal weight. It does not know the class, because the class of x_u is not known::

    L_D2 = E[D2(x~_u)] - E[D2(x_u)] + 10 E[(|grad_x^ D2(x^)|_2 - 1)^2]        x~_u = G(z, a_u),  u ~ uniform
    L_G  = ... - gamma_u E[D2(x~_u)]

It has as many steps as the first critic and one hidden layer of the same size. As published it is used from the first
step on. Here it is used when half of the training is done, and with a weight gamma_u of its own, because a critic that
does not know the class accepts a class that is moved to the cluster of another one. On the digits, from the start and
with the weight of the first critic, T1 fell from 68 to 34. TF-VAEGAN adds the same critic to its generator; its
semantic cycle does not use synthetic features of unseen classes here.

D2 is a [`Critic`][gsmflow.methods.workings.adversarial.Critic] whose semantics are one number that is zero for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gsmflow.compute.randomness import stream
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import Batches
from gsmflow.methods.workings.adversarial import PENALTY, Critic
from gsmflow.methods.workings.trained import descend

if TYPE_CHECKING:
    from gsmflow.methods.f_vaegan_d2 import D2Options
    from gsmflow.methods.workings.adversarial import AdversarialPeer


class SecondCritic:
    """D2 in training beside a learner, to which its weights and its optimizer belong.

    Parameters
    ----------
    learner : AdversarialPeer
        The learner; for training, its data have unlabelled features of unseen classes.
    """

    def __init__(self, learner: AdversarialPeer, options: D2Options) -> None:
        data = learner.data
        self.learner, self.options, self.steps = learner, options, options.critic_steps
        self.critic = learner.add("critic2", Critic(learner.dim, 1, options.hidden))
        self.adam = learner.optimize("critic2", [self.critic], options.learning_rate)
        self.nothing = torch.zeros(1, 1, device=data.device)
        self.a = learner.units.semantics(data.semantics[data.unseen])
        self.unlabelled = learner.units.features(data.lent.features) if data.lent is not None else None

    def train(self, index: int) -> Losses:
        """The critic's steps of step `index`.

        Raises
        ------
        ValueError
            The data have no unlabelled features.
        """
        if self.unlabelled is None or not len(self.unlabelled):
            raise ValueError("data: no unlabelled features are lent, expected those of unseen classes")
        if not self.due(index):
            return {"loss_critic2": self.nothing[0, 0]}
        learner, losses = self.learner, {}
        batches = Batches(len(self.unlabelled), learner.batches.size, learner.seed, self.nothing.device)
        for turn in range(index * self.steps, (index + 1) * self.steps):
            x = self.unlabelled.index_select(0, batches[turn])
            with torch.no_grad():
                fake = self.synthesize(len(x), "second critic", turn)
            loss = self.loss(x, fake, turn)
            losses = descend(self.adam, loss, critic2=loss)
        return losses

    def loss(self, x: Tensor, fake: Tensor, turn: int) -> Tensor:
        """L_D2 of unlabelled and synthetic features (B, D); `turn` counts the critic's steps."""
        device = x.device
        drawn = stream(device, self.learner.seed, "second mixture", turn)
        share = torch.rand(len(x), 1, generator=drawn, device=device)
        mixed = share * x + (1 - share) * fake
        real_score, fake_score, slope = self.critic.judge(x, fake, mixed, self.nothing, self.rows(len(x)))
        penalty = (slope.norm(dim=1) - 1).square().mean()
        return fake_score.mean() - real_score.mean() + PENALTY * penalty

    def due(self, index: int) -> bool:
        """Whether the critic is used in step `index`."""
        return index >= self.options.unseen_from * self.learner.total_steps

    def realism(self, index: int) -> Tensor:
        """-gamma_u E[D2(x~_u)] of step `index`, a scalar (), for the generator to minimize; 0 before it is due."""
        if not self.due(index):
            return self.nothing[0, 0]
        fake = self.synthesize(self.learner.batches.size, "unseen noise", index)
        return -self.options.unseen_weight * self.critic(fake, self.nothing, self.rows(len(fake))).mean()

    def synthesize(self, count: int, name: str, turn: int) -> Tensor:
        """Synthetic features (count, D) of unseen classes drawn with equal weight, in units."""
        learner, device = self.learner, self.nothing.device
        drawn = stream("cpu", learner.seed, name, "classes", turn)
        rows = torch.randint(len(self.a), (count,), generator=drawn).to(device)
        return learner.synthesize(learner.noise(count, name, turn), self.a, rows)

    def rows(self, count: int) -> Tensor:
        """The only row of the critic's semantics for all samples, (count,)."""
        return torch.zeros(count, dtype=torch.int64, device=self.nothing.device)
