"""Heads with one weight vector a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from gsmflow.heads.graph import Graph


@dataclass(frozen=True)
class LinearHead:
    """One logit a class: x @ weight.T + bias.

    Parameters
    ----------
    weight : Tensor
        (C, D) one row a class.
    bias : Tensor
        (C,) one number a class.
    scale : float | None
        None; or a number above 0, which makes it a cosine head with the logits scale * cos(weight_c, x) +
        bias_c.
    """

    kind: ClassVar[str] = "linear"
    """Name of this kind of heads in run folders."""

    weight: Tensor
    bias: Tensor
    scale: float | None = None

    @property
    def classes(self) -> int:
        """C, the number of logits."""
        return len(self.bias)

    @property
    def in_dim(self) -> int:
        """D, dimensions of the features."""
        return self.weight.shape[1]

    @property
    def device(self) -> torch.device:
        """The device that features must be on."""
        return self.weight.device

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 logits of transformed features (N, D)."""
        if self.scale is None:
            return torch.addmm(self.bias, features.float(), self.weight.T)
        unit = F.normalize(features.float(), dim=1)
        return torch.addmm(self.bias, unit, F.normalize(self.weight, dim=1).T, alpha=self.scale)

    def graph(self, graph: Graph, x: str) -> str:
        """The logits as nodes of an ONNX graph."""
        weight = self.weight
        if self.scale is not None:
            x = graph.unit(x, self.in_dim)
            weight = self.scale * weight / weight.norm(dim=1, keepdim=True).clamp(min=1e-12)
        return graph.add("Gemm", x, graph.constant(weight), graph.constant(self.bias), transB=1)

    def state(self) -> dict[str, Tensor]:
        """Tensors from which [`from_state`][gsmflow.heads.linear.LinearHead.from_state] rebuilds the same head."""
        state = {"weight": self.weight.cpu(), "bias": self.bias.cpu()}
        return (
            state if self.scale is None else state | {"scale": torch.tensor(self.scale, dtype=torch.float64)}
        )

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> LinearHead:
        """Inverse of [`state`][gsmflow.heads.linear.LinearHead.state].

        Raises
        ------
        KeyError
            A tensor is missing.
        """
        scale = float(state["scale"]) if "scale" in state else None
        return LinearHead(state["weight"], state["bias"], scale)
