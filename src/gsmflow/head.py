"""The softmax classifier on real seen and synthetic unseen features (Chen et al. 2021, section 3.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from gsmflow.devices import has_bfloat16
from gsmflow.options import Options, option
from gsmflow.pool import Pool
from gsmflow.randomness import normal, stream
from gsmflow.training import MasterAdam


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
    device, (count, dim) = pool.features.device, pool.features.shape
    weight = Parameter(
        normal((classes, dim), device, *key, "weight") * (2 / (classes + dim)) ** 0.5, requires_grad=False
    )
    bias = Parameter(torch.zeros(classes, device=device), requires_grad=False)
    optimizer = MasterAdam({"weight": weight, "bias": bias}, {}, betas=(0.5, 0.999))
    for epoch in range(epochs or options.epochs):
        order = torch.randperm(count, generator=stream("cpu", *key, "order", epoch)).to(device)
        for picked in order.split(options.batch_size):
            gradients = _gradients(pool, picked, weight, bias)
            optimizer.step(options.learning_rate, zip((weight, bias), gradients, strict=True))
        yield LinearHead(weight.detach().clone(), bias.detach().clone())


def _gradients(pool: Pool, picked: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the mean cross-entropy of the picked features by weight (C, D) and bias (C,)."""
    x, y = pool.features[picked], pool.labels[picked]
    if pool.low is None or pool.step is None:
        return _softmax_gradients(x, y, weight, bias)
    # With x = low + step * code the codes, whole numbers that bfloat16 holds exactly, go into the products.
    codes = x.to(torch.bfloat16 if has_bfloat16(x.device) else torch.float32)
    by_code, by_bias = _softmax_gradients(codes, y, weight * pool.step, torch.addmv(bias, weight, pool.low))
    return by_code.mul_(pool.step).addr_(by_bias, pool.low), by_bias


def _softmax_gradients(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    error = torch.addmm(bias.to(x.dtype), x, weight.to(x.dtype).T).float().softmax(dim=1)
    error[torch.arange(len(y), device=y.device), y] -= 1
    error /= len(y)
    return (error.to(x.dtype).T @ x).float(), error.sum(dim=0)
