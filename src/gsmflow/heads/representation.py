"""What a head takes as input: the features themselves, or a generator's representation of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from gsmflow.compute.activation import LEAK
from gsmflow.heads.graph import Graph
from gsmflow.heads.linear import LinearHead

_OPERATORS = {
    "none": "Identity",
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "sigmoid": "Sigmoid",
    "cos": "Cos",
}  # of ONNX
ACTIVATIONS = {
    "none": lambda x: x,
    "relu": torch.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, LEAK),
    "sigmoid": torch.sigmoid,
    "cos": torch.cos,
}


@dataclass(frozen=True)
class Representation:
    """Some of the activations of a small network, side by side.

    With h_0 = x and h_i = act_i(W_i h_(i-1) + b_i), the representation of x is [h_i for i in `kept`].

    Parameters
    ----------
    layers : tuple[tuple[Tensor, Tensor, str], ...]
        (weight (out, in), bias (out,), name of the activation) of each layer.
    kept : tuple[int, ...]
        Indices of the activations, 0 for the features themselves.
    """

    layers: tuple[tuple[Tensor, Tensor, str], ...]
    kept: tuple[int, ...]

    @property
    def out_dim(self) -> int:
        """Dimensions of a represented feature."""
        sizes = [self.layers[0][0].shape[1], *(len(bias) for _, bias, _ in self.layers)]
        return sum(sizes[index] for index in self.kept)

    def __call__(self, features: Tensor) -> Tensor:
        """Represent features (N, D) as (N, out_dim)."""
        states = [features.float()]
        for weight, bias, activation in self.layers:
            states.append(ACTIVATIONS[activation](torch.addmm(bias, states[-1], weight.T)))
        return torch.cat([states[index] for index in self.kept], dim=1)

    def graph(self, graph: Graph, x: str) -> str:
        """The represented features as nodes of an ONNX graph."""
        states = [x]
        for weight, bias, activation in self.layers:
            x = graph.add("Gemm", states[-1], graph.constant(weight), graph.constant(bias), transB=1)
            slope: dict[str, Any] = {"alpha": LEAK} if activation == "leaky_relu" else {}
            states.append(graph.add(_OPERATORS[activation], x, **slope))
        return graph.add("Concat", *(states[index] for index in self.kept), axis=1)

    def state(self) -> dict[str, Tensor]:
        """Tensors that [`from_state`][gsmflow.heads.representation.Representation.from_state] makes the same
        representation of.
        """
        names = list(ACTIVATIONS)
        state = {"kept": torch.tensor(self.kept)}
        for index, (weight, bias, activation) in enumerate(self.layers):
            state |= {
                f"{index}.weight": weight.cpu(),
                f"{index}.bias": bias.cpu(),
                f"{index}.activation": torch.tensor(names.index(activation)),
            }
        return state

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> Representation:
        """Inverse of [`state`][gsmflow.heads.representation.Representation.state].

        Raises
        ------
        KeyError
            A tensor is missing.
        """
        names = list(ACTIVATIONS)
        count = sum(name.endswith(".weight") for name in state)
        layers = tuple(
            (state[f"{i}.weight"], state[f"{i}.bias"], names[int(state[f"{i}.activation"])])
            for i in range(count)
        )
        return Representation(layers, tuple(state["kept"].tolist()))


@dataclass(frozen=True)
class RepresentedHead:
    """A linear head on a representation of the features.

    Parameters
    ----------
    representation : Representation
        Maps features (N, D) to what the head works on.
    head : LinearHead
        Classifies the represented features.
    """

    kind: ClassVar[str] = "represented"
    """Name of this kind of heads in run folders."""

    representation: Representation
    head: LinearHead

    @property
    def classes(self) -> int:
        """C, the number of logits."""
        return self.head.classes

    @property
    def in_dim(self) -> int:
        """D, dimensions of the features before they are represented."""
        return self.representation.layers[0][0].shape[1]

    @property
    def device(self) -> torch.device:
        """The device that features must be on."""
        return self.head.device

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 logits of transformed features (N, D)."""
        return self.head.logits(self.representation(features))

    def graph(self, graph: Graph, x: str) -> str:
        """The logits as nodes of an ONNX graph."""
        return self.head.graph(graph, self.representation.graph(graph, x))

    def state(self) -> dict[str, Tensor]:
        """Tensors of both parts."""
        own = {f"representation.{name}": tensor for name, tensor in self.representation.state().items()}
        return own | self.head.state()

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> RepresentedHead:
        """Inverse of [`state`][gsmflow.heads.representation.RepresentedHead.state].

        Raises
        ------
        KeyError
            A tensor is missing.
        """
        prefix = "representation."
        own = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
        return RepresentedHead(Representation.from_state(own), LinearHead.from_state(state))


def on_features(representation: Representation | None, head: LinearHead) -> LinearHead | RepresentedHead:
    """A head of features, of one of represented features; without a representation the head itself."""
    return head if representation is None else RepresentedHead(representation, head)
