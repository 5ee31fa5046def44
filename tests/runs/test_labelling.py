"""Parts of tables and pictures to tables of labels, whatever the parts and wherever they are worked on."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.files.chunks import HeldPart, ParquetPart
from gsmflow.files.rows import Rows
from gsmflow.runs.folder import load_classifier
from gsmflow.runs.labelling import Labelling
from support.recipes import ARGUMENTS, PROBLEM, problem

DATA = problem()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelling") / "run"
    assert main(["train", PROBLEM, *ARGUMENTS, "--protocol", "last", "--out", str(folder)]) == 0
    return folder


def rows(count: int = 6, **said: object) -> Rows:
    return replace(Rows(DATA.features[DATA.test_seen[:count]], None, None, None), **said)  # type: ignore[arg-type]


def test_the_table_says_what_the_classifier_says(run: Path) -> None:
    classifier = load_classifier(run)
    given = rows()
    table = Labelling(run, Path("new.csv"), top=12).open()(HeldPart(0, given)).table
    probabilities = classifier.probabilities(given.features)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    names = np.array(classifier.classes)
    assert table["sample"].to_list() == list(range(6))
    assert table["class"].to_list() == names[order[:, 0]].tolist()
    assert table["class_12"].to_list() == names[order[:, 11]].tolist()
    for rank in range(12):
        column = "probability" if rank == 0 else f"probability_{rank + 1}"
        assert table[column].to_list() == probabilities[np.arange(6), order[:, rank]].tolist()
    assert table["unseen_class"].to_list() == np.isin(order[:, 0], classifier.unseen).tolist()
    unseen = probabilities[:, classifier.unseen].sum(axis=1)
    assert table["unseen_probability"].to_list() == pytest.approx(unseen.tolist(), abs=1e-12)


def test_columns_follow_what_is_known_and_asked(run: Path) -> None:
    known = rows(2, names=("a.png", "b.png"), labels=("x", "y"))
    plain = Labelling(run, Path("new.csv"), top=1).open()(HeldPart(0, known)).table
    ends = ["class", "unseen_class", "unseen_probability", "probability"]
    assert plain.columns == ["sample", "label", *ends]
    assert plain["sample"].to_list() == ["a.png", "b.png"]
    assert plain["label"].to_list() == ["x", "y"]
    unsure = Labelling(run, Path("new.csv"), top=99, unsure=1.0).open()(HeldPart(0, rows(2))).table
    assert unsure["unsure"].all()  # no probability is above 1
    assert len([column for column in unsure.columns if column.startswith("class")]) == len(DATA.classes)
    sure = Labelling(run, Path("new.csv"), unsure=0.0).open()(HeldPart(0, rows(2))).table
    assert not sure["unsure"].any()


def test_parts_are_numbered_on_and_say_the_same(run: Path) -> None:
    label = Labelling(run, Path("new.csv")).open()
    whole = label(HeldPart(0, rows(6))).table
    first, second = (
        label(HeldPart(start, replace(rows(6), features=rows(6).features[start:stop]))).table
        for start, stop in ((0, 4), (4, 6))
    )
    joined = pl.concat([first, second])
    assert joined["sample"].to_list() == whole["sample"].to_list() == list(range(6))
    assert joined["class"].to_list() == whole["class"].to_list()
    assert np.allclose(joined["probability"].to_numpy(), whole["probability"].to_numpy(), atol=1e-6)


def test_work_and_parts_travel(run: Path, tmp_path: Path) -> None:
    features = rows(5).features
    pl.DataFrame(features, schema=[f"f{d}" for d in range(10)]).write_parquet(tmp_path / "new.parquet")
    work, part = pickle.loads(
        pickle.dumps((Labelling(run, tmp_path), ParquetPart(2, tmp_path / "new.parquet", 2, 3)))
    )
    table = work.open()(part).table
    assert table["sample"].to_list() == [2, 3, 4]
    expected = load_classifier(run).probabilities(features)[2:].max(axis=1)
    assert np.allclose(table["probability"].to_numpy(), expected, atol=1e-6)


def test_float64_features_are_those_of_the_run(run: Path) -> None:
    label = Labelling(run, Path("new.csv")).open()
    wide = replace(rows(), features=rows().features.astype(np.float64))
    assert label(HeldPart(0, wide)).table.equals(label(HeldPart(0, rows())).table)


def test_what_cannot_be_labelled_is_refused(run: Path) -> None:
    label = Labelling(run, Path("new.csv")).open()
    with pytest.raises(InputError, match=r"new\.csv: 9 feature dimensions, but .*run was trained on 10"):
        label(HeldPart(0, replace(rows(), features=rows().features[:, :9])))
    far = rows().features.copy()
    far[3] = np.inf
    with pytest.raises(InputError, match=r"sample 13 \(counted from 0\) lies too far"):
        label(HeldPart(10, replace(rows(), features=far)))
    with pytest.raises(InputError, match="no such run folder"):
        Labelling(run.parent / "none", Path("new.csv")).open()
    empty = label(HeldPart(0, replace(rows(), features=np.zeros((0, 10), np.float32)))).table
    assert not len(empty)
