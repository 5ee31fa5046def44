"""The flow against FrEIA 0.2, against autograd's Jacobian, and against itself backwards."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gsmflow.flow import ConditionalCoupling, ConditionalFlow, soft_clamp
from support.freia import freia_twin, gradients

SIZES = [
    # D, G, blocks, hidden, classes, samples
    (2, 1, 1, 3, 2, 4),
    (5, 3, 2, 7, 4, 6),
    (7, 4, 3, 8, 3, 9),
    (16, 8, 5, 32, 10, 33),
    (63, 10, 3, 40, 7, 20),
    (128, 64, 5, 96, 20, 64),
]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def make(size: tuple[int, ...], dtype: torch.dtype) -> tuple[ConditionalFlow, Tensor, Tensor, Tensor]:
    """A flow with weights large enough to matter, features, class vectors g, and each sample's row."""
    dim, condition_dim, blocks, hidden, classes, samples = size
    generator = torch.Generator().manual_seed(sum(size))
    flow = ConditionalFlow(dim, condition_dim, blocks=blocks, hidden=hidden)
    flow.reset(generator, scale=0.3 / hidden**0.5)
    x = torch.randn(samples, dim, generator=generator).to(dtype)
    g = torch.randn(classes, condition_dim, generator=generator).abs().to(dtype)
    rows = torch.randint(classes, (samples,), generator=generator)
    return flow.to(dtype), x, g, rows


def assert_close(ours: Tensor, theirs: Tensor, dtype: torch.dtype, what: str) -> None:
    error = (ours - theirs).norm() / theirs.norm().clamp(min=1e-30)
    assert error < TOLERANCE[dtype], f"{what}: relative error {error:.2e}"


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
class TestAgainstFreia:
    def test_forward_and_every_gradient(self, size: tuple[int, ...], dtype: torch.dtype) -> None:
        flow, x, g, rows = make(size, dtype)
        twin = freia_twin(flow, g.shape[1])
        g_twin, x_twin = g.clone().requires_grad_(), x.clone().requires_grad_()
        g.requires_grad_()
        x.requires_grad_()
        z, log_det = flow(x, flow.condition(g), rows)
        z_twin, log_det_twin = twin(x_twin, g_twin[rows])
        assert_close(z, z_twin, dtype, "z")
        assert_close(log_det, log_det_twin, dtype, "log-determinant")
        (z.square().mean() / 2 - log_det.mean() / x.shape[1]).backward()
        (z_twin.square().mean() / 2 - log_det_twin.mean() / x.shape[1]).backward()
        assert x.grad is not None
        assert g.grad is not None
        assert x_twin.grad is not None
        assert g_twin.grad is not None
        assert_close(x.grad, x_twin.grad, dtype, "gradient of x")
        assert_close(g.grad, g_twin.grad, dtype, "gradient of g")
        self.compare_parameters(flow, twin, dtype)

    def test_inverse_and_every_gradient(self, size: tuple[int, ...], dtype: torch.dtype) -> None:
        flow, z, g, rows = make(size, dtype)
        twin = freia_twin(flow, g.shape[1])
        x, log_det = flow.inverse(z, flow.condition(g), rows)
        x_twin, log_det_twin = twin(z, g[rows], rev=True)
        assert_close(x, x_twin, dtype, "x")
        assert_close(log_det, log_det_twin, dtype, "log-determinant")
        x.square().sum().backward()
        x_twin.square().sum().backward()
        self.compare_parameters(flow, twin, dtype)

    def compare_parameters(self, flow: ConditionalFlow, twin: nn.Module, dtype: torch.dtype) -> None:
        blocks = twin.get_submodule("blocks")
        assert isinstance(blocks, nn.ModuleList)
        compared = 0
        for index, (block, other) in enumerate(zip(flow.blocks, blocks, strict=True)):
            assert isinstance(block, ConditionalCoupling)
            for which in ("1", "2"):
                net, sequence = getattr(block, f"net{which}"), getattr(other, f"subnet{which}")
                for name, ours, theirs in gradients(net, sequence):
                    assert_close(ours, theirs, dtype, f"gradient of block {index} net{which} {name}")
                    compared += 1
        assert compared == len(list(flow.parameters()))


