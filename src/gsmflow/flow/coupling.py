"""One conditional affine-coupling block (Chen et al. 2021, equation 4; FrEIA's GLOWCouplingBlock).

A batch holds many samples of a class, and all of them share one semantic vector. So the first layer of each
subnet, W [x, g] + b, is computed as W_x x + (W_g g + b). The bracket is the *condition*: it is computed once
a class, and each sample takes the row of its class.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from gsmflow.compute.activation import LEAK
from gsmflow.compute.fusion import fused, pays
from gsmflow.flow.gradients import WeightGradients, linear_twice
from gsmflow.flow.products import linear, product

ATAN_SLOPE = 0.636  # just under 2 / pi, so that the clamp approaches +-c


def soft_clamp(s: Tensor, clamp: float = 1.0) -> Tensor:
    """alpha(s) = 0.636 c atan(s / c): nearly linear around zero, and always within +-c."""
    if clamp == 1.0:
        return ATAN_SLOPE * torch.atan(s)
    return ATAN_SLOPE * clamp * torch.atan(s / clamp)


class CouplingSubnet(nn.Module):
    """Linear(in + G -> hidden), LeakyReLU(0.2), Linear(hidden -> 2 out), giving (s, t).

    Matrix products run in the dtype of the parameters; inputs and outputs keep the dtype of the features. All
    parameters start at zero; `ConditionalFlow.reset` draws them.

    Parameters
    ----------
    in_dim, out_dim : int
        Sizes of the half it reads and of the half it transforms.
    hidden : int
        Size of the hidden layer.
    condition_dim : int
        G; 0 makes a subnet that does not see the semantics.

    Attributes
    ----------
    gradients
        Collects what the weights' gradients are computed from; None: backward passes write to ``.grad`` as
        usual.
    """

    def __init__(self, in_dim: int, out_dim: int, hidden: int, condition_dim: int) -> None:
        super().__init__()
        self.gradients: WeightGradients | None = None
        self.x_weight = nn.Parameter(torch.zeros(hidden, in_dim))
        self.g_weight = nn.Parameter(torch.zeros(hidden, condition_dim)) if condition_dim else None
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.out_weight = nn.Parameter(torch.zeros(2 * out_dim, hidden))
        self.out_bias = nn.Parameter(torch.zeros(2 * out_dim))

    def condition(self, g: Tensor) -> Tensor:
        """W_g g + b for global semantic vectors (C, G): (C, hidden). Without semantics it is b, (1, hidden)."""
        return self.condition_twice(g)[0]

    def condition_twice(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """The condition of g (C, G) twice, each (C, hidden): with a gradient to g, and without."""
        if self.g_weight is None:
            return self.bias[None], self.bias[None]
        return linear_twice(g.to(self.g_weight.dtype), self.g_weight, self.bias, self.gradients)

    def scale_and_shift(
        self, x: Tensor, condition: Tensor, half: Tensor, clamp: float
    ) -> tuple[Tensor, Tensor]:
        """(exp(alpha(s)) * half + t (B, out), sum of alpha(s) (B,)), where (s, t) is the subnet's output for x.

        Parameters
        ----------
        x : Tensor
            (B, in).
        condition : Tensor
            (B, hidden) or (1, hidden).
        half : Tensor
            (B, out).
        clamp : float
            Bound c of the soft clamp alpha.
        """
        return self._affine(x, condition, half, clamp, False)

    def unshift_and_unscale(
        self, x: Tensor, condition: Tensor, half: Tensor, clamp: float
    ) -> tuple[Tensor, Tensor]:
        """((half - t) * exp(-alpha(s)) (B, out), sum of alpha(s) (B,)): undoes
        [`scale_and_shift`][gsmflow.flow.coupling.CouplingSubnet.scale_and_shift].
        """
        return self._affine(x, condition, half, clamp, True)

    def _affine(
        self, x: Tensor, condition: Tensor, half: Tensor, clamp: float, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        weights = self.x_weight, self.out_weight, self.out_bias
        # Not compiled: synthesis has batches of many sizes, and each would be compiled anew.
        fuse = self.gradients is not None and torch.is_grad_enabled() and pays(self.x_weight)
        return _Affine.apply(x, condition, half, *weights, self.gradients, clamp, inverse, fuse)  # type: ignore[return-value]


class _Affine(torch.autograd.Function):
    """A subnet and the affine map it parametrizes, with a backward pass written by hand.

    With h = lrelu(W_x x + c), (s, t) = W_o h + b_o and a = alpha(s)::

        forward:  y = exp(a) * half + t       inverse:  y = (half - t) * exp(-a)

    Autograd would store about twice as many intermediate results, and read and write each of them once more.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        x: Tensor,
        condition: Tensor,
        half: Tensor,
        x_weight: Tensor,
        out_weight: Tensor,
        out_bias: Tensor,
        gradients: WeightGradients | None,
        clamp: float,
        inverse: bool,
        fuse: bool,
    ) -> tuple[Tensor, Tensor]:
        x = x.to(x_weight.dtype)
        hidden = (_activate_fused if fuse else _activate)(linear(x, x_weight), condition)
        said = linear(hidden, out_weight, out_bias)
        y, log_scale, s, scale = (_affine_fused if fuse else _affine)(said, half, clamp, inverse)
        ctx.save_for_backward(x, hidden, s, scale, y if inverse else half)
        ctx.weights, ctx.gradients = (x_weight, out_weight, out_bias), gradients
        ctx.clamp, ctx.inverse, ctx.fused = clamp, inverse, fuse
        ctx.shared = len(condition) == 1 < len(x)
        return y, log_scale

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any, y_gradient: Tensor, log_scale_gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, hidden, s, scale, factor = ctx.saved_tensors
        x_weight, out_weight, out_bias = ctx.weights
        said_gradient, half_gradient = (_affine_backward_fused if ctx.fused else _affine_backward)(
            y_gradient, log_scale_gradient, s, scale, factor, hidden.dtype, ctx.clamp, ctx.inverse
        )
        hidden_gradient = product(said_gradient, out_weight)
        hidden_gradient = torch.ops.aten.leaky_relu_backward(hidden_gradient, hidden, LEAK, True)
        x_gradient = product(hidden_gradient, x_weight).to(s.dtype) if ctx.needs_input_grad[0] else None
        weights: tuple[Tensor | None, ...] = (None, None, None)
        if ctx.gradients is None:
            weights = (
                product(hidden_gradient.T, x),
                product(said_gradient.T, hidden),
                said_gradient.sum(dim=0),
            )
        else:
            ctx.gradients.note(out_weight, out_bias, hidden, said_gradient)
            ctx.gradients.note(x_weight, None, x, hidden_gradient)
        condition = hidden_gradient.sum(dim=0, keepdim=True) if ctx.shared else hidden_gradient
        return x_gradient, condition, half_gradient, *weights, None, None, None, None


