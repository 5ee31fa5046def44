"""`gsmflow evaluate` on what people have: labelled pictures, lists of them, and tables with a column of labels."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gsmflow.cli import main
from gsmflow.runs.folder import load_classifier
from support.pictures import SIDE, digits, patches_model
from support.recipes import PROBLEM, problem

UNSEEN = ("digit 8", "digit 9")
DATA = problem()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``run`` has learned from pictures of eight digits and knows ten; ``new`` holds other pictures of all ten."""
    place = tmp_path_factory.mktemp("evaluate")
    digits(place / "mine", 300, leave_out=(8, 9))
    segments = ("1111110", "0110000", "1101101", "1111001", "0110011", "1011011", "1011111", "1110000")
    rows = [f"digit {d},{','.join(code)}" for d, code in enumerate((*segments, "1111111", "1111011"))]
    (place / "mine" / "classes.csv").write_text("name,a,b,c,d,e,f,g\n" + "\n".join(rows) + "\n")
    model = ["--backbone", str(patches_model(place / "model.onnx")), "--size", str(SIDE), "--crop", "1"]
    train = ["train", str(place / "mine"), "--method", "lda", *model]
    assert main([*train, "--out", str(place / "run")]) == 0
    digits(place / "new", 420)
    for file in (place / "new").rglob("*.png"):
        if int(file.stem) < 300:
            file.unlink()
    return place


