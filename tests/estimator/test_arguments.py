"""What may be handed to an estimator: labels, semantics by name or by position, seeds; all else is refused."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone

from gsmflow import GSMFlowClassifier, ZeroShotClassifier
from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.data.semantic_scaling import scaled_semantics
from gsmflow.files.tensors import read_tensors
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods import find_method
from gsmflow.recipes.recipe import recipe_from
from gsmflow.runs.folder import load_classifier, read_config
from gsmflow.sources import synthetic
from support.recipes import OVERRIDES

FLOW = dict(each.split("=") for each in OVERRIDES)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return synthetic.make(synthetic.SyntheticOptions(n=400, d=8, classes=9, unseen=2, a=5, spread=0.3))[0]


@pytest.fixture(scope="module")
def names(problem: Problem) -> np.ndarray:
    return np.array(problem.classes)


@pytest.fixture(scope="module")
def X(problem: Problem) -> np.ndarray:
    return problem.features[problem.train]


@pytest.fixture(scope="module")
def y(problem: Problem, names: np.ndarray) -> np.ndarray:
    return names[problem.labels[problem.train]]


@pytest.fixture(scope="module")
def expected(problem: Problem, names: np.ndarray, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    model = ZeroShotClassifier("lda").fit(X, y, semantics=problem.semantics, classes=names)
    return model.decision_function(problem.features)


def given(how: str, problem: Problem, names: np.ndarray) -> dict[str, Any]:
    """The same semantics in another form, in an order that is neither sorted nor that of the problem."""
    order = np.random.default_rng(1).permutation(len(names))
    vectors, shuffled = problem.semantics[order], names[order]
    columns = [f"a{n}" for n in range(vectors.shape[1])]
    frame = pd.DataFrame(vectors, columns=columns, index=shuffled)
    polars = pl.DataFrame(vectors, schema=columns).with_columns(name=pl.Series(shuffled.tolist()))
    return {
        "array": {"semantics": vectors, "classes": shuffled},
        "lists": {"semantics": vectors.tolist(), "classes": shuffled.tolist()},
        "dictionary": {"semantics": dict(zip(shuffled, vectors, strict=True))},
        "dictionary of lists": {
            "semantics": {str(n): v.tolist() for n, v in zip(shuffled, vectors, strict=True)}
        },
        "dictionary, classes in another order": {
            "semantics": dict(zip(shuffled, vectors, strict=True)),
            "classes": names,
        },
        "frame with an index": {"semantics": frame},
        "frame with an index, classes in another order": {"semantics": frame, "classes": names},
        "frame with a categorical index": {"semantics": frame.set_index(pd.CategoricalIndex(shuffled))},
        "frame without an index": {"semantics": frame.reset_index(drop=True), "classes": shuffled},
        "rows of a longer frame": {
            "semantics": frame.set_index(np.arange(len(frame)) * 3 + 5),
            "classes": shuffled,
        },
        "polars": {"semantics": polars.drop("name"), "classes": polars["name"]},
        "more vectors than classes": {
            "semantics": dict(zip([*shuffled, "okapi"], [*vectors, np.ones(5)], strict=True)),
            "classes": names,
        },
    }[how]


@pytest.mark.parametrize(
    "how",
    [
        "array",
        "lists",
        "dictionary",
        "dictionary of lists",
        "dictionary, classes in another order",
        "frame with an index",
        "frame with an index, classes in another order",
        "frame with a categorical index",
        "frame without an index",
        "rows of a longer frame",
        "polars",
        "more vectors than classes",
    ],
)
def test_semantics_in_any_form(
    how: str, problem: Problem, names: np.ndarray, X: np.ndarray, y: np.ndarray, expected: np.ndarray
) -> None:
    model = ZeroShotClassifier("lda").fit(X, y, **given(how, problem, names))
    assert np.array_equal(model.decision_function(problem.features), expected)
    assert model.classes_.tolist() == sorted(names.tolist())
    assert model.classes_.dtype.kind == "U"


def test_numbers_are_bound_by_name_too(
    problem: Problem, names: np.ndarray, X: np.ndarray, y: np.ndarray
) -> None:
    last = ZeroShotClassifier("lda", protocol="last")
    expected = last.fit(X, y, semantics=problem.semantics, classes=names).decision_function(X)
    ids = 100 - 10 * np.arange(len(problem.classes))
    labels = ids[problem.labels[problem.train]].astype(np.int32)
    frame = pd.DataFrame(problem.semantics, index=ids)
    for semantics in (frame, dict(zip(ids.tolist(), problem.semantics, strict=True))):
        model = last.fit(X, labels, semantics=semantics)
        assert model.classes_.tolist() == sorted(ids.tolist())
        assert model.classes_.dtype == np.int32
        assert model.decision_function(X)[:, ::-1] == pytest.approx(expected, rel=1e-3, abs=1e-2)


def refused(message: str, problem: Problem, X: Any, y: Any, method: str = "lda", **arguments: Any) -> None:
    """Fitting is refused by an InputError of one line."""
    parameters = arguments.pop("parameters", {})
    with pytest.raises(InputError, match=message) as error:
        ZeroShotClassifier(method, **parameters).fit(X, y, **arguments)
    assert "\n" not in str(error.value)


def test_semantics_that_do_not_fit(problem: Problem, names: np.ndarray, X: np.ndarray, y: np.ndarray) -> None:
    by_name = dict(zip(names.tolist(), problem.semantics, strict=True))
    frame = pd.DataFrame(problem.semantics, index=names)
    polars = pl.DataFrame(problem.semantics).with_columns(name=pl.Series(names.tolist()))
    few = {name: vector for name, vector in by_name.items() if name != names[3]}
    refused("semantics: missing", problem, X, y)
    refused(r"label .* is not among classes", problem, X, y, semantics=few)
    refused(r"no vector for class 'class 3'", problem, X, y, semantics=few, classes=names)
    refused(r"has a vector of shape \(4,\)", problem, X, y, semantics=by_name | {names[2]: np.ones(4)})
    refused(r"rows of different lengths", problem, X, y, semantics=[[1, 2], [3]], classes=names[:2])
    refused(r"set_index\('name'\)", problem, X, y, semantics=frame.rename_axis("name").reset_index())
    refused(r"semantics=frame\.drop\('name'\)", problem, X, y, semantics=polars)
    refused(
        "classes are numbers there and text in classes",
        problem,
        X,
        y,
        semantics={1: [1], 2: [2]},
        classes=names,
    )
    refused("a class is listed twice", problem, X, y, semantics=pd.concat((frame, frame)))
    refused("index of several levels", problem, X, y, semantics=frame.set_index([names, names]))
    refused("expected real numbers", problem, X, y, semantics=np.full((9, 5), "a"), classes=names)
    refused("expected one row for each of 7 classes", problem, X, y, semantics=problem.semantics)
    refused(
        "labels are text, classes numbers", problem, X, y, semantics=problem.semantics, classes=np.arange(9)
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", 1, "b"], "labels of several types, text such as 'a' and numbers such as 1"),
        (np.array(["a", 1, "b"], dtype=object), "labels of several types"),
        ([True, 2, 3], "labels of several types"),
        ([0.5, 1.5, 2.5], "continuous values such as 0.5"),
        (["a", None, "b"], "entry 1 is None"),
        (np.array(["2001", "2002", "2003"], dtype="datetime64[Y]"), "labels of type datetime64"),
        (["a", "a", "a"], r"one class, 'a', in 3 sample"),
    ],
)
def test_labels_that_are_none(labels: Any, message: str, problem: Problem) -> None:
    refused(
        message,
        problem,
        np.eye(3, dtype=np.float32),
        labels,
        semantics=dict(zip("abc", np.eye(3), strict=True)),
    )


def test_missing_labels_and_y() -> None:
    with pytest.raises(ValueError, match="requires y to be passed"):
        ZeroShotClassifier("lda").fit(np.eye(3), None, semantics=np.eye(3))  # type: ignore[arg-type]
    refused(
        "entry 1 is nan", None, np.eye(3), np.array(["a", np.nan, "b"], dtype=object), semantics=np.eye(3)
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 0.5, 2**32, "1", True, np.float64(2)])
def test_seeds_that_are_none(seed: Any, problem: Problem, X: np.ndarray, y: np.ndarray) -> None:
    by_name = dict(zip(problem.classes, problem.semantics, strict=True))
    refused(
        "random_state = .*: expected a whole number",
        problem,
        X,
        y,
        semantics=by_name,
        parameters={"random_state": seed},
    )


@pytest.mark.parametrize("protocol", ["last", "validated"])
def test_random_states(protocol: str, problem: Problem, X: np.ndarray, y: np.ndarray) -> None:
    by_name = dict(zip(problem.classes, problem.semantics, strict=True))
    options = FLOW | {"gsmflow.epochs": 1, "head.epochs": 1}

    def logits(random_state: Any) -> np.ndarray:
        model = GSMFlowClassifier(options=options, protocol=protocol, random_state=random_state)
        return model.fit(X, y, semantics=by_name).decision_function(problem.features[:20])

    first, again, other = (logits(np.random.RandomState(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(logits(7), logits(np.uint8(7)))
    assert not np.array_equal(logits(None), logits(None))
    state = np.random.RandomState(3)
    assert not np.array_equal(logits(state), logits(state))  # it goes on
    assert np.array_equal(logits(np.random.default_rng(0)), logits(np.random.default_rng(0)))


def test_two_classes(problem: Problem) -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate((rng.normal(size=(40, 3)) - 2, rng.normal(size=(40, 3)) + 2)).astype(np.float32)
    y = np.repeat([4, 9], 40)
    model = ZeroShotClassifier("lda", protocol="last").fit(X, y, semantics={4: [1, 0], 9: [0, 1]})
    decision, probability = model.decision_function(X), model.predict_proba(X)
    assert decision.shape == (80,)
    assert np.array_equal(model.predict(X), np.where(decision > 0, 9, 4))
    assert probability[:, 1] == pytest.approx(1 / (1 + np.exp(-decision.astype(float))))
    assert model.score(X, y) > 0.95


def test_later_changes_of_what_was_given_change_nothing(
    problem: Problem, names: np.ndarray, y: np.ndarray
) -> None:
    features, vectors, options = problem.features[problem.train].copy(), problem.semantics.copy(), dict(FLOW)
    model = GSMFlowClassifier(options=options, protocol="last").fit(
        features, y, semantics=vectors, classes=names
    )
    new = problem.semantics.mean(axis=0) + 0.1
    x = problem.features[:30]
    with pytest.warns(UserWarning, match="scaled"):
        before = model.add_classes("okapi", new).decision_function(x)
    features[:], vectors[:] = 7, 7
    options["head.epochs"] = "1"
    model.set_params(random_state=5, protocol="validated", method="lda")
    with pytest.warns(UserWarning, match="scaled"):
        assert np.array_equal(model.add_classes("okapi", new).decision_function(x), before)


@pytest.mark.filterwarnings("ignore:.*lies far outside")
def test_added_classes_are_of_the_same_kind(
    problem: Problem, names: np.ndarray, X: np.ndarray, y: np.ndarray
) -> None:
    by_number = ZeroShotClassifier("lda").fit(
        X, problem.labels[problem.train].astype(np.uint8), semantics=problem.semantics, classes=np.arange(9)
    )
    by_name = ZeroShotClassifier("lda").fit(X, y, semantics=problem.semantics, classes=names)
    unit = np.eye(5)[0]
    with pytest.raises(InputError, match="'okapi' is of the kind 'text', expected 'numbers'"):
        by_number.add_classes("okapi", unit)
    with pytest.raises(InputError, match="expected 'text'"):
        by_name.add_classes(9, unit)
    assert by_number.add_classes(9, unit).classes_.tolist() == list(range(10))
    longer = by_name.add_classes("a much longer name than those", {"a much longer name than those": unit})
    assert "a much longer name than those" in longer.classes_
    frame = pd.DataFrame([unit, unit[::-1]], index=["gnu", "yak"])
    two = by_name.add_classes(["yak", "gnu"], frame)
    assert np.array_equal(two.semantics_[two.classes_ == "gnu"][0], unit.astype(np.float32))
    with pytest.raises(InputError, match="known already"):
        two.add_classes("yak", unit)


def test_synthesize(problem: Problem, names: np.ndarray, X: np.ndarray, y: np.ndarray) -> None:
    by_name = dict(zip(names, problem.semantics, strict=True))
    model = GSMFlowClassifier(options=FLOW, protocol="last").fit(X, y, semantics=by_name)
    assert model.synthesize(names[8], np.int64(3)).shape == (3, 8)
    for n in (2.5, 0, -1, "3", None, True):
        with pytest.raises(InputError, match=r"n = .*: expected a whole number of at least 1"):
            model.synthesize(names[8], n)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="seed = -1"):
        model.synthesize(names[8], 2, seed=-1)
    for unknown in ("okapi", 3, ["class 8"], None):
        with pytest.raises(InputError, match="not among the 9 classes"):
            model.synthesize(unknown)
    lda = ZeroShotClassifier("lda").fit(X, y, semantics=by_name)
    with pytest.raises(InputError, match="method 'lda' synthesizes no features"):
        lda.synthesize(names[8])


def quick(method: str) -> dict[str, str]:
    """Options with which any method is fitted in a moment."""
    own = {key.partition(".")[2]: value for key, value in FLOW.items() if key.startswith("gsmflow.")}
    known = {field.name for field in fields(find_method(method).options)} - set(find_method(method).fixed)  # type: ignore[arg-type]
    small = own | {"epochs": "1", "hidden": "16", "relation_epochs": "1", "head_epochs": "1"}
    others = {key: value for key, value in FLOW.items() if not key.startswith("gsmflow.")}
    return others | {f"{method}.{name}": value for name, value in small.items() if name in known}


@pytest.mark.parametrize(
    "method", ["cvae", "f-clswgan", "f-vaegan-d2", "tf-vaegan", "izf", "gsmflow-tmm", "cflow"]
)
def test_every_generator_synthesizes_as_in_training(
    method: str, problem: Problem, names: np.ndarray, X: np.ndarray, y: np.ndarray, tmp_path: Any
) -> None:
    model = ZeroShotClassifier(method, options=quick(method), protocol="last")
    model.fit(X, y, semantics=dict(zip(names, problem.semantics, strict=True)))
    model.save(tmp_path / "run", keep_data=False)
    loaded = ZeroShotClassifier.load(tmp_path / "run")
    # The same by the learner that was trained, on the very data: it prepares more than the weights tell.
    weights, _ = read_tensors(tmp_path / "run" / "model.safetensors")
    weights.pop("semantics")
    recipe, transform = (
        recipe_from(read_config(tmp_path / "run"), "run"),
        load_classifier(tmp_path / "run").transform,
    )
    data = TrainingData.of(replace(problem, features=transform(problem.features)), torch.device("cpu"))
    scaled = scaled_semantics(problem.semantics, problem.seen, recipe.semantics)
    data = replace(data, semantics=torch.from_numpy(scaled))
    build = recipe.method.learner
    assert build is not None
    learner = build(data, recipe.options, 0)
    learner.load_weights(weights)
    for c in (0, int(problem.unseen[0])):
        samples = learner.sample(data.semantics[c : c + 1], 5, 3, "synthesize", c)[:, : X.shape[1]]  # type: ignore[attr-defined]
        expected = transform.inverse(samples.numpy())
        for each in (model, loaded):
            assert np.array_equal(each.synthesize(names[c], 5, seed=3), expected)


@pytest.mark.parametrize("method", ["cada-vae", "ce-gzsl", "likelihood", "cnzsl"])
def test_other_methods_say_that_they_do_not(
    method: str, problem: Problem, names: np.ndarray, X: np.ndarray, y: np.ndarray
) -> None:
    model = ZeroShotClassifier(method, options=quick(method), protocol="last")
    model.fit(X, y, semantics=dict(zip(names, problem.semantics, strict=True)))
    with pytest.raises(InputError, match=f"method '{method}' synthesizes"):
        model.synthesize(names[0], 2)
    assert model.predict(X).shape == y.shape


def test_parameters(problem: Problem, X: np.ndarray, y: np.ndarray) -> None:
    by_name = dict(zip(problem.classes, problem.semantics, strict=True))
    assert GSMFlowClassifier().get_params() == ZeroShotClassifier("gsmflow").get_params()
    assert ZeroShotClassifier().method == "auto"  # the default for one's own data everywhere
    assert GSMFlowClassifier("digits").preset == "digits"
    assert isinstance(GSMFlowClassifier(), ZeroShotClassifier)
    same = [cls(method="lda").fit(X, y, semantics=by_name) for cls in (GSMFlowClassifier, ZeroShotClassifier)]
    assert np.array_equal(*(model.decision_function(X) for model in same))
    refused("did you mean 'lda'", problem, X, y, method="lds", semantics=by_name)
    refused("options: list", problem, X, y, semantics=by_name, parameters={"options": ["a"]})
    copy = pickle.loads(pickle.dumps(same[0]))
    assert np.array_equal(copy.decision_function(X), same[0].decision_function(X))
    assert not hasattr(clone(same[0]), "classes_")


def test_what_looks_odd_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A column that counts the rows, in an array without names: told by number, and kept in the metrics."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 10)
    features = np.c_[rng.normal(size=(60, 4)), np.arange(60) ** 1.5]
    semantics = dict(enumerate(rng.random((8, 5))))
    model = ZeroShotClassifier("lda", protocol="last", random_state=0).fit(
        features, labels, semantics=semantics
    )
    told = "1 feature that never falls, or never rises, from row to row: feature 5."
    assert [record.levelname for record in caplog.records if told in record.getMessage()] == ["WARNING"]
    assert "running" in [each["kind"] for each in model.metrics_["warnings"]]
