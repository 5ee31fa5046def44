"""Layers that are created with undefined parameters."""

from __future__ import annotations

from torch import nn


class UndrawnLinear(nn.Linear):
    """A linear layer with undefined parameters: the caller draws them, from a generator of its own.

    ``nn.Linear`` would draw from the global generator. ``torch.nn.utils.skip_init`` does the same as this class, but
    brings in sympy, which takes half a second in every process that trains.
    """

    def reset_parameters(self) -> None:
        """Draw nothing."""