def scored(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> tuple[dict[str, Any], str]:
    """What ``evaluate --json`` says of these words, and what is on stderr."""
    capsys.readouterr()
    assert main(["evaluate", *map(str, words), "--json"]) == code
    said = capsys.readouterr()
    return json.loads(said.out), " ".join(said.err.split())


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert main(["evaluate", *map(str, words)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def labelled(place: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    """The true and the predicted class of every picture, by ``predict``."""
    capsys.readouterr()
    assert main(["predict", str(place / "run"), str(new), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["predictions"]
    return [(row["sample"].split("/")[0], row["class"]) for row in rows]


def test_class_folders_are_scored_as_predict_labels_them(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = labelled(place, place / "new", capsys)
    told, _ = scored(capsys, place / "run", place / "new")
    counts = Counter(true for true, _ in answers)
    right = Counter(true for true, answer in answers if true == answer)
    assert told["samples"] == dict(sorted(counts.items()))
    assert told["per_class"] == {name: right[name] / count for name, count in sorted(counts.items())}
    of_unseen = float(np.mean([right[name] / counts[name] for name in UNSEEN]))
    of_seen = float(np.mean([right[name] / counts[name] for name in counts if name not in UNSEEN]))
    assert told["U"] == pytest.approx(of_unseen)
    assert told["S"] == pytest.approx(of_seen)
    assert told["H"] == pytest.approx(2 * of_unseen * of_seen / (of_unseen + of_seen))
    assert told["accuracy"] == pytest.approx(right.total() / counts.total())
    wrong = {name: Counter(a for t, a in answers if t == name != a) for name in counts}
    assert told["taken_for"] == {name: dict(some) for name, some in wrong.items() if some}
    assert 0 < told["AUSUC"] < 1
    assert told["same_data"] is False


def test_a_list_of_pictures_and_their_features_give_the_same(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, _ = scored(capsys, place / "run", place / "new")
    files = [file.relative_to(place) for file in sorted((place / "new").rglob("*.png"))]
    lines = "".join(f"{file.as_posix()},{file.parent.name}\n" for file in files)
    (tmp_path / "list.csv").write_text("path,label\n" + lines)
    listed, _ = scored(capsys, place / "run", tmp_path / "list.csv", "--root", place)
    extract = ["extract", str(place / "new"), "--backbone", str(place / "model.onnx"), "--size", str(SIDE)]
    assert main([*extract, "--crop", "1", "-o", str(tmp_path / "new.npz")]) == 0
    features, _ = scored(capsys, place / "run", tmp_path / "new.npz")
    for other in (listed, features):
        assert {**other, "problem": told["problem"]} == told


def test_what_is_there_is_scored_and_what_is_not_is_said(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(place / "new" / UNSEEN[0], tmp_path / "unseen" / "Digit_8")
    told, said = scored(capsys, place / "run", tmp_path / "unseen")
    assert told["U"] is not None
    assert told["S"] is told["H"] is told["AUSUC"] is None
    assert "1 written otherwise than their class: 'Digit_8' as 'digit 8'" in said
    assert main(["evaluate", str(place / "run"), str(tmp_path / "unseen")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "S and H are not known: no sample of the 8 classes with training samples." in shown
    shutil.copytree(place / "new" / "digit 3", tmp_path / "seen" / "digit 3")
    told, _ = scored(capsys, place / "run", tmp_path / "seen")
    assert told["U"] is told["T1"] is None
    assert told["S"] == told["per_class"]["digit 3"]
    assert main(["evaluate", str(place / "run"), str(tmp_path / "seen")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "U and H are not known: no sample of the 2 classes without training samples (digit 8, digit 9)."
        in shown
    )
    assert f"digit 3 {round(told['S'] * told['samples']['digit 3'])} of {told['samples']['digit 3']}" in shown


def test_a_class_that_the_run_does_not_know_is_named(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new"
    shutil.copytree(place / "new" / "digit 3", new / "digits 3")
    line = refused(capsys, place / "run", new)
    assert (
        f"{new}: has a folder 'digits 3', which is no class of {place / 'run'}; did you mean 'digit 3'?"
        in line
    )
    picture = next((new / "digits 3").iterdir())
    assert "nothing says its class" in refused(capsys, place / "run", picture)
    (tmp_path / "list.csv").write_text(f"path,label\n{picture.relative_to(tmp_path).as_posix()},digot 3\n")
    assert "list.csv: has the label 'digot 3'" in refused(capsys, place / "run", tmp_path / "list.csv")
    assert "lies in no class folder" in refused(capsys, place / "run", new / "digits 3")
    line = refused(capsys, place / "run", place / "new" / "digit 3")
    assert "digit 3: is the folder of one class; name the folder around it" in line


def test_pictures_that_cannot_be_read_are_left_out(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(place / "new" / "digit 3", tmp_path / "new" / "digit 3")
    broken = tmp_path / "new" / "digit 3" / "0.png"
    broken.write_bytes(b"?")
    told, said = scored(capsys, place / "run", tmp_path / "new", code=3)
    assert "left out digit 3/0.png" in said
    assert [each["path"] for each in told["unreadable"]] == ["digit 3/0.png"]
    assert told["samples"]["digit 3"] == len(list((tmp_path / "new" / "digit 3").iterdir())) - 1
    for file in broken.parent.iterdir():
        file.write_bytes(b"?")
    assert "can be read" in refused(capsys, place / "run", tmp_path / "new")


def test_of_parts_only_test_is_scored(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(
        place / "mine", tmp_path / "new" / "train", ignore=shutil.ignore_patterns("*.npz", "*.csv")
    )
    shutil.copytree(place / "new", tmp_path / "new" / "test")
    expected, _ = scored(capsys, place / "run", place / "new")
    told, said = scored(capsys, place / "run", tmp_path / "new")
    assert {**told, "problem": expected["problem"]} == expected
    assert f"scored are the {sum(told['samples'].values())} of the part test alone" in said


def test_pictures_that_were_trained_on_are_said_to_be(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, said = scored(capsys, place / "run", place / "mine")  # a table is there: its own test part
    assert told["same_data"] is True
    own, _ = scored(capsys, place / "run")
    assert told == own
    told, _ = scored(capsys, place / "run", place / "mine" / "features.npz")  # and so for the table itself
    assert told == own
    (place / "mine" / "features.npz").rename(tmp_path / "features.npz")
    try:
        _, said = scored(capsys, place / "run", place / "mine")
    finally:
        (tmp_path / "features.npz").rename(place / "mine" / "features.npz")
    assert "the run was trained on these pictures, so S is too good" in said


@pytest.fixture(scope="module")
def tabled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("evaluate-table") / "run"
    assert main(["train", PROBLEM, "--method", "lda", "--out", str(run)]) == 0
    return run


def table(chosen: np.ndarray, **more: list[str]) -> pl.DataFrame:
    labels = [DATA.classes[c] for c in DATA.labels[chosen]]
    features = {f"f{d}": DATA.features[chosen, d] for d in range(DATA.feature_dim)}
    return pl.DataFrame({"label": labels, **more, **features})


@pytest.mark.parametrize("ending", ["csv", "parquet", "npz", "folder"])
def test_a_table_with_labels_is_scored(
    ending: str, tabled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the run's own test samples, the scores are those of the run."""
    chosen = np.concatenate((DATA.test_unseen, DATA.test_seen))
    file = tmp_path / f"new.{ending}"
    if ending == "csv":
        table(chosen).write_csv(file)
    elif ending == "parquet":
        table(chosen).write_parquet(file)
    elif ending == "npz":
        np.savez(file, features=DATA.features[chosen], labels=np.array(DATA.classes)[DATA.labels[chosen]])
    else:
        file.mkdir()
        for index, some in enumerate(np.array_split(chosen, 3)):
            table(some).write_parquet(file / f"{index}.parquet")
    told, _ = scored(capsys, tabled, file)
    metrics = json.loads((tabled / "metrics.json").read_text())
    for score in ("U", "S", "H", "T1", "AUSUC"):
        assert told[score] == pytest.approx(metrics[score], abs=1e-6)
    assert told["per_class"] == pytest.approx(metrics["per_class"])


def test_rows_of_training_are_left_out_and_labels_are_needed(
    tabled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = np.concatenate((DATA.train[:30], DATA.test_seen))
    split = ["train"] * 30 + ["test"] * len(DATA.test_seen)
    table(chosen, split=split).write_csv(tmp_path / "new.csv")
    told, said = scored(capsys, tabled, tmp_path / "new.csv")
    assert sum(told["samples"].values()) == len(DATA.test_seen)
    assert f"scored are the {len(DATA.test_seen)} of the part test alone" in said
    table(chosen, split=["train"] * len(chosen)).write_csv(tmp_path / "train.csv")
    assert (
        "if the run has learned from them, S is too good" in scored(capsys, tabled, tmp_path / "train.csv")[1]
    )
    table(chosen).drop("label").write_csv(tmp_path / "unlabelled.csv")
    assert "no labels to compare with" in refused(capsys, tabled, tmp_path / "unlabelled.csv")
    table(chosen).with_columns(label=pl.lit("clas 3")).write_csv(tmp_path / "other.csv")
    line = refused(capsys, tabled, tmp_path / "other.csv")
    assert (
        f"other.csv: line 2 is labelled 'clas 3', which is no class of {tabled}; did you mean 'class" in line
    )
    assert "--backbone x.onnx: is for images" in refused(
        capsys, tabled, tmp_path / "new.csv", "--backbone", "x.onnx"
    )


def test_seen_and_unseen_are_those_of_the_run(
    tabled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder with samples of unseen classes and no split: they stay unseen."""
    (tmp_path / "other").mkdir()
    described = {f"a{i}": DATA.semantics[:, i] for i in range(DATA.semantic_dim)}
    pl.DataFrame({"name": DATA.classes, **described}).write_csv(tmp_path / "other" / "classes.csv")
    table(DATA.test_unseen).write_csv(tmp_path / "other" / "features.csv")
    told, _ = scored(capsys, tabled, tmp_path / "other")
    assert told["S"] is None
    classifier = load_classifier(tabled)
    assert {*told["samples"]} == {classifier.classes[c] for c in classifier.unseen}
