"""The inverse of a flow with 8-bit products: near the exact one, and the same on any number of threads."""

from __future__ import annotations

import pytest
import torch

from gsmflow.compute.devices import has_eight_bit
from gsmflow.flow.eight_bit import EightBitInverse
from gsmflow.flow.flow import ConditionalFlow
from gsmflow.flow.model import FlowSizes, GSMFlow

pytestmark = pytest.mark.skipif(
    not has_eight_bit(torch.device("cpu")),
    reason="needs a processor with products of 8-bit numbers (AVX512-VNNI)",
)
DIM, G, CLASSES = 50, 20, 3


def flow(clamp: float = 1.0, *, every_layer: bool = True) -> ConditionalFlow:
    """Three blocks whose scales and shifts are far from zero."""
    inverted = ConditionalFlow(DIM, G, blocks=3, hidden=160, every_layer=every_layer, clamp=clamp)
    inverted.reset(torch.Generator().manual_seed(0), scale=0.1)
    return inverted


def given(samples: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noise, global semantic vectors, and the class of each sample."""
    generator = torch.Generator().manual_seed(1)
    noise, g = torch.randn(samples, DIM, generator=generator), torch.rand(CLASSES, G, generator=generator)
    return noise, g, torch.arange(samples) % CLASSES


@pytest.mark.parametrize("clamp", [1.0, 2.0])
@pytest.mark.parametrize("every_layer", [True, False])
def test_it_is_near_the_exact_inverse(clamp: float, every_layer: bool) -> None:
    some = flow(clamp, every_layer=every_layer)
    z, g, rows = given(400)
    with torch.no_grad():
        exact, _ = some.double().inverse(z.double(), some.condition(g.double()), rows)
        conditions = some.float().condition(g)
    near = EightBitInverse(some)(z, conditions, rows)
    assert near.dtype == torch.float32
    error = (near.double() - exact).square().mean().sqrt() / exact.std()
    assert 1e-4 < error < 0.05
    assert (near.double() - exact).mean().abs() < 0.01 * exact.std()
    alone = EightBitInverse(some)(
        z[rows == 1], [(c1[-1:], c2[-1:]) if len(c1) == 1 else (c1[1:2], c2[1:2]) for c1, c2 in conditions]
    )
    error = (alone.double() - exact[rows == 1]).square().mean().sqrt() / exact.std()
    assert error < 0.05


def test_weights_that_are_not_finite_show() -> None:
    some = flow()
    with torch.no_grad():
        some.couplings()[1].net1.x_weight[3, 4] = torch.nan
    z, g, rows = given(30)
    with torch.no_grad():
        conditions = some.condition(g)
    assert EightBitInverse(some)(z, conditions, rows).isnan().any()


@pytest.mark.parametrize(("classes", "count"), [(2, 1100), (3, 40)])
def test_samples_do_not_depend_on_threads_and_are_those_of_their_classes(classes: int, count: int) -> None:
    model = GSMFlow(FlowSizes(DIM, 2, 160, G, True), torch.eye(3, 8))
    model.positioning.reset(torch.Generator().manual_seed(0))
    model.flow.reset(torch.Generator().manual_seed(2), scale=0.1)
    semantics = torch.rand(classes, 8, generator=torch.Generator().manual_seed(3))
    drawn, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            sample = model.coarse_sampler(semantics)
            assert sample is not None
            drawn.append(sample(semantics, count, 5, "synthesis"))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*drawn)
    assert len(torch.unique(drawn[0][:, 0])) == classes * count  # no noise twice
    exact = model.sample(semantics, 2000, 6).view(classes, 2000, DIM)
    spread = exact.std(dim=1)
    means = drawn[0].view(classes, count, DIM).mean(dim=1)
    assert ((means - exact.mean(dim=1)).abs() < 5 * spread * (1 / count + 1 / 2000) ** 0.5 + 0.01).all()


def test_a_flow_that_is_too_steep_for_8_bits_has_no_coarse_way() -> None:
    model = GSMFlow(FlowSizes(DIM, 4, 160, G, True), torch.eye(3, 8))
    semantics = torch.rand(3, 8, generator=torch.Generator().manual_seed(3))
    model.positioning.reset(torch.Generator().manual_seed(0))
    for scale, near in ((0.05, True), (0.3, False), (torch.nan, False)):
        model.flow.reset(torch.Generator().manual_seed(2), scale=scale)
        assert (model.coarse_sampler(semantics) is not None) == near
