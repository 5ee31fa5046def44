"""Relative positioning (Chen et al. 2021, section 3.4): semantics as offsets to three anchors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gsmflow.compute.layers import UndrawnLinear


def semantic_anchors(semantics: Tensor) -> Tensor:
    """The three anchor vectors of a set of classes, (3, A).

    The cosine similarities of each class to all classes are summed. The anchors are the classes with the
    smallest and the largest sum and the one at position floor(n / 2) of the sorted sums; equal sums stay in
    the order of the classes.

    Parameters
    ----------
    semantics : Tensor
        (n, A), n >= 1, no row all zero.

    Examples
    --------
    >>> semantic_anchors(torch.eye(3)[[0, 0, 1]] * 2.0).tolist()[0]  # the odd one out comes first
    [0.0, 2.0, 0.0]
    """
    if semantics.ndim != 2 or len(semantics) == 0:
        raise ValueError(f"semantics: shape {tuple(semantics.shape)}, expected (classes, A)")
    unit = nn.functional.normalize(semantics.double(), dim=1)
    total = unit @ unit.sum(dim=0)  # = row sums of unit @ unit.T
    # Sums that are equal but for rounding keep the classes' order, so that every machine chooses the same.
    order = torch.argsort(total.round(decimals=9), stable=True)
    return semantics[order[[0, len(order) - 1, len(order) // 2]]]


class RelativePositioning(nn.Module):
    """The global semantic vector g(a) = sum_i ReLU(W_i (a - v_i) + b_i).

    All parameters start at zero; [`reset`][gsmflow.flow.anchors.RelativePositioning.reset] draws them.

    Parameters
    ----------
    anchors : Tensor
        (K, A). Each anchor has a linear layer of its own. A single anchor at the origin switches relative
        positioning off: g(a) = ReLU(W a + b).
    out_dim : int
        G, the size of g.
    """

    anchors: Tensor

    def __init__(self, anchors: Tensor, out_dim: int) -> None:
        super().__init__()
        self.register_buffer("anchors", anchors.clone())
        self.layers = nn.ModuleList(UndrawnLinear(anchors.shape[1], out_dim) for _ in anchors)
        for parameter in self.layers.parameters():
            nn.init.zeros_(parameter)

    def reset(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter from U(-b, b) with b = A ** -0.5, which is what ``nn.Linear`` starts from."""
        bound = self.anchors.shape[1] ** -0.5
        with torch.no_grad():
            for parameter in self.layers.parameters():
                parameter.uniform_(-bound, bound, generator=generator)

    def forward(self, semantics: Tensor) -> Tensor:
        """Map semantics (C, A) to global semantic vectors (C, G)."""
        terms = [
            torch.relu(layer(semantics - anchor))
            for layer, anchor in zip(self.layers, self.anchors, strict=True)
        ]
        return torch.stack(terms).sum(dim=0)
