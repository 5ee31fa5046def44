"""What every head does: logits of transformed features, tensors of a run folder, and an ONNX graph if it can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from gsmflow.heads.graph import Graph


@runtime_checkable
class Head(Protocol):
    """A classifier of transformed features."""

    kind: ClassVar[str]
    """The name of this class of heads, by which a run folder finds it again."""

    @property
    def classes(self) -> int:
        """C, the number of logits."""
        ...

    @property
    def in_dim(self) -> int:
        """D, dimensions of the features."""
        ...

    @property
    def device(self) -> torch.device:
        """The device that features must be on."""
        ...

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 logits of transformed features (N, D)."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Tensors on the CPU from which the class's ``from_state`` builds the same head; none is named ``kind``."""
        ...


class HeadClass(Protocol):
    """A class of heads, as it is registered."""

    kind: ClassVar[str]
    """Its name."""

    def from_state(self, state: Mapping[str, Tensor], /) -> Head:
        """A head of this class from the tensors of its ``state``; a static or class method.

        Raises
        ------
        KeyError
            A tensor is missing.
        """
        ...


@runtime_checkable
class GraphHead(Head, Protocol):
    """A head that can be exported."""

    def graph(self, graph: Graph, x: str) -> str:
        """Append the head's nodes to an ONNX graph.

        Parameters
        ----------
        graph : Graph
            Takes nodes and constants.
        x : str
            The value of transformed features, float32 (samples, D).

        Returns
        -------
        str
            The value of the logits, float32 (samples, C).
        """
        ...
