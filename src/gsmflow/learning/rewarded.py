"""Any generator, tuned by the outcome of what it synthesizes (``reward.tune``).

The losses are in [`gsmflow.learning.reward`][gsmflow.learning.reward]. After the cold start each step of the generator
is followed by one more update of its weights, for the classes of a batch of training features::

    L = w_RL L_RL + lambda_PD L_PD            on the same synthetic features

The update is made by the generator's own optimizers, with their rates and moments, so that a weight means the same
beside its own losses. As published, L_PD is in the same update as the generator's own losses. That needs a generator
that offers it ([`Rewardable`][gsmflow.learning.reward.Rewardable]), as the flows do.

A generator has to do nothing for it, if

- its `sample` returns features with a gradient (no ``torch.no_grad`` in it; the package calls it without a gradient
  where none is needed), or it has a method `synthetic` that does
  ([`Differentiable`][gsmflow.learning.learner.Differentiable]), and
- the optimizers of its weights, of a class of torch.optim, are attributes of the learner, or values of a list or a
  dictionary that is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.heads.representation import Representation
from gsmflow.learning.learner import Differentiable, Generator, Learner, Losses, Scorer
from gsmflow.learning.reward import Reward, Rewardable
from gsmflow.learning.reward_options import RewardOptions
from gsmflow.learning.tensors import Batches, TrainingData

_BATCH = 128  # synthetic features in an update


def rewarded(learner: Learner, data: TrainingData, options: RewardOptions, seed: int) -> Learner:
    """The learner, tuned by outcome where the options say so; otherwise itself.

    Raises
    ------
    InputError
        It is to be tuned and synthesizes nothing.
    """
    if not options.tune:
        return learner
    if isinstance(learner, Scorer) or not isinstance(learner, Generator):
        raise InputError(
            "reward.tune = True: the method classifies by itself and trains no generator that could be tuned; leave it "
            "out, or choose a method of the kind 'trained generator' (gsmflow methods)"
        )
    reward = Reward(data, options, seed)
    return learner.rewarded(reward) if isinstance(learner, Rewardable) else RewardedLearner(learner, reward)


class RewardedLearner:
    """A generator in training, tuned by outcome after the cold start."""

    def __init__(self, generator: Generator, reward: Reward) -> None:
        self.generator, self.reward = generator, reward
        self.steps_per_epoch, self.total_steps = generator.steps_per_epoch, generator.total_steps
        data = reward.data
        self.batches = Batches(len(data.labels), min(_BATCH, len(data.labels)), reward.seed, data.device)
        self._optimizers: list[torch.optim.Optimizer] | None = None

    def step(self, index: int) -> Losses:
        """A step of the generator, and after the cold start an update on L.

        Raises
        ------
        InputError
            No gradient reaches the generator's weights from what it synthesizes.
        """
        if self._optimizers is None:
            self._optimizers = self._reached(index)
        losses = dict(self.generator.step(index))
        nothing = torch.zeros((), device=self.reward.data.device)
        shown = {"loss_outcome": nothing, "loss_distillation": nothing}
        if self.reward.due(index, self.total_steps):
            shown |= self._tune(index, self._optimizers)
        return losses | shown

    def _tune(self, index: int, optimizers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
        """One update of the generator on L."""
        options = self.reward.options
        features, rows = self.synthetic(self.reward.data.labels[self.batches[index]], index)
        outcome = self.reward.outcome(features, rows)
        distillation = self.reward.distillation(features, rows)
        loss = options.outcome_weight * outcome + options.distillation_weight * distillation
        for optimizer in optimizers:
            parameters = _parameters(optimizer)
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
            for parameter in parameters:
                parameter.grad = None
        return {"loss_outcome": outcome.detach(), "loss_distillation": distillation.detach()}

    def synthetic(self, rows: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Synthetic features (B, D) with a gradient, and their rows (B,), for classes at the positions `rows`.

        A generator that can only `sample` has as many features for each of the classes.
        """
        key = (self.reward.seed, "outcome", index)
        with torch.enable_grad():
            if isinstance(self.generator, Differentiable):
                return self.generator.synthetic(rows, *key).float(), rows
            classes = rows.unique()
            each = max(1, len(rows) // len(classes))
            data = self.reward.data
            features = self.generator.sample(data.semantics[data.seen[classes]], each, *key)
        return features.float(), classes.repeat_interleave(each)

    def _reached(self, index: int) -> list[torch.optim.Optimizer]:
        """The optimizers of the weights that what is synthesized depends on."""
        data = self.reward.data
        features, _ = self.synthetic(data.labels[self.batches[index]][:1], index)
        if features.shape[1] != data.features.shape[1]:
            raise InputError(
                f"reward.tune = True: the method synthesizes {features.shape[1]} numbers for its head, and no features "
                f"({data.features.shape[1]}); give its learner a method synthetic(rows, *key) that returns features"
            )
        reached = []
        for optimizer in _optimizers(self.generator) if features.requires_grad else ():
            given = _parameters(optimizer)
            slopes = torch.autograd.grad(features.sum(), given, allow_unused=True, retain_graph=True)
            if any(slope is not None for slope in slopes):
                reached.append(optimizer)
        if not reached:
            raise InputError(
                "reward.tune = True: no gradient reaches weights from the features that the method synthesizes; its "
                "sample() must not switch gradients off, and its torch optimizers must be attributes of its learner"
            )
        return reached

    def sample(self, semantics: Tensor, count: int, *key: int | str) -> Tensor:
        """What the generator samples, (len(semantics) * count, R)."""
        return self.generator.sample(semantics, count, *key)

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        """Features (N, D) as the generator represents them, (N, R)."""
        return self.generator.represent(features, *key)

    def representation(self) -> Representation | None:
        """The generator's."""
        return self.generator.representation()

    def weights(self) -> dict[str, Tensor]:
        """The generator's."""
        return self.generator.weights()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load what [`weights`][gsmflow.learning.rewarded.RewardedLearner.weights] returned."""
        self.generator.load_weights(weights)

    def state(self) -> dict[str, Tensor]:
        """The generator's state, and the mean reward."""
        return {**self.generator.state(), **self.reward.state()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what [`state`][gsmflow.learning.rewarded.RewardedLearner.state] returned."""
        self.generator.load_state(self.reward.take_state(state))


def _optimizers(learner: Generator) -> Iterator[torch.optim.Optimizer]:
    """The optimizers that are attributes of a learner, or in a list or dictionary that is one; each of them once."""
    seen: set[int] = set()
    for value in vars(learner).values():
        held = (
            value.values()
            if isinstance(value, dict)
            else value
            if isinstance(value, list | tuple)
            else (value,)
        )
        for each in held:
            if isinstance(each, torch.optim.Optimizer) and id(each) not in seen:
                seen.add(id(each))
                yield each


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