def _activate(product: Tensor, condition: Tensor) -> Tensor:
    """lrelu(product + condition), in place."""
    return F.leaky_relu_(product.add_(condition), LEAK)


def _affine(said: Tensor, half: Tensor, clamp: float, inverse: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y (B, out), sum of a (B,), s (B, out), and exp(a) or, for the inverse, exp(-a) (B, out)."""
    s = said[:, : half.shape[1]].to(half.dtype)
    t = said[:, half.shape[1] :]
    a = soft_clamp(s, clamp)
    log_scale = a.sum(dim=1)
    scale = (a.neg_() if inverse else a).exp_()
    y = (half - t).mul_(scale) if inverse else (half * scale).add_(t)
    return y, log_scale, s, scale


def _affine_backward(
    y_gradient: Tensor,
    log_scale_gradient: Tensor,
    s: Tensor,
    scale: Tensor,
    factor: Tensor,
    dtype: torch.dtype,
    clamp: float,
    inverse: bool,
) -> tuple[Tensor, Tensor]:
    """The gradient with respect to (s, t) side by side, (B, 2 out) in `dtype`, and with respect to half, (B, out)."""
    half_gradient = y_gradient * scale
    # dy/da is exp(a) * half going forward and -y going back; exp(a) * half * dy is half_gradient * half.
    a_gradient = -y_gradient * factor if inverse else half_gradient * factor
    a_gradient += log_scale_gradient[:, None]
    # alpha'(s) = 0.636 / (1 + (s / c)^2)
    slope = (s if clamp == 1.0 else s / clamp).square().add_(1)
    width = s.shape[1]
    said_gradient = torch.empty(len(s), 2 * width, dtype=dtype, device=s.device)
    said_gradient[:, :width] = a_gradient.div_(slope).mul_(ATAN_SLOPE)
    said_gradient[:, width:] = -half_gradient if inverse else y_gradient
    return said_gradient, half_gradient


_activate_fused = fused(_activate)
_affine_fused = fused(_affine)
_affine_backward_fused = fused(_affine_backward)


class ConditionalCoupling(nn.Module):
    """An invertible map of features in two halves, each scaled and shifted by a function of the other.

    With alpha the soft clamp and c the condition of each subnet::

        s2, t2 = net2(x2, c2);  y1 = exp(alpha(s2)) * x1 + t2
        s1, t1 = net1(y1, c1);  y2 = exp(alpha(s1)) * x2 + t1
        log|det dy/dx| = sum alpha(s1) + sum alpha(s2)

    Parameters
    ----------
    dim : int
        D >= 2. The first half has round(D / 2) entries, ties to even, as FrEIA splits.
    hidden, condition_dim : int
        See [`CouplingSubnet`][gsmflow.flow.coupling.CouplingSubnet].
    clamp : float
        C > 0.
    """

    def __init__(self, dim: int, hidden: int, condition_dim: int, clamp: float = 1.0) -> None:
        super().__init__()
        if dim < 2:
            raise ValueError(f"n_features = {dim}: a coupling splits features in two and needs at least 2")
        self.split = (round(dim * 0.5), dim - round(dim * 0.5))
        self.clamp = clamp
        first, second = self.split
        self.net1 = CouplingSubnet(first, second, hidden, condition_dim)
        self.net2 = CouplingSubnet(second, first, hidden, condition_dim)

    def forward(self, x1: Tensor, x2: Tensor, c1: Tensor, c2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map the halves x1, x2 to (y1, y2, log|det dy/dx| (B,))."""
        y1, log2 = self.net2.scale_and_shift(x2, c2, x1, self.clamp)
        y2, log1 = self.net1.scale_and_shift(y1, c1, x2, self.clamp)
        return y1, y2, log1 + log2

    def inverse(self, y1: Tensor, y2: Tensor, c1: Tensor, c2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map the halves y1, y2 back to (x1, x2, log|det dx/dy| (B,))."""
        x2, log1 = self.net1.unshift_and_unscale(y1, c1, y2, self.clamp)
        x1, log2 = self.net2.unshift_and_unscale(x2, c2, y1, self.clamp)
        return x1, x2, -(log1 + log2)
