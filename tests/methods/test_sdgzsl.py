"""SDGZSL's losses against loops, PyTorch's cross-entropy, and what a total correlation is."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional as F

from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.sdgzsl import SDGZSLOptions
from gsmflow.methods.workings.networks import mlp, reset
from gsmflow.methods.workings.sdgzsl import SDGZSLLearner, relation_loss, telling_apart
from support.recipes import problem

OPTIONS = SDGZSLOptions(batch_size=50, hidden=16, code=8, relation_hidden=8, latent=4, learning_rate=0.01)


def learner(**options: float) -> SDGZSLLearner:
    data = TrainingData.of(problem(), torch.device("cpu"))
    return SDGZSLLearner(data, replace(OPTIONS, **options), 0)  # type: ignore[arg-type]


def test_relations_are_asked_to_be_one_for_the_own_class_and_zero_for_others() -> None:
    scores, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    total = 0.0
    for sample, row in enumerate(scores.sigmoid().tolist()):
        total += sum((value - float(cls == labels[sample])) ** 2 for cls, value in enumerate(row))
    torch.testing.assert_close(relation_loss(scores, labels), torch.tensor(float(total) / 5))


def test_the_discriminator_learns_by_cross_entropy() -> None:
    joint, shuffled = torch.randn(7), torch.randn(7)
    expected = F.binary_cross_entropy_with_logits(joint, torch.ones(7))
    expected = expected + F.binary_cross_entropy_with_logits(shuffled, torch.zeros(7))
    torch.testing.assert_close(telling_apart(joint, shuffled), expected)


def test_the_log_odds_of_a_trained_discriminator_are_the_total_correlation() -> None:
    """Of two normal variables with correlation r it is -log(1 - r^2) / 2."""
    generator, r = torch.Generator().manual_seed(0), 0.8
    first = torch.randn(4000, generator=generator)
    second = r * first + (1 - r**2) ** 0.5 * torch.randn(4000, generator=generator)
    network = mlp([2, 32, 1])
    reset(network, 0, "telling")
    adam = torch.optim.Adam(network.parameters(), 0.01)
    codes = torch.stack((first, second), dim=1)
    for _ in range(400):
        order = torch.randperm(4000, generator=generator)
        shuffled = torch.stack((first, second[order]), dim=1)
        loss = telling_apart(network(codes)[:, 0], network(shuffled)[:, 0])
        adam.zero_grad()
        loss.backward()
        adam.step()
    estimate = float(network(codes).mean().detach())
    assert abs(estimate - 0.5108) < 0.12


def test_the_head_sees_the_part_of_the_code_that_semantics_explain() -> None:
    peer = learner()
    for index in range(4):
        peer.step(index)
    x = peer.data.features[:6]
    expected = peer.parting(peer.units.features(x))[:, :8]
    torch.testing.assert_close(peer.represent(x, 0), expected.detach(), rtol=1e-4, atol=1e-5)


def test_the_relation_makes_codes_agree_with_their_classes() -> None:
    with_relation, without = learner(relation_weight=1.0), learner(relation_weight=0.0)
    for index in range(300):
        with_relation.step(index)
        without.step(index)

    def right(peer: SDGZSLLearner) -> float:
        h = peer.represent(peer.data.features, 0)
        return float((peer.relation(h, peer.a).argmax(dim=1) == peer.data.labels).float().mean())

    assert right(with_relation) > right(without) + 0.3
