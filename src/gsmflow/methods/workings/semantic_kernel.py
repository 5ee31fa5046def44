"""Kernels between the semantics of classes, and regression from values of seen classes to values of all classes."""

from __future__ import annotations

import torch
from torch import Tensor

from gsmflow.compute.finite import positive
from gsmflow.heads.kernel import squared_distances
from gsmflow.learning.tensors import TrainingData


def semantic_kernel(data: TrainingData, width: float) -> Tensor:
    """The kernel between the seen classes and all classes, (S, C) float64, on semantics centered by the seen ones.

    A constant is added, which stands for the intercept of the regression.

    Parameters
    ----------
    data : TrainingData
        The semantics.
    width : float
        Width of a Gaussian kernel, in median distances between seen classes. With 0 the kernel is linear, with a mean
        diagonal of 1.
    """
    centered = data.semantics.double() - data.semantics[data.seen].double().mean(dim=0)
    seen = centered[data.seen]
    if not width:
        return seen @ centered.T / positive(seen.square().sum(dim=1).mean()) + 1
    between = squared_distances(seen, centered)
    others = between[:, data.seen][~torch.eye(len(seen), dtype=torch.bool, device=seen.device)]
    return (-0.5 * between / (width**2 * positive(others.median()))).exp() + 1


def regression(kernel: Tensor, seen: Tensor, regularizer: float) -> Tensor:
    """The matrix (K_s + lambda I)^-1 K (S, C), which maps values of the seen classes to predictions for all classes.

    Parameters
    ----------
    kernel : Tensor
        (S, C) the kernel from [`semantic_kernel`][gsmflow.methods.workings.semantic_kernel.semantic_kernel].
    seen : Tensor
        (S,) indices of the seen classes.
    regularizer : float
        Exponent of lambda to the base 10.
    """
    among = kernel[:, seen].clone()
    among.diagonal().add_(10**regularizer)
    return torch.linalg.solve(among, kernel)
