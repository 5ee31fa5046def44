"""FREE's losses against loops, and what its head sees."""

from __future__ import annotations

import torch

from gsmflow.compute.randomness import normal
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.free import FREEOptions
from gsmflow.methods.workings.free import FREELearner, centre_margin
from support.recipes import problem


def learner() -> FREELearner:
    data = TrainingData.of(problem(), torch.device("cpu"))
    return FREELearner(data, FREEOptions(batch_size=40, hidden=16, latent=4, cycle_weight=0.7), 0)


def test_the_margin_is_to_the_nearest_other_centre() -> None:
    torch.manual_seed(0)
    embedded, centres, rows = (
        torch.randn(9, 4),
        2 * torch.randn(5, 4),
        torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 3]),
    )
    total = 0.0
    for x, own in zip(embedded, rows.tolist(), strict=True):
        far = [float((x - c).square().mean()) for c in centres]
        nearest = min(d for index, d in enumerate(far) if index != own)
        total += max(0.0, 0.4 + 0.3 * far[own] - 0.7 * nearest)
    torch.testing.assert_close(centre_margin(embedded, centres, rows, 0.4, 0.3), torch.tensor(total / 9))


def test_the_cycle_is_the_mean_distance_of_drawn_semantics() -> None:
    peer = learner()
    x, rows = peer.batch(0)
    mean, cycle = peer.refined(x, rows, "real")
    mu, spread = peer.refinement(x).chunk(2, dim=1)
    drawn = mu + spread.sigmoid() * normal(mu.shape, x.device, 0, "real", "refinement")
    torch.testing.assert_close(mean, mu)
    torch.testing.assert_close(cycle, 0.7 * (drawn - peer.a[rows]).abs().mean())


def test_centres_and_refinement_learn_from_real_features_and_the_head_sees_them() -> None:
    peer = learner()
    before = {name: tensor.clone() for name, tensor in peer.weights().items()}
    for index in range(2):
        peer.step(index)
    for name in ("centres.centres", "refinement.0.weight", "generator.of_input.weight"):
        assert not torch.equal(before[name], peer.weights()[name]), name
    x = peer.data.features[:6]
    units = peer.units.features(x)
    hidden = peer.refinement[:2](units)
    expected = torch.cat((x, hidden, peer.refinement(units)[:, : peer.semantic_dim]), dim=1)
    torch.testing.assert_close(peer.represent(x, 0), expected.detach(), rtol=1e-4, atol=1e-5)
