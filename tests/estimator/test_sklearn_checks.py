"""scikit-learn's own checks of an estimator, with semantics drawn from y, for methods of each kind.

Under the protocol ``validated`` they cannot be made: a validation problem is cut from four seen classes or more, and
the checks have two or three.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from gsmflow import GSMFlowClassifier, ZeroShotClassifier

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
# ESZSL has no intercept. The checks ask for 0.83 of three blobs right, of features that are centred; scaled to 0 to 1
# they give 0.81, and least squares without an intercept 0.76.
CENTRED = {"features.scaling": "none"}


def drawn(y: Any, semantics: Any) -> Any:
    """The checks know no semantics: every class of y is given a vector of its own."""
    if semantics is None and y is not None:
        return np.random.default_rng(0).normal(size=(len(np.unique(np.asarray(y).ravel())), 3))
    return semantics


class DrawnSemantics(ZeroShotClassifier):
    def fit(self, X: Any, y: Any, *, semantics: Any = None, classes: Any = None) -> DrawnSemantics:
        return super().fit(X, y, semantics=drawn(y, semantics), classes=classes)


class DrawnSemanticsForTheFlow(GSMFlowClassifier):
    def fit(self, X: Any, y: Any, *, semantics: Any = None, classes: Any = None) -> DrawnSemanticsForTheFlow:
        return super().fit(X, y, semantics=drawn(y, semantics), classes=classes)


@pytest.mark.filterwarnings("ignore")  # of what the checks themselves hand over
@parametrize_with_checks(
    [
        DrawnSemantics("lda", protocol="last"),
        DrawnSemantics("eszsl", protocol="last", options=CENTRED),
        DrawnSemantics("neighbours", protocol="last"),
        DrawnSemantics("ale", protocol="last", options={"ale.epochs": 5}),
        DrawnSemanticsForTheFlow(protocol="last", options=FLOW),
        DrawnSemanticsForTheFlow(method="lda", protocol="last"),
    ],
    expected_failed_checks=lambda estimator: FAILING,
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)
