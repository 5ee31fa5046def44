"""Scaling and projection of features against scikit-learn, fitted on training samples only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler

from gsmflow.base.errors import InputError
from gsmflow.data.feature_options import SCALINGS, FeatureOptions
from gsmflow.data.transform import FeatureTransform
from support.recipes import problem

JUDGES = {"minmax": MinMaxScaler(), "standard": StandardScaler(), "length": Normalizer()}


@pytest.mark.parametrize("scaling", JUDGES)
def test_scaling_is_scikit_learns(scaling: str) -> None:
    data = problem()
    fitted = FeatureTransform.fit(data, FeatureOptions(scaling=scaling))
    judge = JUDGES[scaling].fit(data.features[data.train].astype(np.float64))
    np.testing.assert_allclose(fitted(data.features), judge.transform(data.features), atol=1e-5)


def test_projection_is_pca_of_the_scaled_training_features() -> None:
    data = problem()
    fitted = FeatureTransform.fit(data, FeatureOptions(scaling="standard", project=4))
    scaled = StandardScaler().fit_transform(data.features[data.train].astype(np.float64))
    judge = PCA(4).fit(scaled)
    mine = fitted(data.features[data.train])
    theirs = judge.transform(scaled)
    np.testing.assert_allclose(np.abs(mine), np.abs(theirs), atol=1e-4)
    assert fitted.out_dim == 4


@pytest.mark.parametrize(("most", "components"), [(4, 4), (9, 9), (10, 0), (99, 0)])
def test_features_of_few_dimensions_are_not_projected(most: int, components: int) -> None:
    """A projection on all components would be a rotation."""
    data = problem()
    options = FeatureOptions(project_at_most=most)
    fitted = FeatureTransform.fit(data, options)
    assert options.components(data.feature_dim, len(data.train)) == components
    assert fitted.out_dim == options.out_dim(data) == (components or data.feature_dim)
    if not components:
        assert np.array_equal(
            fitted(data.features), FeatureTransform.fit(data, FeatureOptions())(data.features)
        )
    assert FeatureTransform.fit(data, FeatureOptions(project=3, project_at_most=most)).out_dim == 3


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("project", [0, 3])
def test_other_samples_change_nothing(scaling: str, project: int) -> None:
    data = problem()
    changed = data.features.copy()
    test = np.concatenate((data.test_seen, data.test_unseen))
    changed[test] = 100 * changed[test] - 7
    options = FeatureOptions(scaling=scaling, project=project)
    first = FeatureTransform.fit(data, options).state()
    second = FeatureTransform.fit(replace(data, features=changed), options).state()
    assert all((first[name] == second[name]).all() for name in first)


def test_there_and_back() -> None:
    data = problem()
    positive = replace(data, features=np.abs(data.features))
    for options in (FeatureOptions(), FeatureOptions(log=True), FeatureOptions(project=10)):
        fitted = FeatureTransform.fit(positive, options)
        again = FeatureTransform.from_state(fitted.state())
        np.testing.assert_allclose(again.inverse(again(positive.features)), positive.features, atol=1e-4)


def test_a_constant_dimension_becomes_zero() -> None:
    data = problem()
    features = data.features.copy()
    features[:, 2] = 5
    for scaling in ("minmax", "standard"):
        fitted = FeatureTransform.fit(replace(data, features=features), FeatureOptions(scaling=scaling))
        assert (fitted(features)[:, 2] == 0).all()


def test_what_cannot_be_done_is_refused() -> None:
    data = problem()
    with pytest.raises(InputError, match="at most 10 components"):
        FeatureTransform.fit(data, FeatureOptions(project=11))
    with pytest.raises(InputError, match=r"negative values, so features\.log"):
        FeatureTransform.fit(data, FeatureOptions(log=True))
    huge = data.features.copy()
    huge[data.train[:2], 0] = 3e38, -3e38
    with pytest.raises(InputError, match="too wide or too narrow for float32"):
        FeatureTransform.fit(replace(data, features=huge), FeatureOptions())
    with pytest.raises(InputError, match=r"expected \(samples, 10\)"):
        FeatureTransform.fit(data, FeatureOptions())(data.features[:, :9])
