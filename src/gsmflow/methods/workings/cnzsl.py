"""CNZSL (Skorokhodov and Elhoseiny, ICLR 2021): from semantics to a classifier, with class normalization.

A network maps semantics to class prototypes, and features are classified by scaled cosines::

    a^ = sqrt(A) a / |a|
    p = W_3 S(ReLU(S(W_2 ReLU(W_1 a^))))         logit_c = gamma^2 cos(x, p_c)         (biases left out)

S is class standardization, (h - mean) / std of each dimension over the classes. In training these are the seen
classes; for classification the running mean and variance of the training are used. W_3 starts from the uniform
distribution of variance 1 / (H D), which keeps the variance of logits. Training minimizes the cross-entropy over
the seen classes and takes seconds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gsmflow.compute.layers import UndrawnLinear
from gsmflow.compute.randomness import stream
from gsmflow.heads.linear import LinearHead
from gsmflow.learning.learner import Losses
from gsmflow.learning.loop import step_decay
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.cnzsl import CNZSLOptions
from gsmflow.methods.workings.trained import PeerLearner, descend


class ClassStandardization(nn.Module):
    """(h - mean) / sqrt(variance) of each dimension over classes; outside of training with running statistics."""

    mean: Tensor
    variance: Tensor

    def __init__(self, dim: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("variance", torch.ones(dim))

    def forward(self, h: Tensor) -> Tensor:
        """Standardize (C, H)."""
        mean, variance = self.mean, self.variance
        if self.training:
            mean, variance = h.mean(dim=0), h.var(dim=0)
            with torch.no_grad():
                self.mean.lerp_(mean, self.momentum)
                self.variance.lerp_(variance, self.momentum)
        return (h - mean) / (variance + 1e-5).sqrt()


class Prototypes(nn.Module):
    """Semantics (C, A) to prototypes (C, D)."""

    def __init__(self, semantic_dim: int, hidden: int, dim: int, nonnegative: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            UndrawnLinear(semantic_dim, hidden),
            nn.ReLU(),
            UndrawnLinear(hidden, hidden),
            ClassStandardization(hidden),
            nn.ReLU(),
            ClassStandardization(hidden),
            UndrawnLinear(hidden, dim),
            nn.ReLU() if nonnegative else nn.Identity(),
        )

    def reset(self, *key: int | str) -> None:
        """Draw weights from U(-b, b), b = fan-in ** -0.5, the last layer's with variance 1 / (H D)."""
        generator = stream("cpu", *key)
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        with torch.no_grad():
            for layer in linear:
                bound = layer.in_features**-0.5
                layer.bias.uniform_(-bound, bound, generator=generator)
                if layer is linear[-1]:
                    bound = (3 / (layer.in_features * layer.out_features)) ** 0.5
                layer.weight.uniform_(-bound, bound, generator=generator)

    def forward(self, semantics: Tensor) -> Tensor:
        """Prototypes (C, D) of semantics (C, A)."""
        unit = F.normalize(semantics, dim=1)
        return self.layers(unit * semantics.shape[1] ** 0.5)


class CNZSLLearner(PeerLearner):
    """CNZSL in training (see [`Scorer`][gsmflow.learning.learner.Scorer])."""

    def __init__(self, data: TrainingData, options: CNZSLOptions, seed: int) -> None:
        super().__init__(data, options.batch_size, options.epochs, seed)
        self.options = options
        sizes = data.semantics.shape[1], options.hidden, data.features.shape[1]
        self.prototypes = Prototypes(*sizes, options.nonnegative)
        self.prototypes.reset(seed, "prototypes")
        self.networks["prototypes"] = self.prototypes.to(data.device)
        self.adam = self.optimize(
            "adam", [self.prototypes], options.learning_rate, (0.9, 0.999), options.weight_decay
        )

    def step(self, index: int) -> Losses:
        """One step of Adam on the cross-entropy over the seen classes."""
        o = self.options
        features, labels = self.data.rows(self.batches[index])
        self.adam.param_groups[0]["lr"] = step_decay(
            o.learning_rate, 0.1, max(1, o.epochs // 2), len(self.data.features), self.batches.size, index
        )
        prototypes = F.normalize(self.prototypes.train()(self.seen_semantics), dim=1)
        x = F.normalize(features, dim=1)
        loss = F.cross_entropy(o.scale**2 * x @ prototypes.T, labels)
        return descend(self.adam, loss, classification=loss)

    @torch.no_grad()
    def head(self) -> LinearHead:
        """The cosine head of the prototypes of all classes."""
        weight = self.prototypes.eval()(self.data.semantics)
        return LinearHead(weight, torch.zeros(len(weight), device=weight.device), self.options.scale**2)
