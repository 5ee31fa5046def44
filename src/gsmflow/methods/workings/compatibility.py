"""Bilinear maps trained by a ranking loss: ALE (Akata et al., PAMI 2016), DeViSE (Frome et al., NIPS 2013), SJE (Akata
et al., CVPR 2015).

The score of class y for a feature x is F(x, y) = x' W a_y. For a training sample of class t let
v_y = margin + F(x, y) - F(x, t) for y != t, and v_t = 0. Class y violates the margin if v_y > 0. With r the number of
classes that violate it::

    DeViSE   sum_y max(0, v_y)
    SJE      max_y v_y
    ALE      (1 + 1/2 + ... + 1/r) / r  sum_y max(0, v_y)

All three want the right class to be first. They differ in the weight of a sample with many violations: DeViSE sums over
all of them, SJE takes the worst one, and ALE weighs by the rank, so that samples that are nearly right count most. The
gradient G with respect to F is known in closed form, a small matrix (B, S); the gradient with respect to W is X' G A.

As in the papers: the scores, the losses, stochastic gradient descent at a constant rate, and the choice of its length
in validation. Different:

- Losses are computed over all seen classes. In the papers ALE and DeViSE draw wrong classes until one violates the
  margin; computing all gives what the draws estimate, without their noise.
- Features and semantics are centred, by the mean of the training features and of the seen classes, and have a mean
  square length of 1.
- W starts at 0, not at random, so that directions without training data have no influence on unseen classes.
- DeViSE does not train the network that computes the features.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gsmflow.compute.finite import positive
from gsmflow.heads.linear import LinearHead
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.compatibility import CompatibilityOptions
from gsmflow.methods.workings.trained import PeerLearner

Ranking = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def violations(scores: Tensor, labels: Tensor, margin: float) -> Tensor:
    """v, (B, S), of scores (B, S) and labels (B,)."""
    v = scores - scores.gather(1, labels[:, None]) + margin
    return v.scatter_(1, labels[:, None], 0.0)


def all_hinges(v: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """DeViSE's loss of each sample (B,) and its gradient with respect to the scores (B, S)."""
    gradient = (v > 0).to(v.dtype)
    gradient.scatter_(1, labels[:, None], -gradient.sum(dim=1, keepdim=True))
    return v.clamp(min=0).sum(dim=1), gradient


def worst_hinge(v: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """SJE's loss of each sample (B,) and its gradient with respect to the scores (B, S)."""
    loss, worst = v.max(dim=1)
    gradient = torch.zeros_like(v)
    wrong = (loss > 0).to(v.dtype)[:, None]
    gradient.scatter_(1, worst[:, None], wrong)
    return loss, gradient.scatter_add_(1, labels[:, None], -wrong)


def ranked_hinges(v: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """ALE's loss of each sample (B,) and its gradient with respect to the scores (B, S), for fixed ranks."""
    ranks = (v > 0).sum(dim=1)
    harmonic = (1 / torch.arange(1, v.shape[1] + 1, dtype=v.dtype, device=v.device)).cumsum(0)
    weight = torch.where(ranks > 0, harmonic[(ranks - 1).clamp(min=0)] / ranks.clamp(min=1), 0.0)
    loss, gradient = all_hinges(v, labels)
    return weight * loss, weight[:, None] * gradient


class Bilinear(nn.Module):
    """W, (D, A)."""

    def __init__(self, dim: int, semantic_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dim, semantic_dim), requires_grad=False)


class CompatibilityLearner(PeerLearner):
    """A bilinear map in training (see [`Scorer`][gsmflow.learning.learner.Scorer])."""

    def __init__(
        self, data: TrainingData, options: CompatibilityOptions, seed: int, ranking: Ranking
    ) -> None:
        super().__init__(data, options.batch_size, options.epochs, seed)
        self.options, self.ranking = options, ranking
        features = data.features.double()
        self.middle = features.mean(dim=0).float()
        self.length = positive(features.var(dim=0, correction=0).sum().sqrt()).float()
        centre = self.seen_semantics.mean(dim=0)
        length = positive((self.seen_semantics - centre).square().sum(dim=1).mean().sqrt())
        self.semantics = (data.semantics - centre) / length
        self.map = Bilinear(features.shape[1], data.semantics.shape[1]).to(data.device)
        self.networks["map"] = self.map

    @torch.no_grad()
    def step(self, index: int) -> Losses:
        """One step of gradient descent on the ranking loss over the seen classes."""
        o, weight, seen = self.options, self.map.weight, self.semantics[self.data.seen]
        features, labels = self.data.rows(self.batches[index])
        x = (features - self.middle) / self.length
        loss, gradient = self.ranking(violations(x @ (weight @ seen.T), labels, o.margin), labels)
        slope = x.T @ (gradient @ seen) / len(x)
        weight.mul_(1 - o.weight_decay).sub_(slope, alpha=o.learning_rate)
        return {"loss_ranking": loss.mean()}

    @torch.no_grad()
    def head(self) -> LinearHead:
        """The linear head of the map and the semantics of all classes."""
        weight = self.semantics @ self.map.weight.T / self.length
        return LinearHead(weight, -(weight @ self.middle))


def ale(data: TrainingData, options: CompatibilityOptions, seed: int) -> CompatibilityLearner:
    """ALE in training."""
    return CompatibilityLearner(data, options, seed, ranked_hinges)


def devise(data: TrainingData, options: CompatibilityOptions, seed: int) -> CompatibilityLearner:
    """DeViSE in training."""
    return CompatibilityLearner(data, options, seed, all_hinges)


def sje(data: TrainingData, options: CompatibilityOptions, seed: int) -> CompatibilityLearner:
    """SJE in training."""
    return CompatibilityLearner(data, options, seed, worst_hinge)
