"""One conditional affine-coupling block (Chen et al. 2021, equation 4; FrEIA's GLOWCouplingBlock).

The semantic vector depends on the class only, while a batch holds many samples a class. So each
subnet's first layer W [x, g] + b is kept as two matrices, W_x x + (W_g g + b), and the bracket, the
*condition*, is computed once a class and handed to the samples by their row.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ATAN_SLOPE = 0.636  # just under 2 / pi, so that the clamp approaches +-c


def soft_clamp(s: Tensor, clamp: float = 1.0) -> Tensor:
    """alpha(s) = 0.636 c atan(s / c): about linear near zero, never beyond +-c (and a hair less)."""
    if clamp == 1.0:
        return ATAN_SLOPE * torch.atan(s)
    return ATAN_SLOPE * clamp * torch.atan(s / clamp)


class CouplingSubnet(nn.Module):
    """Linear(in + G -> hidden), LeakyReLU(0.2), Linear(hidden -> 2 out), giving (s, t).

    Parameters
    ----------
    in_dim, out_dim: sizes of the half it reads and of the half it transforms.
    hidden: size of the hidden layer.
    condition_dim: G; 0 makes a subnet that does not see the semantics.

    Matrix products run in the dtype of the parameters; what comes in and goes out keeps the
    dtype of the features. All parameters start at zero; :meth:`ConditionalFlow.reset` draws them.
    """

    def __init__(self, in_dim: int, out_dim: int, hidden: int, condition_dim: int) -> None:
        super().__init__()
        self.x_weight = nn.Parameter(torch.zeros(hidden, in_dim))
        self.g_weight = nn.Parameter(torch.zeros(hidden, condition_dim)) if condition_dim else None
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.out_weight = nn.Parameter(torch.zeros(2 * out_dim, hidden))
        self.out_bias = nn.Parameter(torch.zeros(2 * out_dim))

    def condition(self, g: Tensor) -> Tensor:
        """W_g g + b for global semantic vectors (C, G): (C, hidden); without semantics b as (1, hidden)."""
        if self.g_weight is None:
            return self.bias[None]
        return F.linear(g.to(self.g_weight.dtype), self.g_weight, self.bias)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(s, t), each (B, out), for x (B, in) and condition (B, hidden) or (1, hidden)."""
        hidden = F.leaky_relu(F.linear(x.to(self.x_weight.dtype), self.x_weight) + condition, 0.2)
        s, t = F.linear(hidden, self.out_weight, self.out_bias).to(x.dtype).chunk(2, dim=1)
        return s, t


class ConditionalCoupling(nn.Module):
    """An invertible map of features in two halves, each scaled and shifted by a function of the other.

    With alpha the soft clamp and c the condition of each subnet::

        s2, t2 = net2(x2, c2);  y1 = exp(alpha(s2)) * x1 + t2
        s1, t1 = net1(y1, c1);  y2 = exp(alpha(s1)) * x2 + t1
        log|det dy/dx| = sum alpha(s1) + sum alpha(s2)

    Parameters
    ----------
    dim: D >= 2. The first half has round(D / 2) entries, ties to even, as FrEIA splits.
    hidden, condition_dim: see :class:`CouplingSubnet`.
    clamp: c > 0.
    """

    def __init__(self, dim: int, hidden: int, condition_dim: int, clamp: float = 1.0) -> None:
        super().__init__()
        if dim < 2:
            raise ValueError(f"dim: {dim}, a coupling needs at least 2 feature dimensions to split")
        self.split = (round(dim * 0.5), dim - round(dim * 0.5))
        self.clamp = clamp
        first, second = self.split
        self.net1 = CouplingSubnet(first, second, hidden, condition_dim)
        self.net2 = CouplingSubnet(second, first, hidden, condition_dim)

    def forward(self, x: Tensor, c1: Tensor, c2: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (B, D) to (y (B, D), log|det dy/dx| (B,))."""
        x1, x2 = x.split(self.split, dim=1)
        s2, t2 = self.net2(x2, c2)
        a2 = soft_clamp(s2, self.clamp)
        y1 = torch.addcmul(t2, a2.exp(), x1)
        s1, t1 = self.net1(y1, c1)
        a1 = soft_clamp(s1, self.clamp)
        y2 = torch.addcmul(t1, a1.exp(), x2)
        return torch.cat((y1, y2), dim=1), a1.sum(dim=1) + a2.sum(dim=1)

    def inverse(self, y: Tensor, c1: Tensor, c2: Tensor) -> tuple[Tensor, Tensor]:
        """Map y (B, D) back to (x (B, D), log|det dx/dy| (B,))."""
        y1, y2 = y.split(self.split, dim=1)
        s1, t1 = self.net1(y1, c1)
        a1 = soft_clamp(s1, self.clamp)
        x2 = (y2 - t1) * torch.exp(-a1)
        s2, t2 = self.net2(x2, c2)
        a2 = soft_clamp(s2, self.clamp)
        x1 = (y1 - t2) * torch.exp(-a2)
        return torch.cat((x1, x2), dim=1), -(a1.sum(dim=1) + a2.sum(dim=1))
