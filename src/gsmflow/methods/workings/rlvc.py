"""RLVC (Hou et al., CVPR 2026) on the flow: outcome-reward tuning with class-wise visual cues.

A softmax classifier R of the seen classes is trained on their real features and then fixed. It rewards the features
that the generator synthesizes for class y_i. With synthetic features x~_i of a batch of B, rewards r_i, their running
mean b, and visual prototypes v_c, the mean features of the seen classes::

    r_i  = log p_R(y_i | x~_i)            b <- alpha b + (1 - alpha) mean r_i        A_i = max(r_i - b, 0), no gradient
    L_RL = -1/B sum_i A_i log p_R(y_i | x~_i)
    L_PD =  1/B sum_i (1 - cos(x~_i, v_{y_i}))

In a cold start the generator trains with its own losses alone. After that every step has two separate updates, so that
their gradients do not mix: one with the generator's own losses + lambda_PD L_PD, and one with L_RL. The gradient of
L_RL flows through R into the generator. As published, A_i is negative if a reward is below the mean, and the step then
makes the feature *less* likely under R, without a bound: features of the flow are not bounded, and training diverged
(digits, after 450 steps). So here A_i = max(r_i - b, 0): features better than the mean are reinforced, and all others
are left to the generator's own losses.

This was written from a detailed note on the paper (papernotes.org), because the paper itself was not accessible and its
program is not public. Deviations: the generator is the flow of
[`gsmflow.methods.workings.gsmflow`][gsmflow.methods.workings.gsmflow] and not a diffusion GAN, L_RL has a weight, and
features are taken as they come and not fine-tuned together with R.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from gsmflow.compute.randomness import normal
from gsmflow.learning.head_data import Pool
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.learner import Losses
from gsmflow.learning.softmax import train_head
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.rlvc import RLVCOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner

_BASELINE = "outcome.baseline"  # in a state, beside that of the flow


class RLVCLearner(GSMFlowLearner):
    """The flow in training, tuned by outcome after a cold start; R depends on (data, options, seed) alone."""

    options: RLVCOptions

    def __init__(self, data: TrainingData, options: RLVCOptions, seed: int) -> None:
        super().__init__(data, options, seed)
        self.recording = None  # a step is not the same in all of the training
        heads = HeadOptions(
            learning_rate=options.reward_learning_rate, epochs=options.reward_epochs, batch_size=100
        )
        real = Pool(data.features, data.labels, len(data.labels))
        *_, self.rewarding = train_head(real, len(data.seen), heads, seed, "reward")
        self.baseline = torch.zeros((), device=data.device)
        self.index = 0

    @property
    def tuning(self) -> bool:
        """Whether the cold start is over."""
        return self.index >= self.options.cold_start * self.total_steps

    def step(self, index: int) -> Losses:
        """One update by the flow's losses and L_PD, and after the cold start one by L_RL."""
        self.index = index
        losses = dict(super().step(index))
        losses["loss_outcome"] = torch.zeros((), device=self.data.device)
        if not self.tuning or not self.options.outcome_weight:
            return losses
        rows = self.rows()
        loss = self.outcome_loss(self.synthetic(rows, "outcome"), rows)
        (self.options.outcome_weight * loss).backward()
        self.optimizer.step(self.learning_rate(index), self.gradients.collect())
        return losses | {"loss_outcome": loss.detach()}

    def further_losses(self) -> dict[str, tuple[float, Tensor]]:
        """L_PD, after the cold start."""
        weight = self.options.distillation_weight if self.tuning else 0.0
        if not weight:
            return {"loss_distillation": (0.0, torch.zeros((), device=self.data.device))}
        rows = self.rows()
        return {"loss_distillation": (weight, self.distillation_loss(self.synthetic(rows, "cue"), rows))}

    def rows(self) -> Tensor:
        """The classes of the samples of this step's batch, (B,): positions among the seen ones."""
        return self.data.labels[self.batches[self.index]]

    def synthetic(self, rows: Tensor, name: str) -> Tensor:
        """x~ of the classes at these rows (B,), with a gradient: (B, D)."""
        conditions, _ = self.model.conditions(self.seen_semantics)
        noise = normal((len(rows), self.model.flow.dim), self.data.device, self.seed, name, self.index)
        features, _ = self.model.flow.inverse(noise, conditions, rows)
        if self.regression:
            features = features + self.regression(self.seen_semantics)[rows]
        return features.float()

    def outcome_loss(self, features: Tensor, rows: Tensor) -> Tensor:
        """L_RL of synthetic features (B, D) of the classes at these rows (B,), a scalar (); moves the baseline."""
        rewards = self.rewarding.logits(features).log_softmax(dim=1).gather(1, rows[:, None])[:, 0]
        alpha = self.options.baseline_decay
        self.baseline = alpha * self.baseline + (1 - alpha) * rewards.detach().mean()
        advantages = (rewards.detach() - self.baseline).clamp(min=0)
        return -(advantages * rewards).mean()

    def distillation_loss(self, features: Tensor, rows: Tensor) -> Tensor:
        """L_PD of synthetic features (B, D) of the classes at these rows (B,), a scalar ()."""
        return (1 - F.cosine_similarity(features, self.means[rows], dim=1)).mean()

    def state(self) -> dict[str, Tensor]:
        """The state of the flow, and the baseline."""
        return {**super().state(), _BASELINE: self.baseline}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what [`state`][gsmflow.methods.workings.rlvc.RLVCLearner.state] returned."""
        super().load_state({name: tensor for name, tensor in state.items() if name != _BASELINE})
        self.baseline = state[_BASELINE].to(self.data.device).clone()
