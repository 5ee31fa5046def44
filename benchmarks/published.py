"""The published program's way, written plainly: FrEIA 0.2, float32, torch's Adam, data in memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from FrEIA.modules import GLOWCouplingBlock
from torch import Tensor, nn
from torch.nn import functional as F


class PublishedFlow(nn.Module):
    """Coupling blocks of FrEIA, each given the global semantic vector of every sample."""

    def __init__(self, dim: int, global_semantic: int, hidden: int, blocks: int) -> None:
        super().__init__()

        def subnet(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(inputs, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, outputs))

        self.blocks = nn.ModuleList(
            GLOWCouplingBlock([(dim,)], [(global_semantic,)], subnet_constructor=subnet, clamp=1.0)
            for _ in range(blocks)
        )
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(0, 0.01)

    def forward(self, x: Tensor, g: Tensor, rev: bool = False) -> tuple[Tensor, Tensor]:
        log_det = x.new_zeros(len(x))
        for block in reversed(self.blocks) if rev else self.blocks:
            (x,), change = block((x,), [g], rev=rev)
            log_det = log_det + change
        return x, log_det


class PublishedTraining:
    """Its training step: both losses, Adam; conditions for every sample of the batch."""

    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        semantics: Tensor,
        global_semantic: int,
        hidden: int,
        blocks: int,
    ) -> None:
        self.features, self.labels, self.semantics = features, labels, semantics
        dim = features.shape[1]
        device = features.device
        self.flow = PublishedFlow(dim, global_semantic, hidden, blocks).to(device)
        self.anchors = semantics[[0, len(semantics) // 2, len(semantics) - 1]]
        self.layers = nn.ModuleList(nn.Linear(semantics.shape[1], global_semantic) for _ in range(3)).to(
            device
        )
        self.means = torch.stack([features[labels == label].mean(dim=0) for label in range(len(semantics))])
        parameters = [*self.flow.parameters(), *self.layers.parameters()]
        self.adam = torch.optim.Adam(parameters, lr=3e-4, weight_decay=1e-5)

    def position(self, semantics: Tensor) -> Tensor:
        terms = [torch.relu(h(semantics - v)) for h, v in zip(self.layers, self.anchors, strict=True)]
        return torch.stack(terms).sum(dim=0)

    def step(self, picked: Tensor, prototype_weight: float = 3.0, perturbation: float = 0.05) -> float:
        x = self.features[picked]
        x = x + perturbation * torch.randn_like(x)
        z, log_det = self.flow(x, self.position(self.semantics[self.labels[picked]]))
        loss = z.square().mean() / 2 - log_det.mean() / x.shape[1]
        with torch.no_grad():
            g = self.position(self.semantics)
        prototypes, _ = self.flow(torch.zeros_like(self.means), g, rev=True)
        loss = loss + prototype_weight * F.mse_loss(prototypes, self.means)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return loss.item()


@torch.no_grad()
def synthesize(flow: PublishedFlow, g: Tensor, dim: int, count: int, rows: int = 5000) -> Tensor:
    """(len(g) * count, D) features, class after class."""
    parts = []
    for vector in g:
        for start in range(0, count, rows):
            size = min(rows, count - start)
            parts.append(flow(torch.randn(size, dim), vector.expand(size, -1), rev=True)[0])
    return torch.cat(parts)


def train_head(
    features: Tensor, labels: Tensor, classes: int, epochs: int, batch: int, rate: float
) -> Iterator[nn.Linear]:
    """The softmax classifier, after each epoch."""
    layer = nn.Linear(features.shape[1], classes)
    nn.init.xavier_normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    adam = torch.optim.Adam(layer.parameters(), lr=rate, betas=(0.5, 0.999))
    for _ in range(epochs):
        for picked in torch.randperm(len(features)).split(batch):
            adam.zero_grad()
            F.nll_loss(F.log_softmax(layer(features[picked]), dim=1), labels[picked]).backward()
            adam.step()
        yield layer
