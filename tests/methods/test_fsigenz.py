"""FSIGenZ against ridge regression of scikit-learn and its losses written plainly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.fsigenz import FSIGenZOptions
from gsmflow.methods.workings.fsigenz import FSIGenZLearner, prototypes, raised, similarities
from support.recipes import problem

SMALL = {"hidden": 24, "batch_size": 50, "prototypes": 3}


def data() -> TrainingData:
    return TrainingData.of(problem(), torch.device("cpu"))


def learner(**more: Any) -> FSIGenZLearner:
    return FSIGenZLearner(data(), replace(FSIGenZOptions(), **(SMALL | more)), 3)


def test_semantics_above_the_threshold_are_raised() -> None:
    semantics = torch.tensor([[0.0, 4.0], [2.0, 0.0], [9.0, 3.0]])
    # Seen classes 0 and 1: means (1, 2), deviation sqrt((1 + 1 + 4 + 4) / 4), threshold about 0.79.
    got = raised(semantics, torch.tensor([0, 1]), by=0.5, threshold=0.5)
    torch.testing.assert_close(got, torch.tensor([[-1.0, 3.0], [1.5, -2.0], [12.0, 1.5]]))
    untouched = raised(semantics, torch.tensor([0, 1]), by=0.0, threshold=0.5)
    torch.testing.assert_close(untouched, semantics - torch.tensor([1.0, 2.0]))


def test_prototypes_are_combinations_by_ridge_regression() -> None:
    given = data()
    a = raised(given.semantics, given.seen, 1.0, 0.5)
    got = prototypes(a, given, torch.tensor([0.01, 0.3], dtype=torch.float64)).double().numpy()
    seen, unseen = (a[rows].double().numpy() for rows in (given.seen, given.unseen))
    means = np.stack([given.features[given.labels == c].double().mean(dim=0) for c in range(len(seen))])
    unit = np.trace(seen @ seen.T) / len(seen)
    for place, target in enumerate(unseen):
        for turn, penalty in enumerate((0.01, 0.3)):
            alpha = Ridge(alpha=penalty * unit, fit_intercept=False, solver="svd").fit(seen.T, target).coef_
            expected = means.mean(axis=0) + alpha @ (means - means.mean(axis=0))
            np.testing.assert_allclose(got[2 * place + turn], expected, atol=1e-4)


def test_similarities_describe_a_class_by_all_others() -> None:
    a = raised(data().semantics, data().seen, 1.0, 0.5)
    got, vectors = similarities(a, 0.2).numpy(), a.double().numpy()
    unit = np.trace(vectors @ vectors.T) / len(vectors)
    for own in range(len(vectors)):
        others = np.arange(len(vectors)) != own
        fit = Ridge(alpha=0.2 * unit, fit_intercept=False, solver="svd").fit(vectors[others].T, vectors[own])
        np.testing.assert_allclose(got[own, others], fit.coef_.clip(0, 1), atol=1e-5)
        assert got[own, own] == 0


@pytest.mark.parametrize("similarity", [0.0, 0.6])
def test_the_loss_and_its_gradient_are_those_of_the_formula(similarity: float) -> None:
    small = learner(similarity=similarity, unseen_weight=0.7)
    picked = small.batches[0]
    losses = small.step(0)
    again = learner(similarity=similarity, unseen_weight=0.7)
    scores = again.scores(again.features[picked]).detach().double().numpy()
    classes, given = again.classes[picked].numpy(), again.data
    s = similarities(again.a, 0.1).double().numpy()
    own = np.eye(12)[classes]
    targets = own + similarity * s[classes] * np.isin(np.arange(12), given.unseen)
    p = 1 / (1 + np.exp(-scores))
    entropy = -targets * np.log(p) - (1 - targets) * np.log(1 - p)
    seen, unseen = given.seen.numpy(), given.unseen.numpy()
    assert np.isin(classes, unseen).any()
    assert float(losses["loss_seen"]) == pytest.approx(entropy[:, seen].mean(), abs=1e-5)
    assert float(losses["loss_unseen"]) == pytest.approx(entropy[:, unseen].mean(), abs=1e-5)
    # d BCE / d c = p - t, so the gradient of the offset is its weighted mean.
    by_hand = (p - targets)[:, seen].mean() + 0.7 * (p - targets)[:, unseen].mean()
    gradient = small.joint.offset.grad
    assert gradient is not None
    assert float(gradient) == pytest.approx(by_hand, abs=1e-5)


def test_the_head_gives_the_scores_of_the_networks() -> None:
    small = learner()
    for index in range(5):
        small.step(index)
    x = small.data.features[:20]
    torch.testing.assert_close(small.head().logits(x), small.scores(x).detach(), rtol=1e-4, atol=1e-5)


def test_a_step_draws_from_real_features_and_prototypes_alike() -> None:
    small = learner(prototypes=4)
    assert len(small.features) == len(small.data.features) + 4 * 3
    assert small.classes[-12:].tolist() == np.repeat(small.data.unseen.numpy(), 4).tolist()
    assert small.total_steps == 40 * (len(small.features) // 50)
