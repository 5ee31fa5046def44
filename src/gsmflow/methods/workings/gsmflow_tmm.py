"""GSMFlow with boundary samples (Chen et al., IEEE TMM, arXiv 2207.01798) in place of visual perturbation.

A relation network r(x, a) in [0, 1] learns on the seen classes whether a feature belongs to a class::

    L_rel = mean over samples and seen classes of (r(x, a_c) - [c = y])^2

Copies of the training features are then moved towards the boundaries between classes, by `mining_moves` steps of
length `mining_rate` that keep the relation loss low and raise the entropy of the scores p_c = r(x, a_c) / sum r::

    x <- x - rate * d/dx ( L_rel(x) - entropy_weight * mean_samples H(p) )

The moved copies are added to the flow's training features. The flow, relative positioning and the prototype loss are
those of [`gsmflow.methods.gsmflow`][gsmflow.methods.gsmflow], without noise.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from gsmflow.learning.tensors import Batches, TrainingData
from gsmflow.methods.gsmflow_tmm import TMMOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner
from gsmflow.methods.workings.networks import mlp, reset


class RelationNetwork:
    """r(x, a) = sigmoid(W_2 relu(W_x x + W_a a + b) + b_2), trained on the seen classes."""

    def __init__(self, data: TrainingData, options: TMMOptions, seed: int) -> None:
        self.semantics = data.semantics[data.seen]
        dim, hidden = data.features.shape[1], options.relation_hidden
        self.of_feature = mlp([dim, hidden]).to(data.device)
        self.of_semantics = mlp([self.semantics.shape[1], hidden]).to(data.device)
        self.score = mlp([hidden, 1]).to(data.device)
        parts = [self.of_feature, self.of_semantics, self.score]
        for index, part in enumerate(parts):
            reset(part, seed, "relation", index)
        adam = torch.optim.Adam(
            [p for part in parts for p in part.parameters()], options.relation_learning_rate, fused=True
        )
        batches = Batches(len(data.features), options.batch_size, seed, data.device)
        for step in range(batches.per_epoch * options.relation_epochs):
            features, labels = data.rows(batches[step])
            adam.zero_grad()
            self.loss(self(features), labels).backward()
            adam.step()
        for part in parts:
            part.requires_grad_(False)

    def __call__(self, features: Tensor) -> Tensor:
        """Scores (B, S) of features (B, D) for the seen classes."""
        hidden = F.relu(self.of_feature(features)[:, None] + self.of_semantics(self.semantics)[None])
        return torch.sigmoid(self.score(hidden)[:, :, 0])

    @staticmethod
    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        """Mean squared error of the scores to one-hot labels (B, S); scalar."""
        return F.mse_loss(scores, F.one_hot(labels, scores.shape[1]).float())


def mine(relation: RelationNetwork, features: Tensor, labels: Tensor, options: TMMOptions) -> Tensor:
    """Features (B, D) moved towards the boundaries of their classes."""
    moved = features.clone()
    for _ in range(options.mining_moves):
        moved.requires_grad_(True)
        scores = relation(moved)
        share = scores / scores.sum(dim=1, keepdim=True).clamp(min=1e-12)
        entropy = -(share * share.clamp(min=1e-12).log()).sum(dim=1).mean()
        goal = relation.loss(scores, labels) - options.entropy_weight * entropy
        (slope,) = torch.autograd.grad(goal, moved)
        moved = (moved - options.mining_rate * slope).detach()
    return moved


def learner(data: TrainingData, options: TMMOptions, seed: int) -> GSMFlowLearner:
    """The untrained GSMFlow with its training features: the real ones and their moved copies."""
    relation = RelationNetwork(data, options, seed)
    size = options.batch_size
    moved = [
        mine(relation, x, y, options)
        for x, y in zip(data.features.split(size), data.labels.split(size), strict=True)
    ]
    more = replace(
        data, features=torch.cat((data.features, *moved)), labels=torch.cat((data.labels, data.labels))
    )
    return MinedLearner(data, more, options, seed)


class MinedLearner(GSMFlowLearner):
    """GSMFlow trained on real and moved features; class means and heads come from the real ones alone."""

    def __init__(self, real: TrainingData, more: TrainingData, options: TMMOptions, seed: int) -> None:
        super().__init__(more, options, seed)
        self.means = real.class_means()
