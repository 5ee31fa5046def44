"""The estimator's default: several methods, stacked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gsmflow import ZeroShotClassifier, load
from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.sources import synthetic

PRESET = str(Path(__file__).parents[1] / "support" / "tiny.toml")
FAR = 1e7  # from 0: float32 cannot tell the features apart there


@pytest.fixture(scope="module")
def problem() -> Problem:
    spec = "n=900,d=10,classes=14,unseen=4,a=6,spread=0.5"
    return synthetic.make(synthetic.parse(spec))[0]


def fitted(problem: Problem, protocol: str) -> ZeroShotClassifier:
    names = np.array(problem.classes)
    options = {"auto.draws": 3, "gsmflow.epochs": 20, "features.scaling": "minmax"}
    return ZeroShotClassifier(preset=PRESET, options=options, protocol=protocol).fit(
        far(problem, problem.train),
        names[problem.labels[problem.train]],
        semantics=dict(zip(problem.classes, problem.semantics, strict=True)),
    )


def far(problem: Problem, rows: np.ndarray) -> np.ndarray:
    return problem.features[rows].astype(np.float64) + FAR


@pytest.mark.filterwarnings("ignore:The vectors of all classes", "ignore:.*lies far outside")
def test_it_predicts_and_comes_back_as_it_was(problem: Problem, tmp_path: Path) -> None:
    model = fitted(problem, "validated")
    names, unseen = np.array(problem.classes), far(problem, problem.test_unseen)
    assert (model.predict(unseen) == names[problem.labels[problem.test_unseen]]).mean() > 0.5
    model.save(tmp_path / "run")
    again = load(tmp_path / "run")
    np.testing.assert_array_equal(again.predict_proba(unseen), model.predict_proba(unseen))
    added = again.add_classes("new", problem.semantics[0] * -1)
    assert set(added.classes_) == {*model.classes_, "new"}
    assert added.predict_proba(unseen).shape == (len(unseen), 15)


def test_it_synthesizes_by_a_flow_of_the_stack(problem: Problem) -> None:
    model = fitted(problem, "last")
    label = int(problem.unseen[0])
    samples = model.synthesize(problem.classes[label], 200)
    assert samples.shape == (200, 10)
    mean = far(problem, np.flatnonzero(problem.labels == label)).mean(axis=0)
    others = [far(problem, np.flatnonzero(problem.labels == c)).mean(axis=0) for c in problem.unseen[1:]]
    near = np.linalg.norm(samples.mean(axis=0) - mean)
    assert near < min(np.linalg.norm(samples.mean(axis=0) - other) for other in others)


def test_a_stack_of_closed_forms_synthesizes_nothing(problem: Problem) -> None:
    names = np.array(problem.classes)
    X, y = problem.features[problem.train], names[problem.labels[problem.train]]
    at_once = {"auto.draws": 3, "auto.budget": 1e-6}  # no flow is tried
    model = ZeroShotClassifier(preset=PRESET, options=at_once).fit(
        X, y, semantics=problem.semantics, classes=names
    )
    with pytest.raises(InputError, match="method 'auto' synthesizes no features; fit one that does"):
        model.synthesize(names[0], 2)
