"""Heads that compare features with training features by a Gaussian kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from gsmflow.heads.graph import Graph
from gsmflow.heads.remembered import Remembered

_ENTRIES = 1 << 24  # of the kernel matrix, computed in one go


def squared_distances(features: Tensor, centers: Tensor) -> Tensor:
    """|x - z|^2 of features (N, D) and centers (M, D): (N, M), none below 0."""
    squares = features.square().sum(dim=1, keepdim=True) + centers.square().sum(dim=1)
    return torch.addmm(squares, features, centers.T, alpha=-2).clamp_(min=0)


@dataclass(frozen=True)
class GaussianKernel:
    """k(x, z) = exp(-|x - z|^2 / (2 w^2)) of features x and centers z.

    Heads with the same kernel share it, and with it the stored values for the last features.

    Parameters
    ----------
    centers : Tensor
        (M, D) training features, or some of them.
    width : float
        w, above 0.

    Examples
    --------
    >>> kernel = GaussianKernel(torch.tensor([[0.0, 0.0], [0.0, 2.0]]), 1.0)
    >>> kernel(torch.zeros(1, 2)).numpy().round(2).tolist()
    [[1.0, 0.14000000059604645]]
    """

    centers: Tensor
    width: float
    _remembered: Remembered = field(default_factory=Remembered, repr=False, compare=False)

    def __call__(self, features: Tensor) -> Tensor:
        """The kernel of features (N, D) with all centers, (N, M) float32."""
        return self._remembered.of(features, self._computed)

    def _computed(self, features: Tensor) -> Tensor:
        return squared_distances(features.float(), self.centers).mul_(-0.5 / self.width**2).exp_()


@dataclass(frozen=True)
class KernelHead:
    """One logit a class: k(x, Z) @ weight.T, with the Gaussian kernel k and centers Z.

    Parameters
    ----------
    kernel : GaussianKernel
        The Gaussian kernel with its M centers.
    weight : Tensor
        (C, M) one row a class.
    """

    kind: ClassVar[str] = "kernel"

    kernel: GaussianKernel
    weight: Tensor

    @property
    def classes(self) -> int:
        """C, the number of logits."""
        return len(self.weight)

    @property
    def in_dim(self) -> int:
        """D, dimensions of the features."""
        return self.kernel.centers.shape[1]

    @property
    def device(self) -> torch.device:
        """The device that features must be on."""
        return self.kernel.centers.device

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 logits of transformed features (N, D)."""
        rows = max(1, _ENTRIES // len(self.kernel.centers))
        if len(features) <= rows:
            return self.kernel(features) @ self.weight.T
        return torch.cat([self.kernel(part) @ self.weight.T for part in features.split(rows)])

    def graph(self, graph: Graph, x: str) -> str:
        """The logits as nodes of an ONNX graph."""
        distances = graph.squared_distances(x, self.kernel.centers)
        kernel = graph.add("Exp", graph.add("Mul", distances, graph.constant(-0.5 / self.kernel.width**2)))
        return graph.add("MatMul", kernel, graph.constant(self.weight.T))

    def state(self) -> dict[str, Tensor]:
        """Tensors from which [`from_state`][gsmflow.heads.kernel.KernelHead.from_state] rebuilds the same head."""
        return {
            "centers": self.kernel.centers.cpu(),
            "weight": self.weight.cpu(),
            "width": torch.tensor(self.kernel.width, dtype=torch.float64),
        }

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> KernelHead:
        """Inverse of [`state`][gsmflow.heads.kernel.KernelHead.state].

        Raises
        ------
        KeyError
            A tensor is missing.
        """
        return KernelHead(GaussianKernel(state["centers"], float(state["width"])), state["weight"])
