"""The flow, tuned by the outcome of what it synthesizes.

The losses are in [`gsmflow.learning.reward`][gsmflow.learning.reward]. As published, every step after the cold start
has two separate updates, so that their gradients do not mix: one with the flow's own losses + lambda_PD L_PD, and one
with L_RL. Both are made by the flow's optimizer.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from gsmflow.learning.learner import Losses
from gsmflow.learning.reward import Reward


class Tunable(Protocol):
    """What a flow in training does for its reward."""

    total_steps: int

    def own_step(self, index: int) -> Losses:
        """One update by its own losses, and those of its reward."""
        ...

    def rows(self, index: int) -> Tensor:
        """The seen classes of the batch of step `index`, (B,)."""
        ...

    def synthetic(self, rows: Tensor, *key: int | str) -> Tensor:
        """Features (B, D) of seen classes (B,), with a gradient."""
        ...

    def descend(self, loss: Tensor, index: int) -> None:
        """One more update in step `index`, by a loss ()."""
        ...


class FlowReward:
    """The reward of a flow in training.

    Parameters
    ----------
    flow : Tunable
        The flow.
    reward : Reward
        Classifier, prototypes and weights.
    """

    def __init__(self, flow: Tunable, reward: Reward) -> None:
        self.flow, self.reward, self.index = flow, reward, 0

    @property
    def due(self) -> bool:
        """Whether the cold start is over."""
        return self.reward.due(self.index, self.flow.total_steps)

    def step(self, index: int) -> Losses:
        """One update by the flow's losses and L_PD, and after the cold start one by L_RL."""
        self.index = index
        weight = self.reward.options.outcome_weight
        losses = {**self.flow.own_step(index), "loss_outcome": self.nothing}
        if not self.due or not weight:
            return losses
        features, rows = self.features("outcome")
        loss = self.reward.outcome(features, rows)
        self.flow.descend(weight * loss, index)
        return losses | {"loss_outcome": loss.detach()}

    def further_losses(self) -> dict[str, tuple[float, Tensor]]:
        """L_PD with its weight, after the cold start."""
        weight = self.reward.options.distillation_weight if self.due else 0.0
        if not weight:
            return {"loss_distillation": (0.0, self.nothing)}
        return {"loss_distillation": (weight, self.reward.distillation(*self.features("cue")))}

    def features(self, name: str) -> tuple[Tensor, Tensor]:
        """Synthetic features (B, D), with a gradient, of the classes (B,) of this step's batch."""
        rows = self.flow.rows(self.index)
        return self.flow.synthetic(rows, self.reward.seed, name, self.index), rows

    @property
    def nothing(self) -> Tensor:
        """A loss of 0, a scalar ()."""
        return torch.zeros((), device=self.reward.data.device)
