"""Weighted sums of heads on the same features.

Logits of several heads are averaged where no single one is known to be the best: those with the best parameters of a
closed form, or those trained on several sets of synthetic features. The sum of linear heads is a linear head, and the
sum of kernel heads with one kernel is a kernel head, so that it often costs no more than one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.heads.base import GraphHead, Head
from gsmflow.heads.graph import Graph
from gsmflow.heads.kernel import GaussianKernel, KernelHead
from gsmflow.heads.kinds import head_from_state, head_state
from gsmflow.heads.linear import LinearHead


@dataclass(frozen=True)
class SumHead:
    """The logit of class c is the sum over heads k of weight_k * logit_k,c.

    Parameters
    ----------
    heads : tuple[Head, ...]
        At least one; all of the same C classes and D features.
    weights : tuple[float, ...]
        One for each head.
    """

    kind: ClassVar[str] = "sum"

    heads: tuple[Head, ...]
    weights: tuple[float, ...]

    @property
    def classes(self) -> int:
        """C, the number of logits."""
        return self.heads[0].classes

    @property
    def in_dim(self) -> int:
        """D, dimensions of the features."""
        return self.heads[0].in_dim

    @property
    def device(self) -> torch.device:
        """The device that features must be on."""
        return self.heads[0].device

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 logits of transformed features (N, D)."""
        total = torch.zeros(len(features), self.classes, device=self.device)
        for head, weight in zip(self.heads, self.weights, strict=True):
            total.add_(head.logits(features), alpha=weight)
        return total

    def graph(self, graph: Graph, x: str) -> str:
        """The logits as nodes of an ONNX graph.

        Raises
        ------
        InputError
            One of the heads has no graph.
        """
        total = ""
        for head, weight in zip(self.heads, self.weights, strict=True):
            if not isinstance(head, GraphHead):
                raise InputError(
                    f"a head of kind '{head.kind}' has no ONNX graph; export a run of another method"
                )
            logits = graph.add("Mul", head.graph(graph, x), graph.constant(weight))
            total = graph.add("Add", total, logits) if total else logits
        return total

    def state(self) -> dict[str, Tensor]:
        """Tensors from which [`from_state`][gsmflow.heads.sum.SumHead.from_state] rebuilds the same head."""
        state = {"weights": torch.tensor(self.weights, dtype=torch.float64)}
        for index, head in enumerate(self.heads):
            state |= {f"head.{index}.{name}": tensor for name, tensor in head_state(head).items()}
        return state

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> SumHead:
        """Inverse of [`state`][gsmflow.heads.sum.SumHead.state].

        Raises
        ------
        KeyError
            A tensor is missing.
        """
        weights = state["weights"].tolist()
        if not weights:
            raise KeyError("head.0.kind")
        heads = []
        for index in range(len(weights)):
            prefix = f"head.{index}."
            own = {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}
            heads.append(head_from_state(own, f"head {index}"))
        return SumHead(tuple(heads), tuple(weights))


def weighted_sum(heads: Sequence[Head], weights: Sequence[float]) -> Head:
    """The head whose logits are the sum of weight_k * logits_k. Linear heads, and heads with one kernel, become one.

    Parameters
    ----------
    heads : Sequence[Head]
        At least one; all of the same classes and features.
    weights : Sequence[float]
        One for each head.

    Examples
    --------
    >>> heads = [LinearHead(torch.full((2, 3), w), torch.zeros(2)) for w in (1.0, 3.0)]
    >>> weighted_sum(heads, [0.5, 0.5]).weight[0].tolist()
    [2.0, 2.0, 2.0]
    """
    if len(heads) == 1 and weights[0] == 1:
        return heads[0]
    linear = [
        (h, w) for h, w in zip(heads, weights, strict=True) if isinstance(h, LinearHead) and h.scale is None
    ]
    merged: list[Head] = []
    if linear:
        weight = torch.stack([w * head.weight.double() for head, w in linear]).sum(dim=0)
        bias = torch.stack([w * head.bias.double() for head, w in linear]).sum(dim=0)
        merged.append(LinearHead(weight.float(), bias.float()))
    factors = [1.0] * len(merged)
    kernels: list[tuple[GaussianKernel, Tensor]] = []
    for head, w in zip(heads, weights, strict=True):
        if isinstance(head, KernelHead):
            _add_kernel(kernels, head, w)
        elif not isinstance(head, LinearHead) or head.scale is not None:
            merged.append(head)
            factors.append(w)
    merged += [KernelHead(kernel, weight.float()) for kernel, weight in kernels]
    factors += [1.0] * len(kernels)
    if len(merged) == 1 and factors[0] == 1:
        return merged[0]
    return SumHead(tuple(merged), tuple(factors))


def _add_kernel(kernels: list[tuple[GaussianKernel, Tensor]], head: KernelHead, weight: float) -> None:
    """Add a kernel head to the one with the same kernel, or to the end."""
    for index, (kernel, total) in enumerate(kernels):
        same = kernel.width == head.kernel.width
        if same and (
            kernel.centers is head.kernel.centers or torch.equal(kernel.centers, head.kernel.centers)
        ):
            kernels[index] = kernel, total + weight * head.weight.double()
            return
    kernels.append((head.kernel, weight * head.weight.double()))
