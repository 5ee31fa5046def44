"""Small networks that methods trained by autograd share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gsmflow.compute.activation import LEAK
from gsmflow.compute.layers import UndrawnLinear
from gsmflow.compute.randomness import stream

Network = TypeVar("Network", bound=nn.Module)


def mlp(sizes: Sequence[int], last: nn.Module | None = None) -> nn.Sequential:
    """Linear layers of the given sizes with LeakyReLU(0.2) between them, and `last` at the end.

    Weights are undefined until [`reset`][gsmflow.methods.workings.networks.reset] draws them.
    """
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [UndrawnLinear(fan_in, fan_out), nn.LeakyReLU(LEAK)]
    layers[-1:] = [last] if last else []
    return nn.Sequential(*layers)


def linear(network: nn.Sequential, index: int) -> tuple[Tensor, Tensor]:
    """Weight (out, in) and bias (out,) of the linear layer at that place of an
    [`mlp`][gsmflow.methods.workings.networks.mlp].
    """
    layer = network[index]
    if not isinstance(layer, nn.Linear):
        raise ValueError(f"index: {index}, there is a {type(layer).__name__}, expected a linear layer")
    return layer.weight, layer.bias


class ConditionalMLP(nn.Module):
    """An [`mlp`][gsmflow.methods.workings.networks.mlp] of [x, a], for samples x that share their classes' semantics a.

    W [x, a] + b = (W_x x + b) + W_a a, and the second term is computed once a class and not once a sample.

    Parameters
    ----------
    in_dim : int
        Dimensions of x.
    semantic_dim : int
        Dimensions of a.
    sizes : Sequence[int]
        Sizes of the layers after the first.
    last : nn.Module | None
        See [`mlp`][gsmflow.methods.workings.networks.mlp].
    """

    def __init__(
        self, in_dim: int, semantic_dim: int, sizes: Sequence[int], last: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.of_input = UndrawnLinear(in_dim, sizes[0])
        self.of_semantics = UndrawnLinear(semantic_dim, sizes[0], bias=False)
        self.rest = nn.Sequential(nn.LeakyReLU(LEAK), *mlp(sizes, last))

    def condition(self, semantics: Tensor) -> Tensor:
        """W_a a for semantics (C, A): (C, sizes[0])."""
        return self.of_semantics(semantics)

    def hidden(self, x: Tensor, condition: Tensor, rows: Tensor) -> Tensor:
        """The first layer's activations (B, sizes[0]); arguments as in
        [`given`][gsmflow.methods.workings.networks.ConditionalMLP.given].
        """
        return self.rest[0](self.of_input(x) + take(condition, rows))

    def given(self, x: Tensor, condition: Tensor, rows: Tensor) -> Tensor:
        """The output for x (B, in_dim), the condition of C classes, and the row (B,) of each sample in it."""
        return self.rest[1:](self.hidden(x, condition, rows))

    def forward(self, x: Tensor, semantics: Tensor, rows: Tensor) -> Tensor:
        """The same, from the semantics (C, A) of the classes."""
        return self.given(x, self.condition(semantics), rows)


def take(table: Tensor, rows: Tensor) -> Tensor:
    """table[rows]: (B, K) from (C, K) and (B,), with a fast and deterministic backward pass.

    The backward pass of plain indexing adds row by row, on a GPU in any order; here it is a product with
    one-hot rows.
    """
    return F.one_hot(rows, len(table)).to(table.dtype) @ table


def reset(network: nn.Module, *key: int | str) -> None:
    """Draw weights from N(0, 1 / fan-in), biases zero; `key` names the draw.

    GANs of the field draw from N(0, 0.02^2), which is the same for 2,500 inputs, about the size of the
    published networks. In small networks it would make signals vanish from layer to layer.
    """
    generator = stream("cpu", *key)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.zero_()
            else:
                draw = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(draw * parameter.shape[1] ** -0.5)
