"""The conditional flow z = f(x; g): coupling blocks one after the other, no permutation between."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gsmflow.flow.coupling import ConditionalCoupling
from gsmflow.flow.gradients import WeightGradients
from gsmflow.flow.products import product

Conditions = Sequence[tuple[Tensor, Tensor]]
"""The conditions of both subnets of every block, each (C, hidden)."""


class ConditionalFlow(nn.Module):
    """Exactly invertible map between features and noise, conditioned on a global semantic vector.

    Parameters
    ----------
    dim : int
        D >= 2, feature dimensions.
    condition_dim : int
        G, size of the global semantic vector.
    blocks : int
        Number of coupling blocks, at least 1.
    hidden : int
        Size of every subnet's hidden layer.
    every_layer : bool
        Give the semantics to every coupling block (the remedy for semantic inconsistency); otherwise only to
        the block next to the noise, as in an ordinary conditional generator.
    clamp : float
        C > 0 of the soft clamp.
    """

    def __init__(
        self,
        dim: int,
        condition_dim: int,
        *,
        blocks: int,
        hidden: int,
        every_layer: bool = True,
        clamp: float = 1.0,
    ) -> None:
        super().__init__()
        if blocks < 1:
            raise ValueError(f"blocks: {blocks}, expected at least 1")
        self.dim = dim
        self.blocks = nn.ModuleList(
            ConditionalCoupling(
                dim, hidden, condition_dim if every_layer or index == blocks - 1 else 0, clamp
            )
            for index in range(blocks)
        )

    def reset(self, generator: torch.Generator | None = None, scale: float = 0.01) -> None:
        """Draw every parameter, biases too, from scale * N(0, 1) (the authors' initialization)."""
        with torch.no_grad():
            for parameter in self.parameters():
                draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
                parameter.copy_(draw * scale)

    def condition(self, g: Tensor) -> Conditions:
        """The conditions of all subnets for global semantic vectors g (C, G).

        Compute them once for the classes. Then pass them to
        [`forward`][gsmflow.flow.flow.ConditionalFlow.forward] and
        [`inverse`][gsmflow.flow.flow.ConditionalFlow.inverse], together with each sample's row.
        """
        return self.condition_twice(g)[0]

    def condition_twice(self, g: Tensor) -> tuple[Conditions, Conditions]:
        """The [`condition`][gsmflow.flow.flow.ConditionalFlow.condition] twice: with a gradient to g, and without."""
        pairs = [(block.net1.condition_twice(g), block.net2.condition_twice(g)) for block in self.couplings()]
        return [(n1[0], n2[0]) for n1, n2 in pairs], [(n1[1], n2[1]) for n1, n2 in pairs]

    def forward(self, x: Tensor, conditions: Conditions, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map features x (B, D) to (z (B, D), log|det dz/dx| (B,)).

        Parameters
        ----------
        x : Tensor
            (B, D) features.
        conditions : Conditions
            Conditions of C classes, or of the B samples one by one.
        rows : Tensor | None
            (B,) the row of the conditions that belongs to each sample; None where the conditions have one
            row a sample already.
        """
        first, second = self._halves(x)
        log_det = x.new_zeros(len(x))
        for block, (c1, c2) in zip(self.couplings(), conditions, strict=True):
            first, second, change = block(first, second, _take(c1, rows), _take(c2, rows))
            log_det = log_det + change
        return torch.cat((first, second), dim=1), log_det

    def inverse(self, z: Tensor, conditions: Conditions, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map noise z (B, D) to (x (B, D), log|det dx/dz| (B,)); rows as in
        [`forward`][gsmflow.flow.flow.ConditionalFlow.forward].
        """
        first, second = self._halves(z)
        log_det = z.new_zeros(len(z))
        for block, (c1, c2) in zip(reversed(self.couplings()), reversed(conditions), strict=True):
            first, second, change = block.inverse(first, second, _take(c1, rows), _take(c2, rows))
            log_det = log_det + change
        return torch.cat((first, second), dim=1), log_det

    def note_gradients(self, gradients: WeightGradients | None) -> None:
        """Collect weight gradients in `notes` from now on; None: backward passes write to ``.grad`` as usual."""
        for block in self.couplings():
            block.net1.gradients = block.net2.gradients = gradients

    def couplings(self) -> list[ConditionalCoupling]:
        """The coupling blocks, from the features to the noise."""
        return list(self.blocks)  # type: ignore[arg-type]

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ValueError(f"shape {tuple(x.shape)}, expected (batch, {self.dim})")
        first, second = x.split(self.couplings()[0].split, dim=1)
        return first.contiguous(), second.contiguous()  # as those of later blocks: nothing is compiled twice


class _TakeRows(torch.autograd.Function):
    """table[rows], with the backward pass as a matrix product with the one-hot rows.

    Plain indexing's backward scatters row by row (slow on the CPU, not deterministic on a GPU);
    the product is fast and deterministic on both.
    """

    @staticmethod
    def forward(ctx, table: Tensor, rows: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(rows)
        ctx.table_rows = len(table)
        return table.index_select(0, rows)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (rows,) = ctx.saved_tensors
        one_hot = torch.arange(ctx.table_rows, device=rows.device)[:, None] == rows
        return product(one_hot.to(grad.dtype), grad), None


def condition_rows(conditions: Conditions, start: int, stop: int) -> Conditions:
    """Rows start, ..., stop - 1 of conditions (C, hidden). Subnets that see no semantics have a single row for all."""

    def of(condition: Tensor) -> Tensor:
        return condition if len(condition) == 1 else condition[start:stop]

    return [(of(c1), of(c2)) for c1, c2 in conditions]


def _take(condition: Tensor, rows: Tensor | None) -> Tensor:
    if rows is None or len(condition) == 1:
        return condition
    return _TakeRows.apply(condition, rows)  # type: ignore[return-value]
