"""The flow on residuals: a regression checked against scikit-learn's, and synthesis around its means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from gsmflow.base.errors import InputError
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner
from gsmflow.methods.workings.mean_regression import MeanRegression
from gsmflow.recipes.recipe import make_recipe

SMALL = GSMFlowOptions(epochs=1, hidden=8, blocks=1, global_semantic=4, residual=True)


@pytest.fixture
def data() -> TrainingData:
    rng = np.random.default_rng(3)
    semantics = rng.random((7, 4), dtype=np.float32)
    labels = np.repeat(np.arange(5), 12)
    features = semantics[labels] @ rng.normal(size=(4, 6)) + 2 + 0.1 * rng.normal(size=(60, 6))
    return TrainingData(
        torch.from_numpy(features.astype(np.float32)),
        torch.from_numpy(labels),
        torch.from_numpy(semantics),
        torch.arange(5),
        torch.arange(5, 7),
    )


def test_the_regression_is_kernel_ridge_regression(data: TrainingData) -> None:
    semantics, means = data.semantics.double().numpy(), data.class_means().double().numpy()
    centered = semantics - semantics[:5].mean(axis=0)
    scaled = centered / np.sqrt(np.square(centered[:5]).sum(axis=1).mean())
    known = KernelRidge(alpha=10**-0.5, kernel="precomputed")
    known.fit(scaled[:5] @ scaled[:5].T + 1, means - means.mean(axis=0))
    expected = known.predict(scaled @ scaled[:5].T + 1) + means.mean(axis=0)
    np.testing.assert_allclose(MeanRegression.fit(data, -0.5)(data.semantics).numpy(), expected, atol=1e-5)


def test_units_of_semantics_do_not_matter(data: TrainingData) -> None:
    other = replace(data, semantics=100 * data.semantics + 3)
    one, two = (MeanRegression.fit(each, -1)(each.semantics) for each in (data, other))
    torch.testing.assert_close(one, two, atol=1e-4, rtol=0)


def test_what_is_synthesized_lies_around_the_predicted_means(data: TrainingData) -> None:
    learner = GSMFlowLearner(data, SMALL, 0)
    regression = learner.regression
    assert regression is not None
    plain = learner.model.sample(data.semantics[5:], 3, "x")
    synthetic = learner.sample(data.semantics[5:], 3, "x")
    torch.testing.assert_close(synthetic, plain + regression(data.semantics[5:]).repeat_interleave(3, dim=0))


def test_the_flow_learns_residuals(data: TrainingData) -> None:
    """The same losses as of a flow without the option on features from which the means were subtracted by hand."""
    learner = GSMFlowLearner(data, SMALL, 0)
    regression = learner.regression
    assert regression is not None
    left = data.features - regression(data.semantics)[data.labels]
    by_hand = GSMFlowLearner(replace(data, features=left), replace(SMALL, residual=False), 0)
    for index in range(3):
        one, two = learner.step(index), by_hand.step(index)
        assert set(one) == set(two)
        for name, loss in one.items():
            torch.testing.assert_close(loss, two[name], atol=1e-5, rtol=1e-4)


def test_weights_hold_the_regression(data: TrainingData) -> None:
    learner, other = (
        GSMFlowLearner(data, SMALL, 0),
        GSMFlowLearner(replace(data, features=-data.features), SMALL, 1),
    )
    other.load_weights(learner.weights())
    assert torch.equal(other.sample(data.semantics, 2, "x"), learner.sample(data.semantics, 2, "x"))
    weights = learner.weights()
    del weights["regression.bias"]
    with pytest.raises(ValueError, match=r"'regression\.bias' is missing"):
        other.load_weights(weights)


@pytest.mark.parametrize("method", ["likelihood", "likelihood-gate", "gsmflow-tmm", "cflow"])
def test_methods_that_cannot_take_it_refuse_it(method: str) -> None:
    with pytest.raises(InputError, match=f"in method '{method}' residual is always False"):
        make_recipe(method, "best", ["residual=on"])
