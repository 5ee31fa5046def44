"""Gaussian classes with a shared covariance, their means predicted from the semantics by ridge regression.

The generative baseline in closed form. It has the mean features m_s of the seen classes, semantics a_s with a 1
appended, the pooled within-class covariance, shrunk towards a multiple of the identity, and equal priors::

    M = (sum_s a_s a_s' + lambda I)^-1 sum_s a_s m_s'                   ridge regression
    Sigma = (1 - rho) W + rho tr(W) / D I,  W = 1 / N sum (x - m_y)(x - m_y)'
    logit_c = m_c' Sigma^-1 x - 1/2 m_c' Sigma^-1 m_c                   linear discriminant analysis

Here m_c is the mean feature of a seen class, and M' a_c for an unseen class. With a Gaussian kernel on semantics, the
regression is kernel ridge regression. Compare Verma and Rai, A simple exponential family framework for zero-shot
learning, ECML 2017.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gsmflow.compute.finite import positive
from gsmflow.heads.factored import FactoredHead, Rows
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.lda import LDAOptions
from gsmflow.methods.workings.semantic_kernel import regression, semantic_kernel


def solutions(data: TrainingData, options: LDAOptions) -> Iterator[tuple[dict[str, float], FactoredHead]]:
    """A head for every ridge and shrinkage, the given ones first; each shrinkage takes one factorization."""
    shrinkages = [options.shrinkage]
    if options.tried:
        shrinkages += [s for s in (0.003, 0.03, 0.1, 0.3, 1.0) if s != options.shrinkage]
    means = data.class_means().double()
    regressions = _regressions(data, options)
    covariance = data.within_covariance
    # One sample a class: no variance, so the nearest mean decides.
    size = positive(covariance.diagonal().mean())
    for rho in shrinkages:
        shrunk = (1 - rho) * covariance
        shrunk.diagonal().add_(rho * size)
        solved = torch.cholesky_solve(means.T, torch.linalg.cholesky(shrunk)).T  # (S, D)
        products = means @ solved.T  # m_s' Sigma^-1 m_t
        rows = Rows(solved.float().contiguous())
        for parameters, across in regressions:
            bias = -0.5 * (across @ products * across).sum(dim=1)
            yield {**parameters, "shrinkage": rho}, FactoredHead(rows, across.float(), bias.float())


def _regressions(data: TrainingData, options: LDAOptions) -> list[tuple[dict[str, float], Tensor]]:
    """Parameters of each regression, the given ones first, with the matrix (C, S) from the means of the seen classes to
    the means of all classes; a seen class keeps its own mean.
    """
    ridges = [options.ridge + shift for shift in sorted(range(-options.tried, options.tried + 1), key=abs)]
    also = (0.0, 1.0) if options.semantic_widths_tried else ()
    regressions: list[tuple[dict[str, float], Tensor]] = []
    for width in dict.fromkeys((options.semantic_width, *also)):
        if width:
            kernel = semantic_kernel(data, width)
            each = [regression(kernel, data.seen, ridge).T for ridge in ridges]
        else:
            each = _linear(data, ridges)
        for ridge, across in zip(ridges, each, strict=True):
            across[data.seen] = torch.eye(len(data.seen), dtype=across.dtype, device=data.device)
            regressions.append(({"ridge": ridge, **({"semantic_width": width} if width else {})}, across))
    return regressions


def _linear(data: TrainingData, ridges: Sequence[float]) -> list[Tensor]:
    """The regression on semantics with a 1 appended, (C, S) for each ridge, solved in its dual form,
    M' = A' (A A' + lambda I)^-1 m.
    """
    design = torch.cat((data.semantics, torch.ones_like(data.semantics[:, :1])), dim=1).double()
    seen = design[data.seen]
    scale = seen.square().sum(dim=0).mean()
    values, axes = torch.linalg.eigh(seen @ seen.T)
    across = design @ seen.T @ axes
    return [across / (values.clamp(min=0) + 10**ridge * scale) @ axes.T for ridge in ridges]
