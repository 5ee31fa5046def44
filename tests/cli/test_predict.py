"""`gsmflow predict` and `gsmflow evaluate` on finished runs, and a person's own tables from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gsmflow.cli import main
from gsmflow.runs.folder import load_classifier
from gsmflow.sources import synthetic
from support.folders import xlsa17
from support.recipes import ARGUMENTS, PROBLEM, problem


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict") / "run"
    assert main(["train", PROBLEM, *ARGUMENTS, "--set", "head.calibrate=on", "--out", str(folder)]) == 0
    return folder


def write(path: Path, features: np.ndarray, labels: list[str]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, features=features, labels=np.array(labels))
        return path
    table = pl.DataFrame({f"f{i}": features[:, i] for i in range(features.shape[1])}).with_columns(
        pl.Series("label", labels)
    )
    table.write_csv(path) if path.suffix == ".csv" else table.write_parquet(path)
    return path


@pytest.mark.parametrize("ending", ["npz", "csv", "parquet"])
def test_predict_writes_a_table(ending: str, run: Path, tmp_path: Path) -> None:
    data = problem()
    chosen = np.concatenate((data.test_seen[:20], data.test_unseen[:20]))
    labels = [data.classes[c] for c in data.labels[chosen]]
    file = write(tmp_path / f"new.{ending}", data.features[chosen], labels)
    out = tmp_path / f"labelled.{'parquet' if ending == 'parquet' else 'csv'}"
    assert main(["predict", str(run), str(file), "-o", str(out), "--top", "2"]) == 0
    table = pl.read_parquet(out) if out.suffix == ".parquet" else pl.read_csv(out)
    assert table.columns == [
        "sample",
        "label",
        "class",
        "unseen_class",
        "unseen_probability",
        "probability",
        "class_2",
        "probability_2",
    ]
    classifier = load_classifier(run)
    probabilities = classifier.probabilities(data.features[chosen])
    assert table["class"].to_list() == [data.classes[c] for c in probabilities.argmax(axis=1)]
    assert np.allclose(table["probability"].to_numpy(), probabilities.max(axis=1), atol=1e-5)
    assert (table["probability"] >= table["probability_2"]).all()
    assert table["label"].to_list() == labels
    unseen = {data.classes[c] for c in data.unseen}
    assert table["unseen_class"].to_list() == [name in unseen for name in table["class"]]


def test_predict_prints_csv_or_json(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new.npz"
    np.savez(file, features=problem().features[:3])
    assert main(["predict", str(run), str(file)]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].startswith("sample,class,unseen_class,unseen_probability,probability")
    assert len(printed.splitlines()) == 4
    assert main(["predict", str(run), str(file), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["predictions"]) == 3


def test_evaluate_repeats_the_scores_of_the_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    metrics = json.loads((run / "metrics.json").read_text())
    assert again["same_data"]
    assert again["per_class"] == metrics["per_class"]
    for score in ("U", "S", "H", "T1", "AUSUC"):
        assert again[score] == pytest.approx(metrics[score], abs=1e-9)


def test_own_tables_from_training_to_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Features and a class table of a person's own; one class never seen is recognised."""
    data, _ = synthetic.make(synthetic.SyntheticOptions(n=1200, d=10, classes=40, unseen=6, a=6, spread=0.3))
    folder = tmp_path / "mine"
    folder.mkdir()
    chosen = np.concatenate((data.train, data.test_seen))
    write(folder / "features.csv", data.features[chosen], [data.classes[c] for c in data.labels[chosen]])
    attributes = {f"a{i}": data.semantics[:, i].astype(float) for i in range(data.semantic_dim)}
    pl.DataFrame({"name": list(data.classes), **attributes}).write_csv(folder / "classes.csv")
    out = tmp_path / "run"
    assert main(["train", str(folder), *ARGUMENTS, "--set", "head.calibrate=on", "--out", str(out)]) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["S"] > 0.3
    assert metrics["U"] is None  # no test samples of unseen classes: nothing to score, and no made-up number
    capsys.readouterr()
    new = tmp_path / "new.npz"
    np.savez(new, features=data.features[data.test_unseen])
    assert main(["predict", str(out), str(new), "--json"]) == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    right = [
        row["class"] == data.classes[c]
        for row, c in zip(predictions, data.labels[data.test_unseen], strict=True)
    ]
    assert np.mean(right) > 0.15  # guessing among the 40 classes: 0.025


