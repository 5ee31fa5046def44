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

_LEAST = 1e-6  # smaller values are raised to this before their logarithm
_OPERATORS = {
    "none": "Identity",
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "sigmoid": "Sigmoid",
    "cos": "Cos",
    "softmax": "Softmax",
}  # of ONNX
# A run folder stores an activation as its place here: new ones come last.
ACTIVATIONS = {
    "none": lambda x: x,
    "relu": torch.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, LEAK),
    "sigmoid": torch.sigmoid,
    "cos": torch.cos,
    "softmax": lambda x: x.softmax(dim=1),
    "log": lambda x: x.clamp(min=_LEAST).log(),
    "squares": lambda x: torch.cat((x, x.square()), dim=1),
}


@dataclass(frozen=True)
class Representation:
    """Some of the activations of a small network, side by side.

    With h_0 = x and h_i = act_i(W_i h_(i-1) + b_i), the representation of x is [h_i for i in `kept`].
    Two activations do not map number by number: ``softmax``, which is over all of them, and ``squares``, which gives
    [h, h^2].

    Parameters
    ----------
    layers : tuple[tuple[Tensor, Tensor, str], ...]
        (weight, bias (out,), name of the activation) of each layer. The weight is (out, in), or (in,) for the diagonal
        of a matrix that is 0 elsewhere.
    kept : tuple[int, ...]
        Indices of the activations, 0 for the features themselves.
    """

    layers: tuple[tuple[Tensor, Tensor, str], ...]
    kept: tuple[int, ...]

    @property
    def in_dim(self) -> int:
        """D, dimensions of the features."""
        return self.layers[0][0].shape[-1]

    @property
    def out_dim(self) -> int:
        """Dimensions of a represented feature."""
        sizes = [self.in_dim]
        sizes += [(1 + (activation == "squares")) * len(bias) for _, bias, activation in self.layers]
        return sum(sizes[index] for index in self.kept)

    def __call__(self, features: Tensor) -> Tensor:
        """Represent features (N, D) as (N, out_dim)."""
        states = [features.float()]
        for weight, bias, activation in self.layers:
            h = states[-1]
            h = h * weight + bias if weight.ndim == 1 else torch.addmm(bias, h, weight.T)
            states.append(ACTIVATIONS[activation](h))
        return torch.cat([states[index] for index in self.kept], dim=1)

    def graph(self, graph: Graph, x: str) -> str:
        """The represented features as nodes of an ONNX graph."""
        states = [x]
        for weight, bias, activation in self.layers:
            x, factor, offset = states[-1], graph.constant(weight), graph.constant(bias)
            if weight.ndim == 1:
                x = graph.add("Add", graph.add("Mul", x, factor), offset)
            else:
                x = graph.add("Gemm", x, factor, offset, transB=1)
            states.append(_activated(graph, x, activation))
        return graph.add("Concat", *(states[index] for index in self.kept), axis=1)

    def state(self) -> dict[str, Tensor]:
        """Tensors from which [`from_state`][gsmflow.heads.representation.Representation.from_state] rebuilds the
        same representation.
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


def _activated(graph: Graph, x: str, activation: str) -> str:
    """The activation of x as nodes of an ONNX graph."""
    if activation == "log":
        return graph.add("Log", graph.add("Max", x, graph.constant(_LEAST)))
    if activation == "squares":
        return graph.add("Concat", x, graph.add("Mul", x, x), axis=1)
    more: dict[str, Any] = {"alpha": LEAK} if activation == "leaky_relu" else {}
    return graph.add(_OPERATORS[activation], x, **more)


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
        return self.representation.in_dim

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
    """Turn a head for represented features into a head for features; unchanged without a representation."""
    return head if representation is None else RepresentedHead(representation, head)
