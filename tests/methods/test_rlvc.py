"""Outcome-reward tuning of the flow against its formulas written plainly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from gsmflow.learning.reward import Reward
from gsmflow.learning.reward_options import RewardOptions
from gsmflow.learning.rewarded import rewarded
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.rlvc import RLVCOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner
from gsmflow.methods.workings.rlvc import learner as tuned_flow
from support.recipes import problem

SMALL = {
    "blocks": 2,
    "hidden": 24,
    "global_semantic": 16,
    "epochs": 8,
    "batch_size": 60,
    "learning_rate": 3e-3,
}


def learner(**more: Any) -> GSMFlowLearner:
    options = replace(RLVCOptions(), **(SMALL | {"least_steps": 0, "reward_epochs": 10} | more))
    return tuned_flow(TrainingData.of(problem(), torch.device("cpu")), options, 3)


def reward_of(flow: GSMFlowLearner) -> Reward:
    assert flow.tuning
    return flow.tuning.reward


def test_the_outcomes_loss_and_its_gradient_are_those_of_the_formula() -> None:
    tuned = learner(baseline_decay=0.8)
    reward = reward_of(tuned)
    reward.baseline = torch.tensor(-1.5)
    rows = tuned.data.labels[tuned.batches[0]]
    features = tuned.data.features[:60].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(reward.outcome(features, rows), features)
    head = reward.classifier
    x, w, b = (t.detach().double().numpy() for t in (features, head.weight, head.bias))
    logits = x @ w.T + b
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rewards = np.log(share[np.arange(60), rows])
    mean = 0.8 * -1.5 + 0.2 * rewards.mean()
    assert float(reward.baseline) == pytest.approx(mean, abs=1e-5)
    # d log p_y / dx = w_y - sum_c p_c w_c, weighed by the advantage, which is a constant.
    advantages = np.maximum(rewards - mean, 0)
    assert 0 < (advantages > 0).sum() < 60
    by_hand = -advantages[:, None] * (w[rows] - share @ w) / 60
    np.testing.assert_allclose(gradient.numpy(), by_hand, atol=1e-5)


def test_the_distance_to_visual_prototypes_is_one_minus_the_cosine() -> None:
    tuned = learner()
    rows, features = tuned.data.labels[tuned.batches[0]], tuned.data.features[:60]
    means = np.stack([tuned.data.features[tuned.data.labels == c].mean(dim=0) for c in range(9)])
    cosines = np.diag(cosine_similarity(features.numpy(), means[rows]))
    assert float(reward_of(tuned).distillation(features, rows)) == pytest.approx(1 - cosines.mean(), abs=1e-5)


def test_the_reward_comes_from_a_classifier_that_knows_the_seen_classes_and_stays() -> None:
    tuned = learner(cold_start=0.0, reward_epochs=60, reward_learning_rate=0.03)
    head = reward_of(tuned).classifier
    before = head.weight.clone()
    right = head.logits(tuned.data.features).argmax(dim=1) == tuned.data.labels
    assert right.double().mean() > 0.8
    tuned.step(0)
    assert torch.equal(reward_of(tuned).classifier.weight, before)


def test_until_the_cold_start_is_over_it_is_the_flow() -> None:
    tuned = learner(cold_start=0.9)
    plain = GSMFlowLearner(tuned.data, tuned.options, 3)
    for index in range(4):
        tuned.step(index)
        plain.step(index)
    for name, tensor in plain.weights().items():
        assert torch.equal(tensor, tuned.weights()[name]), name


def test_it_is_the_flow_with_the_option_that_every_generator_has() -> None:
    tuned = learner(cold_start=0.25)
    option = RewardOptions(tune=True, cold_start=0.25, classifier_epochs=10)
    same = rewarded(GSMFlowLearner(tuned.data, tuned.options, 3), tuned.data, option, 3)
    for index in range(6):
        assert {k: float(v) for k, v in tuned.step(index).items()} == {
            k: float(v) for k, v in same.step(index).items()
        }
    for name, tensor in tuned.state().items():
        assert torch.equal(tensor, same.state()[name]), name


def test_tuned_features_are_better_known_by_the_classifier() -> None:
    """With the baseline at its lowest every advantage is positive: the loss is then a weighed cross-entropy."""
    scores = []
    for weight in (0.0, 1.0):
        tuned = learner(cold_start=0.0, outcome_weight=weight, distillation_weight=0.0, baseline_decay=0.0)
        reward = reward_of(tuned)
        reward.outcome = lambda features, rows, reward=reward: -reward.rewards(features, rows).mean()  # type: ignore[method-assign]
        for index in range(40):
            tuned.step(index)
        rows = torch.arange(9).repeat(30)
        with torch.no_grad():
            scores.append(float(reward.rewards(tuned.synthetic(rows, "test"), rows).mean()))
    assert scores[1] > scores[0] + 0.1
