"""ESZSL (Romera-Paredes and Torr, ICML 2015): a bilinear map from features to classes, in closed form.

With features X (N, D), semantics S of the seen classes (S, A) and targets Y (N, S) of +1 / -1::

    V = (X'X + gamma I)^-1  X' Y S  (S'S + lambda I)^-1        (D, A)
    logit of class c for x:  x' V a_c
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from gsmflow.compute.finite import positive
from gsmflow.heads.linear import LinearHead
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.eszsl import ESZSLOptions


def solutions(data: TrainingData, options: ESZSLOptions) -> Iterator[tuple[dict[str, float], LinearHead]]:
    """Heads for all pairs of exponents around the given pair, which comes first; eigenvectors are computed once.

    The right half is computed in its dual form, S (S'S + lambda I)^-1 = (SS' + lambda I)^-1 S, of the size of
    the number of seen classes.
    """
    x, semantics = data.features.double(), data.semantics.double()
    seen = semantics[data.seen]
    x_values, x_axes = data.gram_axes
    s_values, s_axes = torch.linalg.eigh(seen @ seen.T)
    toward = x_axes.T @ (x.T @ targets(data.labels, len(seen))) @ s_axes
    across = s_axes.T @ seen @ semantics.T
    x_size = positive(x_values.mean())
    s_size = positive(seen.square().sum() / seen.shape[1])  # the mean of the diagonal of S'S
    shifts = sorted(range(-options.tried, options.tried + 1), key=abs)
    for dg in shifts:
        gamma = options.gamma + dg
        left = x_axes @ (toward / (x_values.clamp(min=0) + 10**gamma * x_size)[:, None])
        for ds in shifts:
            semantic = options.semantic + ds
            right = across / (s_values.clamp(min=0) + 10**semantic * s_size)[:, None]
            weight = (left @ right).T.float().contiguous()
            head = LinearHead(weight, torch.zeros(len(weight), device=x.device))
            yield {"gamma": gamma, "semantic": semantic}, head


def targets(labels: Tensor, classes: int) -> Tensor:
    """+1 for the class of each sample and -1 for the others, (N, classes) float64."""
    signs = torch.full((len(labels), classes), -1.0, dtype=torch.float64, device=labels.device)
    signs[torch.arange(len(labels), device=labels.device), labels] = 1
    return signs
