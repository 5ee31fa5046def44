"""scikit-learn's own checks of an estimator, with semantics drawn from y: those below fail for the reason given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from gsmflow import ZeroShotClassifier

# No check fails that must. scikit-learn skips check_array_api_input unless SCIPY_ARRAY_API is set.
FAILING: dict[str, str] = {}
FLOW = {
    "gsmflow.epochs": 20,
    "gsmflow.least_steps": 0,
    "gsmflow.batch_size": 32,
    "gsmflow.blocks": 1,
    "gsmflow.hidden": 8,
    "gsmflow.global_semantic": 4,
    "gsmflow.learning_rate": 5e-3,
    "head.epochs": 30,
    "head.batch_size": 32,
    "head.learning_rate": 0.05,
    "features.project_at_most": 0,
}


class DrawnSemantics(ZeroShotClassifier):
    """The checks know no semantics: every class of y is given a vector of its own."""

    def fit(self, X: Any, y: Any, *, semantics: Any = None, classes: Any = None) -> DrawnSemantics:
        if semantics is None and y is not None:
            count = len(np.unique(np.asarray(y).ravel()))
            semantics = np.random.default_rng(0).normal(size=(count, 3))
        return super().fit(X, y, semantics=semantics, classes=classes)


@pytest.mark.filterwarnings("ignore")  # of what the checks themselves hand over
@parametrize_with_checks(
    [
        DrawnSemantics("lda", protocol="last"),
        DrawnSemantics("gsmflow", protocol="last", options=FLOW),
    ],
    expected_failed_checks=lambda estimator: FAILING,
)
def test_scikit_learn_checks(estimator: DrawnSemantics, check: Any) -> None:
    check(estimator)