def test_data_lists_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "--data-root", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for name in ("digits", "synthetic", "AWA1", "AWA2", "APY", "CUB", "SUN", "FLO"):
        assert name in printed
    assert str(tmp_path / "CUB" / "res101.mat") in printed
    assert "Xian" in printed
    assert main(["data", "--data-root", str(tmp_path), "--json"]) == 0
    known = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["known"]}
    assert known["digits"]["found"]
    assert not known["CUB"]["found"]
    assert known["digits"]["counts"]["unseen"] == 8


def test_data_never_cuts_the_name_of_a_file_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    xlsa17(tmp_path / "FLO")
    (tmp_path / "FLO" / "res101.mat").rename(tmp_path / "FLO" / "mobilenetv2_pooled.mat")
    assert main(["data", "--data-root", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert any(line.rstrip().endswith("-d mobilenetv2_pooled") for line in printed.splitlines())
    assert max(map(len, printed.split("digits: ")[0].splitlines())) <= 80


def test_data_of_a_problem_says_what_was_understood(capsys: pytest.CaptureFixture[str]) -> None:
    given = problem()
    assert main(["data", PROBLEM]) == 0
    shown = capsys.readouterr().out
    assert f"seen classes: {given.classes[given.seen[0]]}, " in shown
    assert f"unseen classes: {', '.join(given.classes[c] for c in given.unseen)}\n" in shown
    assert main(["data", PROBLEM, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["counts"]["train"] == len(given.train) == sum(told["training_samples"].values())
    assert told["fingerprint"] == given.fingerprint
    assert main(["data", "--features", "clip"]) == 2
    assert "name one" in capsys.readouterr().err


def test_samples_in_other_units_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same samples times 100: every feature far outside of what was trained on."""
    rng = np.random.default_rng(0)
    labels = [f"c{c}" for c in range(6) for _ in range(10)]
    values = rng.normal(size=(60, 4))
    data = tmp_path / "mine"
    data.mkdir()
    rows = [",".join([label, *map(str, row)]) for label, row in zip(labels, values.tolist(), strict=True)]
    (data / "features.csv").write_text("\n".join(["label,f0,f1,f2,f3", *rows]))
    described = [",".join([f"c{c}", *map(str, rng.random(4))]) for c in range(8)]
    (data / "classes.csv").write_text("\n".join(["name,a,b,c,d", *described]))
    run = tmp_path / "run"
    assert main(["train", str(data), "--method", "lda", "--protocol", "last", "--out", str(run)]) == 0
    capsys.readouterr()
    assert main(["predict", str(run), str(data / "features.csv")]) == 0
    assert "far outside" not in capsys.readouterr().err
    np.savez(tmp_path / "other.npz", features=values * 100)
    assert main(["predict", str(run), str(tmp_path / "other.npz")]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "60 of 60 samples lie far outside of the features that the run was trained on" in told
    other = tmp_path / "other"
    other.mkdir()
    (other / "classes.csv").write_text((data / "classes.csv").read_text())
    scaled = [
        ",".join([label, *(str(100 * value) for value in row)])
        for label, row in zip(labels, values.tolist(), strict=True)
    ]
    (other / "features.csv").write_text("\n".join(["label,f0,f1,f2,f3", *scaled]))
    assert main(["evaluate", str(run), str(other), "--json"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "12 of 12 samples lie far outside" in told
    assert "its test part is drawn from all rows" in told