@pytest.mark.parametrize("size", [s for s in SIZES if s[0] <= 16], ids=str)
def test_log_determinant_is_the_jacobians(size: tuple[int, ...]) -> None:
    flow, x, g, rows = make(size, torch.float64)
    conditions = flow.condition(g)
    _, log_det = flow(x, conditions, rows)
    back, log_det_back = flow.inverse(x, conditions, rows)
    assert back.shape == x.shape
    for i in range(len(x)):
        row = rows[i : i + 1]
        jacobian = torch.autograd.functional.jacobian(
            lambda v, row=row: flow(v[None], conditions, row)[0][0], x[i]
        )
        assert isinstance(jacobian, Tensor)
        assert torch.allclose(torch.linalg.slogdet(jacobian)[1], log_det[i], atol=1e-10)
        jacobian = torch.autograd.functional.jacobian(
            lambda v, row=row: flow.inverse(v[None], conditions, row)[0][0], x[i]
        )
        assert isinstance(jacobian, Tensor)
        assert torch.allclose(torch.linalg.slogdet(jacobian)[1], log_det_back[i], atol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-11)], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_inverse_undoes_forward(size: tuple[int, ...], dtype: torch.dtype, tolerance: float) -> None:
    flow, x, g, rows = make(size, dtype)
    conditions = flow.condition(g)
    z, log_det = flow(x, conditions, rows)
    back, log_det_back = flow.inverse(z, conditions, rows)
    assert (back - x).abs().max() < tolerance
    assert (log_det + log_det_back).abs().max() < tolerance * x.shape[1]


def test_rows_are_only_a_shortcut() -> None:
    flow, x, g, rows = make(SIZES[3], torch.float64)
    by_class, _ = flow(x, flow.condition(g), rows)
    by_sample, _ = flow(x, flow.condition(g[rows]))
    assert torch.allclose(by_class, by_sample, atol=1e-14)


def test_only_the_block_next_to_the_noise_is_conditioned_without_the_remedy() -> None:
    flow = ConditionalFlow(6, 4, blocks=3, hidden=5, every_layer=False)
    conditioned = [
        block.net1.g_weight is not None and block.net2.g_weight is not None
        for block in flow.blocks
        if isinstance(block, ConditionalCoupling)
    ]
    assert conditioned == [False, False, True]
    flow.reset(torch.Generator().manual_seed(0), 0.3)
    x, g = torch.randn(4, 6), torch.randn(2, 4)
    rows = torch.tensor([0, 1, 0, 1])
    z, _ = flow(x, flow.condition(g), rows)
    back, _ = flow.inverse(z, flow.condition(g), rows)
    assert torch.allclose(back, x, atol=1e-5)
    other, _ = flow(x, flow.condition(g), 1 - rows)
    assert not torch.allclose(z, other)


def test_soft_clamp() -> None:
    s = torch.linspace(-50, 50, 101, dtype=torch.float64)
    for clamp in (0.5, 1.0, 3.0):
        assert soft_clamp(s, clamp).abs().max() < clamp
        assert torch.allclose(soft_clamp(s, clamp), 0.636 * clamp * torch.atan(s / clamp))


def test_reset_draws_every_parameter_biases_too() -> None:
    flow = ConditionalFlow(32, 16, blocks=2, hidden=64)
    flow.reset(torch.Generator().manual_seed(1))
    values = torch.cat([p.detach().flatten() for p in flow.parameters()])
    assert abs(values.std() - 0.01) < 2e-4
    assert abs(values.mean()) < 2e-4
    assert all((p != 0).all() for p in flow.parameters())


def test_wrong_shapes_are_refused_with_both_shapes() -> None:
    flow = ConditionalFlow(4, 2, blocks=1, hidden=3)
    with pytest.raises(ValueError, match=r"shape \(3, 5\), expected \(batch, 4\)"):
        flow(torch.zeros(3, 5), flow.condition(torch.zeros(1, 2)))
    with pytest.raises(ValueError, match="at least 2"):
        ConditionalFlow(1, 2, blocks=1, hidden=3)
    with pytest.raises(ValueError, match="blocks: 0"):
        ConditionalFlow(4, 2, blocks=0, hidden=3)


def test_saved_and_loaded_flow_is_the_same() -> None:
    flow, x, g, rows = make(SIZES[2], torch.float64)
    other = ConditionalFlow(7, 4, blocks=3, hidden=8).double()
    other.load_state_dict(flow.state_dict())
    assert torch.equal(flow(x, flow.condition(g), rows)[0], other(x, other.condition(g), rows)[0])
