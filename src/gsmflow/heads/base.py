"""What every head does: logits of transformed features."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Head(Protocol):
    """A classifier of transformed features."""

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
        """Where features have to lie."""
        ...

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 logits of transformed features (N, D)."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Tensors on the CPU that [`head_from_state`][gsmflow.heads.classifier.head_from_state] makes the
        same head of.
        """
        ...
