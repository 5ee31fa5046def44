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

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from gsmflow.base.options import Options, option
from gsmflow.compute.finite import positive
from gsmflow.heads.linear import LinearHead
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.method import Method


@dataclass(frozen=True)
class LDAOptions(Options):
    """Regularizers of LDA: 10^ridge times the mean of the diagonal it is added to, and a fraction of shrinkage."""

    table = "lda"

    ridge: float = option(-2.0, "exponent of the regularizer of the regression", low=-12, high=12)
    shrinkage: float = option(0.1, "rho, of the covariance towards the identity", above=0, high=1)
    tried: int = option(
        4,
        "exponents of ridge tried to each side, where the protocol may choose; each with 5 shrinkages",
        low=0,
    )


def _solutions(data: TrainingData, options: LDAOptions) -> Iterator[tuple[dict[str, float], LinearHead]]:
    x = data.features.double()
    means = data.class_means().double()
    centered = x - means[data.labels]
    values, axes = torch.linalg.eigh(centered.T @ centered / len(x))
    values = values.clamp(min=0)
    size = positive(values.mean())  # one sample a class: no variance, so the nearest mean decides
    design = torch.cat((data.semantics.double(), torch.ones_like(data.semantics[:, :1]).double()), dim=1)
    seen = design[data.seen]
    gram, toward = seen.T @ seen, seen.T @ means
    scale = gram.diagonal().mean()
    shrinkages = [options.shrinkage]
    if options.tried:
        shrinkages += [s for s in (0.003, 0.03, 0.1, 0.3, 1.0) if s != options.shrinkage]
    for shift in sorted(range(-options.tried, options.tried + 1), key=abs):
        ridge = options.ridge + shift
        eye = torch.eye(len(gram), dtype=torch.float64, device=x.device)
        predicted = design @ torch.linalg.solve(gram + 10**ridge * scale * eye, toward)
        predicted[data.seen] = means
        for rho in shrinkages:
            spread = (1 - rho) * values + rho * size
            spread = spread.clamp(min=torch.finfo(torch.float32).tiny)
            weight = (predicted @ axes / spread) @ axes.T
            bias = -0.5 * (weight * predicted).sum(dim=1)
            yield {"ridge": ridge, "shrinkage": rho}, LinearHead(weight.float(), bias.float())


METHOD = Method(
    name="lda",
    citation="Gaussian classes with means regressed on semantics; compare Verma and Rai, ECML 2017",
    options=LDAOptions,
    direct=_solutions,
)
