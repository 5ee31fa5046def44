"""The same flow built from FrEIA 0.2, the independent judge, with weights copied from ours."""

from __future__ import annotations

import torch
from FrEIA.modules import GLOWCouplingBlock
from torch import Tensor, nn

from gsmflow.flow import ConditionalCoupling, ConditionalFlow, CouplingSubnet


def subnet(in_dim: int, out_dim: int, hidden: int) -> nn.Sequential:
    """The paper's subnet, as one hands it to FrEIA."""
    return nn.Sequential(nn.Linear(in_dim, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, out_dim))


class FreiaFlow(nn.Module):
    """Coupling blocks in a row; conditions are the global semantic vectors, one a sample."""

    def __init__(self, dim: int, condition_dim: int, blocks: int, hidden: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            GLOWCouplingBlock(
                [(dim,)],
                [(condition_dim,)],
                subnet_constructor=lambda i, o: subnet(i, o, hidden),
                clamp=1.0,
            )
            for _ in range(blocks)
        )

    def forward(self, x: Tensor, g: Tensor, rev: bool = False) -> tuple[Tensor, Tensor]:
        log_det = x.new_zeros(len(x))
        for block in reversed(self.blocks) if rev else self.blocks:
            (x,), change = block((x,), [g], rev=rev)
            log_det = log_det + change
        return x, log_det


@torch.no_grad()
def freia_twin(ours: ConditionalFlow, condition_dim: int) -> FreiaFlow:
    """FrEIA's flow with the weights of ours."""
    first = ours.blocks[0]
    assert isinstance(first, ConditionalCoupling)
    hidden = len(first.net1.bias)
    twin = FreiaFlow(ours.dim, condition_dim, len(ours.blocks), hidden).to(first.net1.bias.dtype)
    for block, other in zip(ours.blocks, twin.blocks, strict=True):
        assert isinstance(block, ConditionalCoupling)
        for net, sequence in ((block.net1, other.subnet1), (block.net2, other.subnet2)):
            assert isinstance(sequence, nn.Sequential)
            copy_subnet(net, sequence)
    return twin


@torch.no_grad()
def copy_subnet(net: CouplingSubnet, sequence: nn.Sequential) -> None:
    """Write the weights of our subnet into FrEIA's, whose first layer reads [x, g]."""
    first, last = sequence[0], sequence[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    assert net.g_weight is not None
    first.weight.copy_(torch.cat((net.x_weight, net.g_weight), dim=1))
    first.bias.copy_(net.bias)
    last.weight.copy_(net.out_weight)
    last.bias.copy_(net.out_bias)


def gradients(net: CouplingSubnet, sequence: nn.Sequential) -> list[tuple[str, Tensor, Tensor]]:
    """(name, our gradient, FrEIA's) of every parameter of a subnet."""
    assert net.g_weight is not None
    first, last = sequence[0], sequence[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    split = net.x_weight.shape[1]
    pairs = (
        (
            "x_weight",
            net.x_weight.grad,
            first.weight.grad[:, :split] if first.weight.grad is not None else None,
        ),
        (
            "g_weight",
            net.g_weight.grad,
            first.weight.grad[:, split:] if first.weight.grad is not None else None,
        ),
        ("bias", net.bias.grad, first.bias.grad),
        ("out_weight", net.out_weight.grad, last.weight.grad),
        ("out_bias", net.out_bias.grad, last.bias.grad),
    )
    both = [(name, a, b) for name, a, b in pairs if a is not None and b is not None]
    assert len(both) == len(pairs)
    return both
