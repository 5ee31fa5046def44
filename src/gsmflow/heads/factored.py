"""Linear heads whose weights are combinations of a few rows, for candidates that share these rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from gsmflow.heads.graph import Graph
from gsmflow.heads.linear import LinearHead
from gsmflow.heads.remembered import Remembered


@dataclass(frozen=True)
class Rows:
    """Rows (K, D) that weights are combinations of. Their product with the last features is stored.

    Parameters
    ----------
    values : Tensor
        (K, D) float32.
    """

    values: Tensor
    _remembered: Remembered = field(default_factory=Remembered, repr=False, compare=False)

    def products(self, features: Tensor) -> Tensor:
        """Features (N, D) times the rows: (N, K) float32."""
        return self._remembered.of(features, lambda asked: asked.float() @ self.values.T)


@dataclass(frozen=True)
class FactoredHead:
    """The linear head with weight = across @ rows. Heads that share the rows share the product with them.

    A run folder stores it as a `LinearHead`.

    Parameters
    ----------
    rows : Rows
        K rows of D dimensions.
    across : Tensor
        (C, K) one combination a class.
    bias : Tensor
        (C,) one number a class.

    Examples
    --------
    >>> head = FactoredHead(Rows(torch.eye(2, 3)), torch.ones(4, 2), torch.zeros(4))
    >>> features = torch.tensor([[1.0, 2.0, 3.0]])
    >>> head.logits(features).tolist() == head.linear().logits(features).tolist() == [[3.0] * 4]
    True
    """

    kind: ClassVar[str] = LinearHead.kind

    rows: Rows
    across: Tensor
    bias: Tensor

    @property
    def classes(self) -> int:
        """C, the number of logits."""
        return len(self.bias)

    @property
    def in_dim(self) -> int:
        """D, dimensions of the features."""
        return self.rows.values.shape[1]

    @property
    def device(self) -> torch.device:
        """The device that features must be on."""
        return self.bias.device

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 logits of transformed features (N, D)."""
        return torch.addmm(self.bias, self.rows.products(features), self.across.T)

    def linear(self) -> LinearHead:
        """The same head with its weights multiplied out in float64."""
        weight = self.across.double() @ self.rows.values.double()
        return LinearHead(weight.float().contiguous(), self.bias)

    def graph(self, graph: Graph, x: str) -> str:
        """The logits as nodes of an ONNX graph."""
        return self.linear().graph(graph, x)

    def state(self) -> dict[str, Tensor]:
        """Tensors of the [`LinearHead`][gsmflow.heads.linear.LinearHead] with the same logits, which is read back."""
        return self.linear().state()
