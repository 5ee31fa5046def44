"""The two products of a softmax head with features that are 8-bit codes, as products of 8-bit numbers.

A feature is x = m + step * c, where c in -128, ..., 127 is its code and m the value of the code 0. With v = w * step
and q the v of a class divided into 254 steps of size s, its logit is::

    w . x + b = s (q . c) + w . m + b + (v - s q) . c      c in the last term replaced by its mean over the features

and the gradient of w is step * sum_i e_i c_i + m * sum_i e_i, where the errors e_i of a class are sums of two 8-bit
numbers, a coarse and a fine one. Whole numbers are multiplied exactly, so the gradient is nearer to that in float64
than one of bfloat16 factors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gsmflow.compute.devices import has_eight_bit
from gsmflow.learning.head_data import COARSE_FROM, Pool

_LOOKED_AT = 1 << 12  # features that the mean code is computed from
_FINE = 254  # steps of the fine number in a step of the coarse one
_TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class CodeProducts:
    """Products with the codes of a pool.

    Parameters
    ----------
    middle : Tensor
        (D,) m, the feature with code 0.
    step : Tensor
        (D,) how much a feature grows with its code.
    mean : Tensor
        (D,) the mean code.
    """

    middle: Tensor
    step: Tensor
    mean: Tensor

    @staticmethod
    def of(pool: Pool) -> CodeProducts | None:
        """The products for a large pool of codes; None for others, and where the processor has no such products."""
        large = pool.features.numel() * 4 >= COARSE_FROM
        if pool.low is None or pool.step is None or not large or not has_eight_bit(pool.device):
            return None
        some = pool.features[:: -(-len(pool.features) // _LOOKED_AT)]
        return CodeProducts(pool.low + 128 * pool.step, pool.step, some.float().mean(dim=0) - 128)

    def gradients(
        self, codes: Tensor, weight: Tensor, bias: Tensor, error: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Gradients with respect to weight (C, D) and bias (C,).

        Parameters
        ----------
        codes : Tensor
            (B, D) uint8 codes as the pool has them, counted from 0; they are changed.
        weight : Tensor
            (C, D).
        bias : Tensor
            (C,).
        error : Callable[[Tensor], Tensor]
            Maps logits (B, C) to the gradient (B, C) of the loss with respect to them.
        """
        centred = codes.bitwise_xor_(128).view(torch.int8)
        scaled = weight * self.step
        size = (scaled.abs().amax(dim=1) / 127).clamp_(min=_TINY)
        rounded = (scaled / size[:, None]).round_()
        rest = scaled.addcmul_(rounded, size[:, None], value=-1) @ self.mean
        logits = torch._int_mm(centred, rounded.to(torch.int8).T) * size  # pyright: ignore[reportPrivateImportUsage]
        errors = error(logits.add_(torch.addmv(bias, weight, self.middle).add_(rest)))
        by_bias = errors.sum(dim=0)
        by_class = errors.T.contiguous()
        size = (by_class.abs().amax(dim=1, keepdim=True) / 127).clamp_(min=_TINY)
        by_class.div_(size)
        coarse = by_class.round()
        fine = by_class.sub_(coarse).mul_(_FINE).round_()
        sums = torch._int_mm(torch.cat((coarse, fine)).to(torch.int8), centred).float()  # pyright: ignore[reportPrivateImportUsage]
        of_coarse, of_fine = sums.chunk(2)
        by_code = of_coarse.add_(of_fine, alpha=1 / _FINE).mul_(size)
        return by_code.mul_(self.step).addr_(by_bias, self.middle), by_bias
