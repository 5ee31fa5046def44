"""Products of bfloat16 factors where the CPU has no instructions for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from gsmflow.flow import products


def factors(dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=generator).to(dtype) for size in ((7, 40), (40, 9), (9, 40), (9,))]


def all_products(dtype: torch.dtype) -> list[torch.Tensor]:
    left, right, weight, bias = factors(dtype)
    out = torch.empty(7, 9, dtype=dtype)
    given = products.product(left, right, out=out)
    assert given is out
    plain, biased = products.linear(left, weight), products.linear(left, weight, bias)
    return [products.product(left, right), out, plain, biased]


@pytest.fixture(params=[True, False], ids=["instructions", "none"])
def hardware(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(products, "_cpu_has_bfloat16", lambda: request.param)
    return request.param


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_they_are_those_of_the_rounded_factors(hardware: bool, dtype: torch.dtype) -> None:
    """At most half a unit in the last place off the product of the factors in float64, and in their dtype."""
    left, right, weight, bias = factors(dtype)
    wide = [f.double() for f in (left, right, weight, bias)]
    product = wide[0] @ wide[1]
    plain = wide[0] @ wide[2].T
    for computed, exact in zip(all_products(dtype), (product, product, plain, plain + wide[3]), strict=True):
        assert computed.dtype is dtype
        bound = 2.0**-8 if dtype is torch.bfloat16 else 1e-5
        assert ((computed.double() - exact).abs() <= bound * exact.abs() + 1e-5).all()


@pytest.mark.parametrize("make", [products.linear, lambda x, w: products.product(x, w.T)])
def test_gradients_go_through_them(hardware: bool, make: Callable[..., torch.Tensor]) -> None:
    x, w = (f.requires_grad_() for f in factors(torch.bfloat16)[::2])
    make(x, w).sum().backward()
    assert x.grad is not None
    assert w.grad is not None
    assert x.grad.dtype is torch.bfloat16
    assert torch.allclose(x.grad.float(), w.detach().float().sum(dim=0).expand(7, 40), rtol=0.01, atol=0.02)
    assert torch.allclose(w.grad.float(), x.detach().float().sum(dim=0).expand(9, 40), rtol=0.01, atol=0.02)
