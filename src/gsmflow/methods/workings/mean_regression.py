"""Class means predicted from semantics by ridge regression, in closed form.

With semantics a_s and mean features m_s of the S seen classes, their means a and m over these classes, and n the mean
of |a_s - a|^2::

    K = (A - a)(A - a)' / n + 1 1'                       (S, S)
    mean(c) = m + [(a_c - a)(A - a)' / n + 1'] (K + 10^ridge I)^-1 (M - m)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gsmflow.compute.finite import positive
from gsmflow.learning.tensors import TrainingData

_PREFIX = "regression."


@dataclass(frozen=True)
class MeanRegression:
    """A linear map from semantics to mean features.

    Parameters
    ----------
    weight : Tensor
        (A, D) float32.
    bias : Tensor
        (D,) float32.
    """

    weight: Tensor
    bias: Tensor

    @staticmethod
    def fit(data: TrainingData, ridge: float) -> MeanRegression:
        """Fit to the mean features of the seen classes.

        Parameters
        ----------
        data : TrainingData
            Features, labels and semantics.
        ridge : float
            Exponent of the regularizer to the base 10, relative to the mean diagonal of the kernel.
        """
        semantics, means = data.semantics[data.seen].double(), data.class_means().double()
        center, mean = semantics.mean(dim=0), means.mean(dim=0)
        centered = semantics - center
        size = positive(centered.square().sum(dim=1).mean())
        kernel = centered @ centered.T / size + 1
        kernel.diagonal().add_(10**ridge)
        coefficients = torch.linalg.solve(kernel, means - mean)  # (S, D)
        weight = centered.T @ coefficients / size
        bias = mean + coefficients.sum(dim=0) - center @ weight
        return MeanRegression(weight.float(), bias.float())

    def __call__(self, semantics: Tensor) -> Tensor:
        """Predicted mean features (C, D) of classes with these semantics (C, A)."""
        return torch.addmm(self.bias, semantics, self.weight)

    def state(self) -> dict[str, Tensor]:
        """The tensors under names of their own."""
        return {f"{_PREFIX}weight": self.weight, f"{_PREFIX}bias": self.bias}

    @staticmethod
    def taken_from(
        weights: Mapping[str, Tensor], like: MeanRegression
    ) -> tuple[MeanRegression, dict[str, Tensor]]:
        """The regression among the weights of a run, and the others.

        Raises
        ------
        ValueError
            One of its tensors is missing, or has another shape than in `like`.
        """
        own = like.state()
        for name, tensor in own.items():
            if name not in weights or weights[name].shape != tensor.shape:
                raise ValueError(f"'{name}' is missing, or not of shape {tuple(tensor.shape)}")
        weight, bias = (weights[name].to(tensor) for name, tensor in own.items())
        return MeanRegression(weight, bias), {n: t for n, t in weights.items() if n not in own}
