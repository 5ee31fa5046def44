"""Outcome rewards and visual cues (RLVC: Hou et al., CVPR 2026), for any generator of features.

A softmax classifier R of the seen classes is trained on their real features and then fixed. It rewards the features
that a generator synthesizes for class y_i. With synthetic features x~_i of a batch of B, rewards r_i, their running
mean b, and visual prototypes v_c, the mean features of the seen classes::

    r_i  = log p_R(y_i | x~_i)            b <- alpha b + (1 - alpha) mean r_i        A_i = max(r_i - b, 0), no gradient
    L_RL = -1/B sum_i A_i log p_R(y_i | x~_i)
    L_PD =  1/B sum_i (1 - cos(x~_i, v_{y_i}))

In a cold start the generator trains with its own losses alone. After that L_RL and L_PD change it too. The gradient of
L_RL flows through R into the generator. As published, A_i is negative if a reward is below the mean, and the step then
makes the feature *less* likely under R, without a bound: features of the flow are not bounded, and training diverged
(digits, after 450 steps). So here A_i = max(r_i - b, 0): features better than the mean are reinforced, and all others
are left to the generator's own losses.

This was written from a detailed note on the paper (papernotes.org), because the paper itself was not accessible and its
program is not public. Deviations: L_RL has a weight, and features are taken as they come and not fine-tuned together
with R. The published generator is a diffusion GAN; here it is any (see
[`gsmflow.learning.rewarded`][gsmflow.learning.rewarded]).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from gsmflow.heads.linear import LinearHead
from gsmflow.learning.head_data import Pool
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.learner import Generator, Learner
from gsmflow.learning.reward_options import RewardOptions
from gsmflow.learning.softmax import train_head
from gsmflow.learning.tensors import TrainingData

_BASELINE = "outcome.baseline"  # in a state, beside that of the generator


class Reward:
    """R, the visual prototypes, and the running mean of the rewards in one training.

    Parameters
    ----------
    data : TrainingData
        Real features of the seen classes, which R and the prototypes come from.
    options : RewardOptions
        Weights, and the training of R.
    seed : int
        Determines R, together with the data and the options.
    """

    def __init__(self, data: TrainingData, options: RewardOptions, seed: int) -> None:
        self.data, self.options, self.seed = data, options, seed
        self.baseline = torch.zeros((), device=data.device)

    @cached_property
    def classifier(self) -> LinearHead:
        """R, with logits (N, S) over the seen classes."""
        options = HeadOptions(
            learning_rate=self.options.classifier_learning_rate,
            epochs=self.options.classifier_epochs,
            batch_size=100,
        )
        real = Pool(self.data.features, self.data.labels, len(self.data.labels))
        *_, head = train_head(real, len(self.data.seen), options, self.seed, "reward")
        return head

    @cached_property
    def prototypes(self) -> Tensor:
        """v, (S, D)."""
        return self.data.class_means()

    def due(self, index: int, total: int) -> bool:
        """Whether step `index` of `total` is after the cold start."""
        return index >= self.options.cold_start * total

    def rewards(self, features: Tensor, rows: Tensor) -> Tensor:
        """r, (B,), of features (B, D) of the seen classes at the positions `rows` (B,)."""
        return self.classifier.logits(features).log_softmax(dim=1).gather(1, rows[:, None])[:, 0]

    def outcome(self, features: Tensor, rows: Tensor) -> Tensor:
        """L_RL of synthetic features (B, D) of the classes at these rows (B,), a scalar (); moves the baseline."""
        rewards = self.rewards(features, rows)
        alpha = self.options.baseline_decay
        self.baseline = alpha * self.baseline + (1 - alpha) * rewards.detach().mean()
        advantages = (rewards.detach() - self.baseline).clamp(min=0)
        return -(advantages * rewards).mean()

    def distillation(self, features: Tensor, rows: Tensor) -> Tensor:
        """L_PD of synthetic features (B, D) of the classes at these rows (B,), a scalar ()."""
        return (1 - F.cosine_similarity(features, self.prototypes[rows], dim=1)).mean()

    def state(self) -> dict[str, Tensor]:
        """What training changes: the baseline."""
        return {_BASELINE: self.baseline}

    def take_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Continue from a state that holds this one; returns the rest of it, which is the generator's."""
        self.baseline = state[_BASELINE].to(self.data.device).clone()
        return {name: tensor for name, tensor in state.items() if name != _BASELINE}


@runtime_checkable
class Rewardable(Generator, Protocol):
    """A generator with a way of its own to be tuned by outcome."""

    def rewarded(self, reward: Reward) -> Learner:
        """The learner that is tuned by this reward."""
        ...
