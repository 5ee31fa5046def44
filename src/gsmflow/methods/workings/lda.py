"""Gaussian classes with a shared covariance, their means predicted from the semantics by ridge regression.

The generative baseline in closed form. With class means m_s of the seen classes' features, semantics a_s
with a 1
appended, the pooled within-class covariance shrunk towards a multiple of the identity, and equal priors::

    M = (sum_s a_s a_s' + lambda I)^-1 sum_s a_s m_s'                   ridge regression
    Sigma = (1 - rho) W + rho tr(W) / D I,  W = 1 / N sum (x - m_y)(x - m_y)'
    logit_c = m_c' Sigma^-1 x - 1/2 m_c' Sigma^-1 m_c                   linear discriminant analysis

where m_c is the mean feature of a seen class and M' a_c for an unseen class. Compare Verma and Rai, A simple
exponential family framework for zero-shot learning, ECML 2017.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gsmflow.compute.finite import positive
from gsmflow.heads.linear import LinearHead
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.lda import LDAOptions

_ROWS = 1 << 13  # features converted to float64 at a time


def solutions(data: TrainingData, options: LDAOptions) -> Iterator[tuple[dict[str, float], LinearHead]]:
    """The given ridge and shrinkage first; one factorization a shrinkage serves all ridges."""
    ridges = [options.ridge + shift for shift in sorted(range(-options.tried, options.tried + 1), key=abs)]
    shrinkages = [options.shrinkage]
    if options.tried:
        shrinkages += [s for s in (0.003, 0.03, 0.1, 0.3, 1.0) if s != options.shrinkage]
    means = data.class_means().double()
    predicted = _predicted(data, means, ridges)  # (R, C, D)
    covariance = _within(data, means)
    # One sample a class: no variance, so the nearest mean decides.
    size = positive(covariance.diagonal().mean())
    stacked = predicted.flatten(0, 1)
    for rho in shrinkages:
        shrunk = (1 - rho) * covariance
        shrunk.diagonal().add_(rho * size)
        solved = torch.cholesky_solve(stacked.T, torch.linalg.cholesky(shrunk)).T
        for ridge, weight, mean in zip(ridges, solved.view_as(predicted), predicted, strict=True):
            bias = -0.5 * (weight * mean).sum(dim=1)
            head = LinearHead(weight.float().contiguous(), bias.float())
            yield {"ridge": ridge, "shrinkage": rho}, head


def _predicted(data: TrainingData, means: Tensor, ridges: Sequence[float]) -> Tensor:
    """Means of all classes (R, C, D) for each ridge: those of the seen ones as they are, of the others predicted.

    With fewer classes than semantic dimensions the regression is solved in its dual form,
    M = A' (A A' + lambda I)^-1 m.
    """
    design = torch.cat((data.semantics, torch.ones_like(data.semantics[:, :1])), dim=1).double()
    seen = design[data.seen]
    scale = seen.square().sum(dim=0).mean()
    gram = seen @ seen.T
    values, axes = torch.linalg.eigh(gram)
    toward, across = axes.T @ means, design @ seen.T @ axes
    predicted = [across @ (toward / (values.clamp(min=0) + 10**ridge * scale)[:, None]) for ridge in ridges]
    for each in predicted:
        each[data.seen] = means
    return torch.stack(predicted)


def _within(data: TrainingData, means: Tensor) -> Tensor:
    """The pooled within-class covariance (D, D)."""
    total = torch.zeros(means.shape[1], means.shape[1], dtype=torch.float64, device=means.device)
    for rows, labels in zip(data.features.split(_ROWS), data.labels.split(_ROWS), strict=True):
        centered = rows.double() - means[labels]
        total += centered.T @ centered
    return total / len(data.features)
