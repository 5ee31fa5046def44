"""ESZSL (Romera-Paredes and Torr, ICML 2015): a bilinear map from features to classes, in closed form.

With features X (N, D), semantics S of the seen classes (S, A) and targets Y (N, S) of +1 / -1::

    V = (X'X + gamma I)^-1  X' Y S  (S'S + lambda I)^-1        (D, A)
    logit of class c for x:  x' V a_c
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
class ESZSLOptions(Options):
    """Regularizers of ESZSL: 10 to the power of an option, times the mean of the diagonal it is added to."""

    table = "eszsl"

    gamma: float = option(-1.0, "exponent of the regularizer on features", low=-12, high=12)
    semantic: float = option(-1.0, "exponent of the regularizer on semantics", low=-12, high=12)
    tried: int = option(
        4, "exponents tried to each side of both, where the protocol may choose", low=0, high=12
    )


def solutions(data: TrainingData, options: ESZSLOptions) -> Iterator[tuple[dict[str, float], LinearHead]]:
    """Heads for all pairs of exponents around the given pair, which comes first; eigenvectors are computed once."""
    x, s = data.features.double(), data.semantics[data.seen].double()
    targets = torch.full((len(x), len(s)), -1.0, dtype=torch.float64, device=x.device)
    targets[torch.arange(len(x), device=x.device), data.labels] = 1
    x_values, x_axes = torch.linalg.eigh(x.T @ x)
    s_values, s_axes = torch.linalg.eigh(s.T @ s)
    middle = x_axes.T @ (x.T @ targets @ s) @ s_axes
    x_size, s_size = positive(x_values.mean()), positive(s_values.mean())
    shifts = sorted(range(-options.tried, options.tried + 1), key=abs)
    for dg in shifts:
        for ds in shifts:
            gamma, semantic = options.gamma + dg, options.semantic + ds
            left = x_values.clamp(min=0) + 10**gamma * x_size
            right = s_values.clamp(min=0) + 10**semantic * s_size
            v = x_axes @ (middle / left[:, None] / right) @ s_axes.T
            weight = (v @ data.semantics.double().T).T.float().contiguous()
            head = LinearHead(weight, torch.zeros(len(weight), device=x.device))
            yield {"gamma": gamma, "semantic": semantic}, head


METHOD = Method(
    name="eszsl",
    citation="Romera-Paredes and Torr, An embarrassingly simple approach to zero-shot learning, ICML 2015",
    options=ESZSLOptions,
    direct=solutions,
)
