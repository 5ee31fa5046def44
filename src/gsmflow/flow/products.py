"""Matrix products in the dtype of their factors.

Where the CPU has no instructions for bfloat16, torch multiplies such factors many times as slowly as float32
ones. There the bfloat16 factors are converted to float32 and multiplied, and the result is rounded to
bfloat16. Up to the order of sums that gives the numbers of the hardware instructions, so that one machine can
repeat the training of another.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from gsmflow.compute.devices import has_bfloat16


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias, (n, in) and (out, in) to (n, out)."""
    if not _widened(x):
        return F.linear(x, weight, bias)
    return F.linear(x.float(), weight.float(), None if bias is None else bias.float()).to(x.dtype)


def product(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """left @ right, (n, k) and (k, m) to (n, m); written to `out` if it is given."""
    if not _widened(left):
        return torch.mm(left, right, out=out)
    rounded = torch.mm(left.float(), right.float())
    return rounded.to(left.dtype) if out is None else out.copy_(rounded)


def _widened(factor: Tensor) -> bool:
    return factor.dtype is torch.bfloat16 and factor.device.type == "cpu" and not _cpu_has_bfloat16()


@cache
def _cpu_has_bfloat16() -> bool:
    return has_bfloat16(torch.device("cpu"))
