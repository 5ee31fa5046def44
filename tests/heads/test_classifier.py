"""The fitted classifier: transformation, head, bias on unseen classes and temperature, and what is kept of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gsmflow.base.errors import InputError
from gsmflow.data.transform import FeatureTransform
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.heads.linear import LinearHead

X = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 0.5]], np.float32)
WEIGHT = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]], np.float32)
OFFSET = np.array([0.5, -0.5, 0.25], np.float32)


def classifier(bias: float = 0.0, temperature: float = 1.0) -> FittedClassifier:
    transform = FeatureTransform(np.array([1.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32))
    head = LinearHead(torch.from_numpy(WEIGHT), torch.from_numpy(OFFSET))
    alone = LinearHead(torch.eye(2), torch.zeros(2))
    unseen = np.array([0, 2])
    return FittedClassifier(transform, head, ("a", "b", "c"), unseen, bias, alone, temperature)


def expected(bias: float = 0.0) -> np.ndarray:
    """By hand: ((x - shift) * scale) W' + b, and the bias on classes a and c."""
    transformed = (X - np.array([1.0, 0.0])) * np.array([2.0, 1.0])
    return transformed @ WEIGHT.T + OFFSET + bias * np.array([1, 0, 1])


@pytest.mark.parametrize("bias", [0.0, -1.5])
def test_logits_are_those_of_the_equation(bias: float) -> None:
    assert classifier(bias).logits(X) == pytest.approx(expected(bias))


def test_probabilities_are_the_softmax_over_the_temperature() -> None:
    exponentials = np.exp(expected(0.5) / 3)
    probabilities = classifier(0.5, 3.0).probabilities(X)
    assert probabilities == pytest.approx(exponentials / exponentials.sum(axis=1, keepdims=True))
    assert probabilities.dtype == np.float64


def test_unseen_classes_alone() -> None:
    transformed = (X - np.array([1.0, 0.0])) * np.array([2.0, 1.0])
    assert classifier().unseen_logits(X) == pytest.approx(transformed)
    without = replace(classifier(0.7), unseen_head=None)
    assert without.unseen_logits(X) == pytest.approx(expected(0.7)[:, [0, 2]])


def test_state_and_back() -> None:
    one = classifier(0.3, 2.0)
    other = FittedClassifier.from_state(one.state(), one.classes, "here")
    assert np.array_equal(other.probabilities(X), one.probabilities(X))
    assert np.array_equal(other.unseen_logits(X), one.unseen_logits(X))
    assert (other.bias, other.temperature, other.unseen.tolist()) == (0.3, 2.0, [0, 2])
    older = {name: tensor for name, tensor in one.state().items() if name != "temperature"}
    assert FittedClassifier.from_state(older, one.classes, "here").temperature == 1.0


def test_a_state_that_does_not_fit_is_refused() -> None:
    state = classifier().state()
    for name in ("unseen", "unseen_bias", "transform.shift"):
        with pytest.raises(InputError, match=r"here: tensor .* is missing"):
            FittedClassifier.from_state(
                {n: t for n, t in state.items() if n != name}, ("a", "b", "c"), "here"
            )
    with pytest.raises(InputError, match="head takes 2 dimensions to 3 classes, expected 2 and 2"):
        FittedClassifier.from_state(state, ("a", "b"), "here")
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(InputError, match="expected a positive number"):
            FittedClassifier.from_state(state | {"temperature": torch.tensor(wrong)}, ("a", "b", "c"), "here")


def test_a_sample_too_far_away_is_named() -> None:
    far = X.copy()
    far[1] = 3e38
    with (
        np.errstate(over="ignore"),
        pytest.raises(InputError, match=r"sample 11 \(counted from 0\) lies too far"),
    ):
        classifier().logits(far, first=10)
