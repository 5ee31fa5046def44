"""The softmax classifier on real seen and synthetic unseen features (Chen et al. 2021, section 3.5).

With n_c training features of class c, N in all, and C classes, the loss of a feature x of class y is::

    - w_y log softmax(l + tau log(C n / N))_y        l = W x + b, or  scale * cos(W_c, x)  for a cosine head

with w_y = 1, or N / (C n_y) for the class-balanced loss. With tau > 0 (logit adjustment: Menon et al., ICLR
2021; for synthetic classes Chen et al., Zero-shot Logit Adjustment, IJCAI 2022) the class frequencies enter
the training loss as a known prior, and the logits do not have to learn them. Then few synthetic features a
class are enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn import functional as F

from gsmflow.compute.adam import MasterAdam
from gsmflow.compute.cuda_graphs import Recording, current_gpu
from gsmflow.compute.data_parallel import size
from gsmflow.compute.devices import has_bfloat16
from gsmflow.compute.finite import check_head
from gsmflow.compute.randomness import normal, stream
from gsmflow.heads.linear import LinearHead
from gsmflow.learning.code_products import CodeProducts
from gsmflow.learning.head_data import Pool, Stream
from gsmflow.learning.head_options import HeadOptions


def train_head(
    pool: Pool | Stream, classes: int, options: HeadOptions, *key: int | str, epochs: int | None = None
) -> Iterator[LinearHead]:
    """Train a softmax classifier by Adam and yield it after each epoch.

    Xavier-normal weight, zero bias, cross-entropy. The gradient of the logits is softmax minus
    one-hot, so autograd is not needed. The last, smaller batch of an epoch is used too.

    Parameters
    ----------
    pool : Pool | Stream
        The features the head is trained on.
    classes : int
        C, the number of logits.
    options : HeadOptions
        Kind, loss, learning rate and length of the training.
    *key : int | str
        Names the random draws.
    epochs : int | None
        Passes over the features; None: ``options.epochs``.

    Raises
    ------
    TrainingFailed
        The weights become not finite.
    """
    device, dim = pool.device, pool.dim
    weight = Parameter(
        normal((classes, dim), device, *key, "weight") * (2 / (classes + dim)) ** 0.5, requires_grad=False
    )
    bias = Parameter(torch.zeros(classes, device=device), requires_grad=False)
    optimizer = MasterAdam({"weight": weight, "bias": bias}, {}, betas=(0.5, 0.999))
    scale = options.scale if options.kind == "cosine" else None
    loss = _Loss.of(pool, classes, options)
    # Streams compute their features again in every pass, at new places in memory, so nothing can be recorded.
    recording = Recording() if current_gpu(device) and size() == 1 and isinstance(pool, Pool) else None
    rate = torch.full((), options.learning_rate, device=device) if recording else options.learning_rate

    products = CodeProducts.of(pool) if isinstance(pool, Pool) else None  # shards of a stream are no codes

    def update(shard: Pool, picked: Tensor) -> dict[str, Tensor]:
        if scale is None:
            gradients = _gradients(shard, products, picked, weight, bias, loss)
        else:
            gradients = _cosine_gradients(shard, picked, weight, bias, scale, loss)
        optimizer.step(rate, zip((weight, bias), gradients, strict=False))
        return {}

    for epoch in range(epochs or options.epochs):
        drawn = stream("cpu", *key, "order", epoch)
        for shard in pool.shards(*key, "order", epoch):
            order = torch.randperm(len(shard.labels), generator=drawn).to(device)
            for picked in order.split(options.batch_size):
                if recording and len(picked) == options.batch_size:
                    recording.run(partial(update, shard), picked)
                else:
                    update(shard, picked)
        check_head(epoch + 1, {"weight": weight, "bias": bias})
        yield LinearHead(weight.detach().clone(), bias.detach().clone(), scale)


@dataclass(frozen=True)
class _Loss:
    """

    Parameters
    ----------
    prior : Tensor | None
        (C,) added to the logits, or None.
    weight : Tensor | None
        (C,) the weight of the features of each class, or None.
    """

    prior: Tensor | None
    weight: Tensor | None

    @staticmethod
    def of(pool: Pool | Stream, classes: int, options: HeadOptions) -> _Loss:
        # A class without features counts as having one, so that its logarithm is finite.
        count = pool.counts(classes).clamp(min=1).float()
        share = classes * count / count.sum()
        prior = options.logit_adjustment * share.log() if options.logit_adjustment else None
        return _Loss(prior, 1 / share if options.loss == "balanced" else None)

    def error(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The float32 gradient (B, C) of a batch's mean loss with respect to its logits."""
        if self.prior is not None:
            logits = logits + self.prior
        error = logits.softmax(dim=1)
        error.scatter_add_(1, labels[:, None], error.new_full((1, 1), -1.0).expand(len(labels), 1))
        error /= len(labels)
        return error if self.weight is None else error.mul_(self.weight[labels, None])


def _gradients(
    pool: Pool, products: CodeProducts | None, picked: Tensor, weight: Tensor, bias: Tensor, loss: _Loss
) -> tuple[Tensor, Tensor]:
    """Gradients of the picked features' mean loss with respect to weight (C, D) and bias (C,)."""
    # On the CPU index_select is three times as fast as indexing for float32, and twelve times for codes.
    x, y = pool.features.index_select(0, picked), pool.labels.index_select(0, picked)
    if products is not None:
        return products.gradients(x, weight, bias, lambda logits: loss.error(logits, y))
    if pool.low is None or pool.step is None:
        return _linear_gradients(x, y, weight, bias, loss)
    # x = low + step * code. The products take the codes themselves: bfloat16 holds these whole numbers
    # exactly.
    codes = x.to(torch.bfloat16 if has_bfloat16(x.device) else torch.float32)
    shifted = torch.addmv(bias, weight, pool.low)
    by_code, by_bias = _linear_gradients(codes, y, weight * pool.step, shifted, loss)
    return by_code.mul_(pool.step).addr_(by_bias, pool.low), by_bias


def _linear_gradients(
    x: Tensor, y: Tensor, weight: Tensor, bias: Tensor, loss: _Loss
) -> tuple[Tensor, Tensor]:
    error = loss.error(torch.addmm(bias.to(x.dtype), x, weight.to(x.dtype).T).float(), y)
    # On the CPU a product is a sixth slower if its left factor is transposed in memory.
    return (error.to(x.dtype).T.contiguous() @ x).float(), error.sum(dim=0)


def _cosine_gradients(
    pool: Pool, picked: Tensor, weight: Tensor, bias: Tensor, scale: float, loss: _Loss
) -> tuple[Tensor]:
    """The weight's gradient: w / |w| lets only the part orthogonal to w through."""
    x = F.normalize(pool.decoded(pool.features.index_select(0, picked)), dim=1)
    length = weight.norm(dim=1, keepdim=True).clamp(min=1e-12)
    unit = weight / length
    error = loss.error(scale * (x @ unit.T) + bias, pool.labels[picked])
    by_unit = scale * (error.T @ x)
    return ((by_unit - unit * (by_unit * unit).sum(dim=1, keepdim=True)) / length,)
