"""Weight gradients computed after the backward pass, once for all batches of a step.

A training step sends two batches through the same weights: samples forwards, prototypes backwards. For each
of them autograd would compute a gradient as large as the weight, store both and add them. Here a backward
pass only notes each layer's inputs and the gradient of its outputs. Then
[`WeightGradients.collect`][gsmflow.flow.gradients.WeightGradients.collect] computes each weight's gradient in
one matrix product, and the optimizer uses it before the next one is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import Parameter

from gsmflow.compute.cuda_graphs import Beside, Mark
from gsmflow.compute.fusion import LARGE
from gsmflow.flow.products import linear, product


class WeightGradients:
    """What backward passes noted about some layers, and the gradients computed from it."""

    def __init__(self) -> None:
        self._notes: dict[Parameter, _Notes] = {}
        self._buffers: dict[tuple[str, tuple[int, ...]], Tensor] = {}
        self._early: _Early | None = None
        self._ready: list[
            tuple[Parameter, Tensor]
        ] = []  # gradients of biases, on the way to those used early

    def note(
        self,
        weight: Parameter,
        bias: Parameter | None,
        inputs: Tensor,
        gradient: Tensor,
        *,
        of_all_batches: bool = False,
    ) -> None:
        """Note one batch of a layer x @ weight.T + bias: its `inputs` (n, in), and the gradient (n, out) of
        its outputs.

        The last note on a weight (that of the last batch, or one `of_all_batches`) allows the optimizer to
        change it.
        """
        notes = self._notes.setdefault(weight, _Notes(bias))
        notes.pairs.append((inputs.detach(), gradient))
        if self._early is None or weight.numel() < LARGE:
            return
        notes.launched.append(self._early.beside.mark())
        if of_all_batches or len(notes.pairs) == self._early.batches:
            self._use_early(weight, self._notes.pop(weight), self._early)

    @contextmanager
    def used_early(
        self, use: Callable[[Parameter, Tensor], None], beside: Beside, batches: int
    ) -> Iterator[None]:
        """In this context, pass large gradients to `use` as soon as they are known, while the backward pass
        goes on.

        Parameters
        ----------
        use : Callable[[Parameter, Tensor], None]
            Receives a weight and its gradient, once.
        beside : Beside
            Runs `use` at the same time as the backward pass.
        batches : int
            How many batches go through every layer. All other gradients are returned by
            [`collect`][gsmflow.flow.gradients.WeightGradients.collect].
        """
        self._early = _Early(use, beside, batches)
        try:
            yield
        except BaseException:
            self._notes.clear()  # left by a backward pass that failed: the next one must not count them
            self._ready.clear()
            raise
        finally:
            beside.join()
            self._early = None

    def collect(self) -> Iterator[tuple[Parameter, Tensor]]:
        """Each parameter with its gradient, a tensor of the same shape (out, in) or (out,).

        Gradients of at least LARGE entries are overwritten when the next one is asked for.
        """
        while self._ready:
            yield self._ready.pop()
        while self._notes:
            yield from self._gradients(*self._notes.popitem())

    def _use_early(self, weight: Parameter, notes: _Notes, early: _Early) -> None:
        early.held.append(notes)  # keeps their memory from being reused before everything is joined
        with early.beside.launched(*notes.launched):
            for parameter, gradient in self._gradients(weight, notes):
                if parameter is weight:
                    early.use(parameter, gradient)
                else:
                    self._ready.append((parameter, gradient))

    def _gradients(self, weight: Parameter, notes: _Notes) -> Iterator[tuple[Parameter, Tensor]]:
        inputs = _joined([inputs for inputs, _ in notes.pairs])
        bias = notes.bias
        if weight.numel() < LARGE:
            gradient = _joined([gradient for _, gradient in notes.pairs])
            yield weight, product(gradient.T, inputs)
            if bias is not None:
                yield bias, gradient.sum(dim=0)
            return
        # In bfloat16, products with a transposed left factor run at less than half the speed on the CPU,
        # so there the gradients are laid out transposed.
        turn = weight.dtype is torch.bfloat16 and weight.device.type == "cpu"
        if turn:
            # Put side by side first: torch transposes a whole matrix in blocks, four times as fast as into a part.
            left = self._buffer("turned", weight, (len(weight), len(inputs)))
            left.copy_(_joined([gradient for _, gradient in notes.pairs]).T)
        else:
            left = _joined([gradient for _, gradient in notes.pairs]).T
        yield weight, product(left, inputs, out=self._buffer("product", weight, weight.shape))
        if bias is None:
            return
        if weight.is_cuda:  # a sum across rows takes twice as long there
            yield bias, product(left, left.new_ones(left.shape[1], 1))[:, 0]
        else:
            yield bias, left.sum(dim=1)

    def _buffer(self, use: str, like: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Memory that is reused in every step: mapping fresh memory takes about as long as filling it."""
        if (use, shape) not in self._buffers:
            self._buffers[use, shape] = torch.empty(shape, dtype=like.dtype, device=like.device)
        return self._buffers[use, shape]


@dataclass
class _Notes:
    """The notes on one layer: its bias, pairs of inputs and output gradients, and when these were launched."""

    bias: Parameter | None
    pairs: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    launched: list[Mark] = field(default_factory=list)


@dataclass
class _Early:
    use: Callable[[Parameter, Tensor], None]
    beside: Beside
    batches: int
    held: list[_Notes] = field(default_factory=list)


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
        x_gradient = product(first, ctx.parameters[0]) if ctx.needs_input_grad[0] else None
        ctx.notes.note(*ctx.parameters, x, first + second, of_all_batches=True)
        return x_gradient, None, None, None


def linear_twice(
    x: Tensor, weight: Parameter, bias: Parameter, notes: WeightGradients | None
) -> tuple[Tensor, Tensor]:
    """x @ weight.T + bias, (n, out), twice. The parameters get gradients through both, x through the first alone.

    With `notes`, the parameters' gradients are collected there.
    """
    if notes is None:
        return linear(x, weight, bias), linear(x.detach(), weight, bias)
    return _LinearTwice.apply(x, weight, bias, notes)  # type: ignore[return-value]
