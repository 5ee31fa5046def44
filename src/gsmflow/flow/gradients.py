"""Weight gradients computed after the backward pass, once for all inputs that a layer was given.

A training step sends two batches through the same weights: samples one way, prototypes the other.
Autograd would make a gradient as large as the weight for each, store both and add them. Here a backward
pass only notes each layer's inputs and the gradient of its outputs; :meth:`WeightGradients.collect` makes
one matrix product for each weight, which the optimizer uses up before the next one is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import Parameter

from gsmflow.flow.products import linear, product

LARGE = 1 << 18  # entries of a weight from which memory, not the number of calls, takes the time


class WeightGradients:
    """Notes of the backward passes through some layers, and the gradients they add up to."""

    def __init__(self) -> None:
        self._notes: dict[Parameter, tuple[Parameter | None, list[tuple[Tensor, Tensor]]]] = {}
        self._buffers: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def note(self, weight: Parameter, bias: Parameter | None, inputs: Tensor, gradient: Tensor) -> None:
        """A layer x @ weight.T + bias was given `inputs` (n, in); the loss has `gradient` (n, out) there."""
        self._notes.setdefault(weight, (bias, []))[1].append((inputs.detach(), gradient))

    def collect(self) -> Iterator[tuple[Parameter, Tensor]]:
        """Each parameter with its gradient.

        Gradients of at least LARGE entries are overwritten when the next one is asked for.
        """
        while self._notes:
            weight, (bias, pairs) = self._notes.popitem()
            inputs = _joined([inputs for inputs, _ in pairs])
            if weight.numel() < LARGE:
                gradient = _joined([gradient for _, gradient in pairs])
                yield weight, product(gradient.T, inputs)
                if bias is not None:
                    yield bias, gradient.sum(dim=0)
                continue
            # In bfloat16, products with a transposed left factor run at less than half the speed on the CPU,
            # so there the gradients are laid out transposed as they are put side by side.
            turn = weight.dtype is torch.bfloat16 and weight.device.type == "cpu"
            if turn:
                left = self._buffer("turned", weight, (len(weight), len(inputs)))
                start = 0
                for _, gradient in pairs:
                    left[:, start : start + len(gradient)] = gradient.T
                    start += len(gradient)
            else:
                left = _joined([gradient for _, gradient in pairs]).T
            yield weight, product(left, inputs, out=self._buffer("product", weight, weight.shape))
            if bias is not None:
                yield bias, left.sum(dim=1)

    def _buffer(self, use: str, like: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Memory kept from step to step: to map fresh memory takes about as long as to fill it."""
        if (use, shape) not in self._buffers:
            self._buffers[use, shape] = torch.empty(shape, dtype=like.dtype, device=like.device)
        return self._buffers[use, shape]


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts) if len(parts) > 1 else parts[0]


class _LinearTwice(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, weight: Parameter, bias: Parameter, notes: WeightGradients
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x)
        ctx.parameters, ctx.notes = (weight, bias), notes
        out = linear(x, weight, bias)
        return out, out.clone()

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any, first: Tensor, second: Tensor
    ) -> tuple[Tensor | None, None, None, None]:
        (x,) = ctx.saved_tensors
        ctx.notes.note(*ctx.parameters, x, first + second)
        return (product(first, ctx.parameters[0]) if ctx.needs_input_grad[0] else None), None, None, None


def linear_twice(
    x: Tensor, weight: Parameter, bias: Parameter, notes: WeightGradients | None
) -> tuple[Tensor, Tensor]:
    """x @ weight.T + bias, twice: the parameters get gradients through both, x through the first alone.

    With `notes`, the parameters' gradients are noted there.
    """
    if notes is None:
        return linear(x, weight, bias), linear(x.detach(), weight, bias)
    return _LinearTwice.apply(x, weight, bias, notes)  # type: ignore[return-value]
