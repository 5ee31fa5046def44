"""ALE, DeViSE and SJE: losses and gradients by hand against plain loops and autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gsmflow.learning.tensors import TrainingData
from gsmflow.methods import find_method
from gsmflow.methods.workings.compatibility import all_hinges, ranked_hinges, violations, worst_hinge
from support.recipes import problem

RANKINGS = {"ale": ranked_hinges, "devise": all_hinges, "sje": worst_hinge}


def by_loops(name: str, scores: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The mean loss as the papers write it, class by class."""
    total = scores.new_zeros(())
    for row, right in zip(scores, labels.tolist(), strict=True):
        hinges = [margin + row[y] - row[right] for y in range(len(row)) if y != right]
        wrong = [hinge for hinge in hinges if hinge > 0]
        if not wrong:
            continue
        if name == "sje":
            total = total + max(wrong)
        else:
            rank = len(wrong)
            weight = sum(1 / i for i in range(1, rank + 1)) / rank if name == "ale" else 1.0
            total = total + weight * torch.stack(wrong).sum()
    return total / len(scores)


@pytest.mark.parametrize("name", RANKINGS)
@pytest.mark.parametrize("size", [0.0, 0.3, 10.0])
def test_losses_and_gradients_by_scores_are_those_of_the_papers(name: str, size: float) -> None:
    generator = torch.Generator().manual_seed(3)
    scores = (size * torch.randn(40, 6, generator=generator, dtype=torch.float64)).requires_grad_()
    labels = torch.randint(6, (40,), generator=generator)
    expected = by_loops(name, scores, labels, 0.5)
    loss, gradient = RANKINGS[name](violations(scores.detach(), labels, 0.5), labels)
    torch.testing.assert_close(loss.mean(), expected.detach())
    if size:  # where all classes are equal the strongest wrong one is any of them
        torch.testing.assert_close(gradient / len(scores), torch.autograd.grad(expected, scores)[0])
    assert gradient.sum(dim=1).abs().max() < 1e-12


def learner(name: str, **options: Any) -> Any:
    method = find_method(name)
    assert method.learner
    return method.learner(TrainingData.of(problem(), torch.device("cpu")), method.options(**options), 0)


@pytest.mark.parametrize("name", RANKINGS)
def test_a_step_goes_down_the_gradient_of_the_logits(name: str) -> None:
    """By autograd through the head's equation, not through the learner's."""
    peer = learner(name, learning_rate=0.7, weight_decay=0.1, batch_size=30, margin=0.4)
    for index in range(3):
        peer.step(index)
    before = peer.map.weight.clone().requires_grad_()
    features, labels = peer.data.rows(peer.batches[3])
    x = features - peer.data.features.mean(dim=0)
    x = x / peer.data.features.var(dim=0, correction=0).sum().sqrt()
    seen = peer.data.semantics[peer.data.seen]
    a = seen - seen.mean(dim=0)
    a = a / a.square().sum(dim=1).mean().sqrt()
    scores = x @ before @ a.T
    torch.testing.assert_close(
        peer.head().logits(features)[:, peer.data.seen], scores.detach(), rtol=1e-4, atol=1e-5
    )
    (slope,) = torch.autograd.grad(by_loops(name, scores, labels, 0.4), before)
    peer.step(3)
    torch.testing.assert_close(peer.map.weight, before.detach() * 0.9 - 0.7 * slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "rows"), [("ale", 1.5), ("devise", 2.0), ("sje", 1.0)])
def test_what_a_sample_counts_that_is_wrong_in_two_ways(name: str, rows: float) -> None:
    ranking: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = RANKINGS[name]
    scores, labels = torch.tensor([[0.0, 0.5, 0.5, -9.0]]), torch.tensor([0])
    loss, _ = ranking(violations(scores, labels, 0.5), labels)
    assert float(loss) == pytest.approx(rows)
