"""Estimators and run folders are one thing: what either writes the other reads, on the command line and from Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import gsmflow
from gsmflow import GSMFlowClassifier, ZeroShotClassifier
from gsmflow.cli import main
from gsmflow.data.problem import Problem
from gsmflow.runs.folder import load_classifier, read_config, read_metrics
from gsmflow.serve.service import Service
from gsmflow.sources import synthetic
from support.recipes import ARGUMENTS, OVERRIDES, PROBLEM

OLD = Path(__file__).parent.parent / "runs" / "old"
OLD_RUNS = sorted(path.name for path in OLD.iterdir() if (path / "metrics.json").exists())
OPTIONS = dict(each.split("=") for each in OVERRIDES)
# Classes that are added here are anything.
pytestmark = pytest.mark.filterwarnings("ignore:The vectors of all classes", "ignore:.*lies far outside")
NEW = "0.3,-0.2,0.5,0.1,-0.6,0.4"


@pytest.fixture(scope="module")
def problem() -> Problem:
    return synthetic.make(synthetic.parse(PROBLEM.partition(":")[2]))[0]


def fitted(problem: Problem, method: str = "lda", labels: Any = None, **more: Any) -> ZeroShotClassifier:
    names = np.array(problem.classes) if labels is None else labels
    model = ZeroShotClassifier(method, options=OPTIONS if method == "gsmflow" else None, **more)
    y = names[problem.labels[problem.train]]
    return model.fit(problem.features[problem.train], y, semantics=problem.semantics, classes=names)


@pytest.fixture(scope="module", params=["lda", "gsmflow"])
def saved(request: pytest.FixtureRequest, problem: Problem, tmp_path_factory: Any) -> tuple[Any, Path]:
    model = fitted(problem, request.param)
    folder = tmp_path_factory.mktemp("saved") / "run"
    model.save(folder)
    return model, folder


def test_every_command_takes_a_saved_estimator(saved: Any, problem: Problem, tmp_path: Path) -> None:
    model, run = saved
    new = problem.features[problem.test_unseen[:7]]
    np.save(tmp_path / "new.npy", new)
    out = tmp_path / "labels.csv"
    assert main(["predict", str(run), str(tmp_path / "new.npy"), "-o", str(out)]) == 0
    table = pl.read_csv(out)
    assert table["class"].to_list() == model.predict(new).tolist()
    assert table["probability"].to_numpy() == pytest.approx(model.predict_proba(new).max(axis=1), abs=1e-6)
    assert main(["export", str(run), "--onnx", "-o", str(tmp_path / "classifier.onnx")]) == 0
    assert main(["report", str(run), "--embedding", "pca", "-o", str(tmp_path / "report.html")]) == 0
    assert model.method in (tmp_path / "report.html").read_text()
    version, answer = Service(run, data_root=tmp_path, device=torch.device("cpu")).probabilities(new.tolist())
    assert version.trained == len(problem.classes)
    assert answer == pytest.approx(load_classifier(run).probabilities(new), abs=1e-6)
    assert (
        main(["add-class", str(run), "--name", "okapi", "--attributes", NEW, "--out", str(tmp_path / "v2")])
        == 0
    )
    added = gsmflow.load(tmp_path / "v2")
    more = model.add_classes("okapi", np.array(NEW.split(","), np.float32))
    assert np.array_equal(added.classes_, more.classes_)
    assert np.array_equal(added.decision_function(new), more.decision_function(new))
    assert not (run / "metrics.json").read_text().count("NaN")


def test_what_comes_back(saved: Any, problem: Problem) -> None:
    model, run = saved
    loaded = gsmflow.load(run)
    x = problem.features[problem.test_seen]
    assert type(loaded) is ZeroShotClassifier
    assert loaded.get_params() == model.get_params()
    assert np.array_equal(loaded.predict_proba(x), model.predict_proba(x))
    assert loaded.choice_ == model.choice_
    assert loaded.metrics_ == model.metrics_ == read_metrics(run)
    assert loaded.folder_ == run
    for name in ("classes_", "seen_classes_", "unseen_classes_", "semantics_"):
        assert np.array_equal(getattr(loaded, name), getattr(model, name))


def test_a_loaded_estimator_is_saved_again(saved: Any, problem: Problem, tmp_path: Path) -> None:
    _, run = saved
    loaded = gsmflow.load(run)
    more = loaded.add_classes(
        ["okapi", "gnu"], [[0.3, -0.2, 0.5, 0.1, -0.6, 0.4], [0.1, 0.9, 0, 0.1, 0.1, 0.2]]
    )
    x = problem.features[problem.test_unseen]
    for name, each in (("same", loaded), ("more", more)):
        each.save(tmp_path / name)
        again = gsmflow.load(tmp_path / name)
        assert np.array_equal(again.decision_function(x), each.decision_function(x))
        vector = np.array([0.2, 0.2, 0.2, -0.1, 0.3, 0.9])
        expected = each.add_classes("yak", vector).decision_function(x)
        assert np.array_equal(again.add_classes("yak", vector).decision_function(x), expected)
    files = {path.name: path.read_bytes() for path in run.iterdir() if path.name != ".lock"}
    saved_again = {
        path.name: path.read_bytes() for path in (tmp_path / "same").iterdir() if path.name != ".lock"
    }
    assert files == saved_again


def test_without_its_data(saved: Any, problem: Problem, tmp_path: Path, capsys: Any) -> None:
    model, _ = saved
    model.save(tmp_path / "run", keep_data=False)
    assert not (tmp_path / "run" / "data.safetensors").exists()
    loaded = gsmflow.load(tmp_path / "run")
    vector = np.array(NEW.split(","), np.float32)
    with pytest.raises(ValueError, match="needs the samples it was fitted on"):
        loaded.add_classes("okapi", vector)
    y = np.array(problem.classes)[problem.labels[problem.train]]
    more = loaded.add_classes("okapi", vector, X=problem.features[problem.train], y=y)
    x = problem.features[problem.test_unseen]
    assert np.array_equal(more.decision_function(x), model.add_classes("okapi", vector).decision_function(x))
    words = ["add-class", str(tmp_path / "run"), "--name", "okapi", "--attributes", NEW]
    assert main(words) == 2
    assert "keep_data=True" in capsys.readouterr().err


def test_save_spares_other_runs(saved: Any, tmp_path: Path) -> None:
    model, _ = saved
    for folder in (tmp_path / "made", tmp_path / "begun"):
        folder.mkdir()
        (folder / "config.toml").write_bytes((OLD / "linear" / "config.toml").read_bytes())
    (tmp_path / "made" / "metrics.json").write_text("{}")
    for folder in (tmp_path / "made", tmp_path / "begun"):
        with pytest.raises(ValueError, match="holds a run already, which no estimator saved"):
            model.save(folder)
    loaded = gsmflow.load(OLD / "linear")
    with pytest.raises(ValueError, match="holds a run already"):
        loaded.save(OLD / "linear")
    model.save(tmp_path / "twice")
    model.save(tmp_path / "twice")
    assert gsmflow.load(tmp_path / "twice").method == model.method


@pytest.mark.parametrize("kind", OLD_RUNS)
def test_runs_of_0_1_0_are_loaded(kind: str, tmp_path: Path) -> None:
    model = gsmflow.load(OLD / kind)
    x = pl.read_csv(OLD / "new.csv").to_numpy().astype(np.float32)
    classifier = load_classifier(OLD / kind)
    assert model.classes_.tolist() == sorted(classifier.classes)
    place = [classifier.classes.index(name) for name in model.classes_]
    assert np.array_equal(model.predict_proba(x), classifier.probabilities(x)[:, place])
    assert model.predict(x).tolist() == [classifier.classes[c] for c in classifier.logits(x).argmax(axis=1)]
    assert set(model.unseen_classes_) == {classifier.classes[c] for c in classifier.unseen}
    model.save(tmp_path / "again")
    again = gsmflow.load(tmp_path / "again")
    assert np.array_equal(again.predict_proba(x), model.predict_proba(x))
    assert read_metrics(tmp_path / "again") == read_metrics(OLD / kind)
    more = again.add_classes("okapi", [0.4, 0.6, 0.5, 0.4])
    assert more.predict_proba(x).shape == (len(x), len(model.classes_) + 1)


def test_estimators_of_0_1_0_are_loaded(tmp_path: Path) -> None:
    expected = json.loads((OLD / "estimator-expected.json").read_text())
    x = np.array(expected["X"], np.float32)
    for cls in (GSMFlowClassifier, ZeroShotClassifier):
        model = cls.load(OLD / "estimator")
        assert model.predict(x).tolist() == expected["predict"]
        assert model.predict_proba(x) == pytest.approx(np.array(expected["proba"]), abs=2e-6)
        assert model.get_params()["options"]["gsmflow.epochs"] == 3
    model.save(tmp_path / "new")
    again = gsmflow.load(tmp_path / "new")
    assert np.array_equal(again.predict_proba(x), model.predict_proba(x))
    assert np.array_equal(again.synthesize("class 7", 4), model.synthesize("class 7", 4))
    with pytest.raises(ValueError, match="needs the samples"):
        again.add_classes("okapi", [0.1, 0.2, 0.3, 0.4])


def test_train_makes_what_the_command_makes(problem: Problem, tmp_path: Path) -> None:
    assert main(["train", PROBLEM, *ARGUMENTS, "--seed", "3", "--out", str(tmp_path / "command")]) == 0
    model = gsmflow.train(PROBLEM, options=OPTIONS, seed=3, out=tmp_path / "python")
    expected, metrics = (read_metrics(tmp_path / name) for name in ("command", "python"))
    seconds = [each.pop("seconds") for each in (expected, metrics)]
    assert metrics == expected
    assert seconds[0].keys() == seconds[1].keys()
    configs = [read_config(tmp_path / name) for name in ("command", "python")]
    assert configs[0] == configs[1]
    assert model.metrics_["H"] == expected["H"]
    assert model.folder_ == tmp_path / "python"
    assert model.options is not None
    again = ZeroShotClassifier(**model.get_params())
    assert again.options["gsmflow.epochs"] == 12


def test_train_on_a_problem_in_memory(problem: Problem, tmp_path: Path) -> None:
    model = gsmflow.train(problem, method="lda", out=tmp_path / "run")
    assert (tmp_path / "run" / "data.safetensors").exists()
    x = problem.features[problem.test_unseen]
    accuracy = [
        np.mean(model.predict(problem.features[rows]) == problem.classes[c])
        for c in problem.unseen
        if len(rows := problem.test_unseen[problem.labels[problem.test_unseen] == c])
    ]
    assert model.metrics_["U"] == pytest.approx(np.mean(accuracy))
    more = model.add_classes("okapi", np.array(NEW.split(","), np.float32))
    assert more.metrics_["version"]["before"]["U"] == model.metrics_["U"]
    assert more.predict_proba(x).shape == (len(x), len(problem.classes) + 1)
    threads = torch.get_num_threads()
    with pytest.raises(ValueError, match="holds a run already"):
        gsmflow.train(problem, method="lda", out=tmp_path / "run")
    assert torch.get_num_threads() == threads
    with pytest.raises(ValueError, match="protocol = 'best'"):
        gsmflow.train(problem, protocol="best")
    with pytest.raises(ValueError, match="seed = -1"):
        gsmflow.train(problem, seed=-1)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.float32, object, str])
def test_labels_keep_their_type(dtype: Any, problem: Problem, tmp_path: Path) -> None:
    labels = np.arange(len(problem.classes))[::-1] * 3
    model = fitted(
        problem, labels=labels.astype(str).astype(dtype) if dtype in (object, str) else labels.astype(dtype)
    )
    model.save(tmp_path / "run")
    loaded = gsmflow.load(tmp_path / "run")
    x = problem.features[problem.test_seen]
    assert loaded.classes_.dtype == model.classes_.dtype
    assert np.array_equal(loaded.predict(x), model.predict(x))
    assert loaded.predict(x).dtype == model.predict(x).dtype
    kind = model.classes_.dtype.kind
    assert kind == np.dtype(dtype).kind
    if kind in "iu":  # a class that is no number makes all labels text
        words = ["add-class", str(tmp_path / "run"), "--name", "okapi", "--attributes", NEW]
        assert main([*words, "--out", str(tmp_path / "more")]) == 0
        assert gsmflow.load(tmp_path / "more").classes_.tolist() == sorted([*map(str, labels), "okapi"])


def test_column_names_are_kept(problem: Problem, tmp_path: Path) -> None:
    columns = [f"f{n}" for n in range(problem.feature_dim)]
    X = pd.DataFrame(problem.features[problem.train], columns=columns)
    y = np.array(problem.classes)[problem.labels[problem.train]]
    model = ZeroShotClassifier("lda").fit(
        X, y, semantics=dict(zip(problem.classes, problem.semantics, strict=True))
    )
    model.save(tmp_path / "run")
    assert read_config(tmp_path / "run")["data"]["feature_names"] == columns
    loaded = gsmflow.load(tmp_path / "run")
    assert loaded.feature_names_in_.tolist() == columns
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(X[columns[::-1]])
    assert np.array_equal(loaded.predict(X), model.predict(X))


def test_numpy_numbers_are_saved(problem: Problem, tmp_path: Path) -> None:
    model = fitted(problem, random_state=np.int64(4)).set_params(options={"lda.ridge": np.float64(-1.0)})
    model.save(tmp_path / "run")
    loaded = gsmflow.load(tmp_path / "run")
    assert loaded.random_state == 4
    assert loaded.options == {"lda.ridge": -1.0}
    drawn = fitted(problem, random_state=np.random.RandomState(0))
    drawn.save(tmp_path / "drawn")
    assert gsmflow.load(tmp_path / "drawn").random_state == drawn.seed_
