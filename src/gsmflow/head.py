"""The softmax classifier on real seen and synthetic unseen features (Chen et al. 2021, section 3.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from gsmflow.devices import has_bfloat16
from gsmflow.options import Options, option
from gsmflow.randomness import normal, stream
from gsmflow.training import Learner, MasterAdam, TrainingData

_HALF_PRECISION_FROM = 1 << 30  # bytes of features from which they are kept in bfloat16


@dataclass(frozen=True)
class HeadOptions(Options):
    """How many features are synthesized and how the softmax head is trained on them."""

    table = "head"

    synthetic_per_class: int = option(300, "features synthesized for each unseen class", low=1)
    learning_rate: float = option(0.002, "Adam's, beta = (0.5, 0.999)", above=0)
    epochs: int = option(30, "passes over real and synthetic features", low=1)
    batch_size: int = option(256, "features a step", low=1)
    calibrate: bool = option(
        False,
        "add one bias to the unseen classes' logits, chosen on the validation problem (calibrated stacking, "
        "Chao et al. 2016); without a validation problem no bias is added",
    )


@dataclass(frozen=True)
class LinearHead:
    """One logit a class: x @ weight.T + bias, with weight (C, D) and bias (C,)."""

    weight: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 logits of transformed features (N, D)."""
        return torch.addmm(self.bias, features.float(), self.weight.T)


@dataclass(frozen=True)
class Pool:
    """Features to train heads on: the real ones first, then the synthetic ones, class by class.

    features: (N + U n, D). labels: (N + U n,) class indices. real: N.
    """

    features: Tensor
    labels: Tensor
    real: int

    @staticmethod
    def synthesize(learner: Learner, data: TrainingData, count: int, seed: int) -> Pool:
        """Real training features and `count` synthetic ones of every unseen class.

        The same seed gives the same noise, so heads along one training differ by the generator alone.
        """
        real, dim = data.features.shape
        total = real + count * len(data.unseen)
        half = total * dim * 4 >= _HALF_PRECISION_FROM and has_bfloat16(data.device)
        features = torch.empty(
            total, dim, dtype=torch.bfloat16 if half else torch.float32, device=data.device
        )
        features[:real] = data.features
        at_once = max(1, (1 << 16) // count)
        for first in range(0, len(data.unseen), at_once):
            group = data.unseen[first : first + at_once]
            made = learner.sample(data.semantics[group], count, seed, "synthesis", first)
            features[real + first * count : real + first * count + len(made)] = made
        labels = torch.cat((data.seen[data.labels], data.unseen.repeat_interleave(count)))
        return Pool(features, labels, real)

    @staticmethod
    def of_real(data: TrainingData) -> Pool:
        """The real training features alone."""
        return Pool(data.features, data.seen[data.labels], len(data.labels))

    def synthetic(self, unseen: Tensor) -> Pool:
        """The synthetic features alone, labelled by position in `unseen`: for conventional ZSL."""
        return Pool(self.features[self.real :], torch.searchsorted(unseen, self.labels[self.real :]), 0)


def train_head(
    pool: Pool, classes: int, options: HeadOptions, *key: int | str, epochs: int | None = None
) -> Iterator[LinearHead]:
    """Train a softmax classifier by Adam and yield it after each epoch.

    Xavier-normal weight, zero bias, cross-entropy; the gradient of the logits is softmax minus
    one-hot, so none is recorded. The last, smaller batch of an epoch is used too.

    Parameters
    ----------
    classes: C. key: names the random draws. epochs: instead of options.epochs.
    """
    features, labels = pool.features, pool.labels
    device, (count, dim) = features.device, features.shape
    weight = Parameter(
        normal((classes, dim), device, *key, "weight") * (2 / (classes + dim)) ** 0.5, requires_grad=False
    )
    bias = Parameter(torch.zeros(classes, device=device), requires_grad=False)
    optimizer = MasterAdam({"weight": weight, "bias": bias}, {}, betas=(0.5, 0.999))
    for epoch in range(epochs or options.epochs):
        order = torch.randperm(count, generator=stream("cpu", *key, "order", epoch)).to(device)
        for picked in order.split(options.batch_size):
            x, y = features[picked], labels[picked]
            error = torch.addmm(bias.to(x.dtype), x, weight.to(x.dtype).T).float().softmax(dim=1)
            error[torch.arange(len(y), device=device), y] -= 1
            error /= len(y)
            weight.grad, bias.grad = (error.to(x.dtype).T @ x).float(), error.sum(dim=0)
            optimizer.step(options.learning_rate)
        yield LinearHead(weight.detach().clone(), bias.detach().clone())
