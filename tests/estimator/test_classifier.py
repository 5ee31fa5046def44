"""GSMFlowClassifier keeps scikit-learn's conventions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gsmflow import GSMFlowClassifier
from gsmflow.data.problem import Problem
from gsmflow.scores.gzsl import harmonic_mean
from gsmflow.sources import synthetic

QUICK = {
    "gsmflow.epochs": 40,
    "gsmflow.least_steps": 0,
    "gsmflow.batch_size": 64,
    "gsmflow.blocks": 2,
    "gsmflow.hidden": 48,
    "gsmflow.global_semantic": 24,
    "gsmflow.learning_rate": 2e-3,
    "head.synthetic_per_class": 60,
    "head.epochs": 8,
    "head.batch_size": 64,
    "head.learning_rate": 0.02,
    "features.project": 0,
    "features.project_at_most": 0,
    "selection.problems": 1,
}


@pytest.fixture(scope="module")
def problem() -> Problem:
    return synthetic.make(synthetic.SyntheticOptions(n=900, d=12, classes=15, unseen=4, a=8, spread=0.3))[0]


@pytest.fixture(scope="module")
def names(problem: Problem) -> np.ndarray:
    return np.array(problem.classes)


@pytest.fixture(scope="module")
def fitted(problem: Problem, names: np.ndarray) -> GSMFlowClassifier:
    model = GSMFlowClassifier(options=QUICK, protocol="last")
    return fit(model, problem, names)


def fit(model: GSMFlowClassifier, problem: Problem, names: np.ndarray) -> GSMFlowClassifier:
    return model.fit(
        problem.features[problem.train],
        names[problem.labels[problem.train]],
        semantics=problem.semantics,
        classes=names,
    )


def test_predicts_seen_and_unseen_classes(
    fitted: GSMFlowClassifier, problem: Problem, names: np.ndarray
) -> None:
    seen = fitted.predict(problem.features[problem.test_seen])
    unseen = fitted.predict(problem.features[problem.test_unseen])
    assert np.mean(seen == names[problem.labels[problem.test_seen]]) > 0.8
    # Four of fifteen classes are unseen: guessing among all would be right one time in fifteen.
    assert np.mean(unseen == names[problem.labels[problem.test_unseen]]) > 0.25
    assert set(fitted.unseen_classes_) == set(names[problem.unseen])
    assert set(fitted.seen_classes_) == set(names[problem.seen])
    assert fitted.score(problem.features[problem.test_seen], names[problem.labels[problem.test_seen]]) > 0.8


def test_probabilities(fitted: GSMFlowClassifier, problem: Problem) -> None:
    features = problem.features[problem.test_seen]
    probabilities = fitted.predict_proba(features)
    assert probabilities.shape == (len(features), len(fitted.classes_))
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert (probabilities >= 0).all()
    assert np.array_equal(fitted.classes_[probabilities.argmax(axis=1)], fitted.predict(features))


def test_the_order_of_classes_does_not_matter(problem: Problem, names: np.ndarray) -> None:
    models = []
    for order in (np.arange(len(names)), np.arange(len(names))[::-1]):
        model = GSMFlowClassifier(options=QUICK | {"gsmflow.epochs": 2}, protocol="last")
        model.fit(
            problem.features[problem.train],
            names[problem.labels[problem.train]],
            semantics=problem.semantics[order],
            classes=names[order],
        )
        models.append(model.decision_function(problem.features[:50]))
    assert np.array_equal(*models)


def test_numeric_labels_come_back_as_they_were(problem: Problem) -> None:
    model = GSMFlowClassifier(options=QUICK | {"gsmflow.epochs": 1}, protocol="last")
    labels = problem.labels * 10
    model.fit(
        problem.features[problem.train],
        labels[problem.train],
        semantics=problem.semantics,
        classes=np.arange(len(problem.classes)) * 10,
    )
    predicted = model.predict(problem.features[:20])
    assert predicted.dtype == labels.dtype
    assert set(predicted) <= set(labels)


def test_parameters_and_clone(fitted: GSMFlowClassifier) -> None:
    parameters = fitted.get_params()
    assert set(parameters) == {"method", "preset", "options", "protocol", "random_state", "device"}
    copy = clone(fitted)
    assert copy.get_params() == parameters
    assert not hasattr(copy, "classes_")
    assert copy.set_params(random_state=7).random_state == 7
    with pytest.raises(NotFittedError):
        copy.predict(np.zeros((1, 12), np.float32))
    assert "random_state=7" in repr(copy)


def test_works_in_a_pipeline(problem: Problem, names: np.ndarray) -> None:
    pipeline = make_pipeline(
        StandardScaler(), GSMFlowClassifier(options=QUICK | {"features.scaling": "none"}, protocol="last")
    )
    pipeline.fit(
        problem.features[problem.train],
        names[problem.labels[problem.train]],
        gsmflowclassifier__semantics=problem.semantics,
        gsmflowclassifier__classes=names,
    )
    assert pipeline.score(problem.features[problem.test_seen], names[problem.labels[problem.test_seen]]) > 0.7


def test_same_seed_same_model_and_global_state_untouched(problem: Problem, names: np.ndarray) -> None:
    quick = QUICK | {"gsmflow.epochs": 2}
    torch.manual_seed(0)
    before = torch.rand(3)
    torch.manual_seed(0)
    a = fit(GSMFlowClassifier(options=quick, protocol="last", random_state=1), problem, names)
    assert torch.equal(torch.rand(3), before)
    b = fit(GSMFlowClassifier(options=quick, protocol="last", random_state=1), problem, names)
    c = fit(GSMFlowClassifier(options=quick, protocol="last", random_state=2), problem, names)
    x = problem.features[:40]
    assert np.array_equal(a.decision_function(x), b.decision_function(x))
    assert not np.array_equal(a.decision_function(x), c.decision_function(x))


def test_validated_chooses_and_says_what(problem: Problem, names: np.ndarray) -> None:
    quick = QUICK | {"gsmflow.epochs": 6, "selection.every": 20, "head.calibrate": True}
    model = fit(GSMFlowClassifier(options=quick), problem, names)
    assert model.choice_ is not None
    assert 0 < model.choice_.epochs <= 6
    assert 1 <= model.choice_.head_epochs <= 8
    assert pytest.approx(harmonic_mean(model.choice_.U, model.choice_.S)) == model.choice_.H
    chance = 1 / len(problem.seen)
    assert 2 * chance < model.choice_.H


def test_synthesize(fitted: GSMFlowClassifier, problem: Problem) -> None:
    features = fitted.synthesize("class 13", 50)
    assert features.shape == (50, 12)
    assert np.isfinite(features).all()
    assert np.array_equal(features, fitted.synthesize("class 13", 50))
    assert not np.array_equal(features, fitted.synthesize("class 13", 50, seed=1))
    # Features of a seen class lie nearer to their own class than to most others.
    seen = fitted.synthesize("class 2", 200).mean(axis=0)
    means = np.stack(
        [
            problem.features[problem.train][problem.labels[problem.train] == c].mean(axis=0)
            for c in problem.seen
        ]
    )
    assert np.linalg.norm(means - seen, axis=1).argsort()[0] == 2
    with pytest.raises(ValueError, match="'okapi'"):
        fitted.synthesize("okapi")
    with pytest.raises(ValueError, match="at least 1"):
        fitted.synthesize("class 2", 0)


def test_save_and_load(fitted: GSMFlowClassifier, problem: Problem, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    assert {p.name for p in (tmp_path / "model").iterdir() if not p.name.startswith(".")} == {
        "checksums.txt",
        "classes.json",
        "config.toml",
        "data.safetensors",
        "head.safetensors",
        "history.jsonl",
        "metrics.json",
        "model.safetensors",
        "semantics.csv",
    }
    loaded = GSMFlowClassifier.load(tmp_path / "model")
    x = problem.features[problem.test_unseen]
    assert np.array_equal(loaded.predict_proba(x), fitted.predict_proba(x))
    assert np.array_equal(loaded.synthesize("class 13", 5), fitted.synthesize("class 13", 5))
    assert loaded.get_params() == fitted.get_params()
    assert np.array_equal(loaded.unseen_classes_, fitted.unseen_classes_)


def test_load_refuses_what_save_did_not_write(fitted: GSMFlowClassifier, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no run"):
        GSMFlowClassifier.load(tmp_path)
    fitted.save(tmp_path)
    torch.save({"weights": torch.zeros(3)}, tmp_path / "head.safetensors")
    with pytest.raises(ValueError, match="pickled checkpoints are not loaded"):
        GSMFlowClassifier.load(tmp_path)
    fitted.save(tmp_path)
    classes = json.loads((tmp_path / "classes.json").read_text())
    (tmp_path / "classes.json").write_text(json.dumps(classes[:-1]))
    with pytest.raises(ValueError, match=r"classes\.json: does not match its checksum"):
        GSMFlowClassifier.load(tmp_path)
    (tmp_path / "checksums.txt").unlink()
    with pytest.raises(ValueError, match="takes 12 dimensions to 15 classes, expected 12 and 14"):
        GSMFlowClassifier.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"semantics": None}, "semantics: missing"),
        ({"semantics": np.zeros((3, 8), np.float32)}, "expected one row for each of 15 classes"),
        ({"classes": np.array(["a"] * 15)}, "listed twice"),
        ({"y": np.array(["dodo"] * 600)}, "'dodo' is not among classes"),
        ({"X": np.full((600, 12), np.nan)}, "NaN"),
        ({"X": np.zeros(600)}, "Expected 2D array"),
        ({"y": np.zeros(3)}, "inconsistent numbers of samples"),
    ],
)
def test_wrong_arguments(
    problem: Problem, names: np.ndarray, change: dict[str, object], message: str
) -> None:
    arguments: dict[str, object] = {
        "X": problem.features[problem.train][:600],
        "y": names[problem.labels[problem.train]][:600],
        "semantics": problem.semantics,
        "classes": names,
    }
    arguments |= change
    size = min(len(arguments[key]) for key in ("X", "y"))  # type: ignore[arg-type]
    if message != "inconsistent numbers of samples":
        arguments["X"], arguments["y"] = arguments["X"][:size], arguments["y"][:size]  # type: ignore[index]
    with pytest.raises(ValueError, match=message):
        GSMFlowClassifier(options=QUICK, protocol="last").fit(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"protocol": "oracle"}, "expected 'validated' or 'last'"),
        ({"preset": "digit"}, "did you mean 'digits'"),
        ({"options": {"gsmflow.block": 3}}, "did you mean gsmflow.blocks"),
        ({"options": {"gsmflow.blocks": 0}}, "at least 1"),
        ({"device": "tpu"}, "expected auto, cpu or cuda"),
    ],
)
def test_wrong_parameters(
    problem: Problem, names: np.ndarray, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit(GSMFlowClassifier(**parameters), problem, names)  # type: ignore[arg-type]


def test_predict_refuses_other_dimensions(fitted: GSMFlowClassifier) -> None:
    with pytest.raises(ValueError, match="13 features"):
        fitted.predict(np.zeros((2, 13), np.float32))
