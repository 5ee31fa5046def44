"""Labels that are written otherwise than their class, and validation parts, in a person's own table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.data.problem import Problem
from gsmflow.data.validation import validation_problem
from gsmflow.runs.add_classes import fitted_to
from gsmflow.sources import load

CLASSES = ("lo\u0308we", "ba\u0308r", "polar bear", "grizzly+bear", "Zebra", "horse")


def table(folder: Path, rows: list[tuple[str, str]], classes: tuple[str, ...] = CLASSES) -> np.ndarray:
    """Rows of (label, part) with drawn features; the features as they are written."""
    rng = np.random.default_rng(0)
    features = rng.random((len(rows), 3)).astype(np.float32)
    lines = [
        f"{label},{part},{','.join(map(str, x))}" for (label, part), x in zip(rows, features, strict=True)
    ]
    folder.mkdir()
    (folder / "features.csv").write_text("label,split,f0,f1,f2\n" + "\n".join(lines) + "\n", encoding="utf-8")
    described = [f"{name},{i},{i * i + 1}" for i, name in enumerate(classes)]
    (folder / "classes.csv").write_text("name,a,b\n" + "\n".join(described) + "\n", encoding="utf-8")
    return features


def read(folder: Path) -> Problem:
    return load(str(folder), data_root=folder.parent)


def test_labels_written_otherwise_are_the_same_classes(tmp_path: Path) -> None:
    written = ("l\u00f6we", "B\u00c4R", "polar\u00a0bear", "Grizzly Bear", "zebra")
    rows = [(label, part) for label in written for part in ("train", "train", "test")]
    features = table(tmp_path / "mine", rows)
    problem = read(tmp_path / "mine")
    assert problem.classes == ("l\u00f6we", "b\u00e4r", "polar bear", "grizzly+bear", "Zebra", "horse")
    np.testing.assert_array_equal(problem.features, features)
    assert problem.labels.tolist() == np.repeat(np.arange(5), 3).tolist()
    assert problem.unseen.tolist() == [5]
    note = (
        "4 written otherwise than their class: 'B\u00c4R' as 'b\u00e4r', 'polar\\xa0bear' as 'polar bear', "
    )
    assert problem.notes["names"] == note + "'Grizzly Bear' as 'grizzly+bear', 'zebra' as 'Zebra'"


def test_a_label_that_may_mean_two_classes(tmp_path: Path) -> None:
    table(tmp_path / "mine", [("HORSE", "train"), ("zebra", "train")], ("zebra", "Horse", "hoRse"))
    with pytest.raises(
        InputError, match=r"line 2 is labelled 'HORSE', which may mean 'Horse' or 'hoRse' in "
    ):
        read(tmp_path / "mine")


def test_two_classes_of_one_name(tmp_path: Path) -> None:
    table(tmp_path / "mine", [("a", "train")], ("a", "lo\u0308we", "l\u00f6we"))
    with pytest.raises(InputError, match="line 3 and line 4 are both named 'l\u00f6we'"):
        read(tmp_path / "mine")


def test_a_new_class_that_is_written_like_an_old_one(tmp_path: Path) -> None:
    table(tmp_path / "mine", [(name, "train") for name in CLASSES[:4]])
    with pytest.raises(InputError, match=r"class 'Polar_bear': there is a class 'polar bear' already"):
        fitted_to(read(tmp_path / "mine"), ["Polar_bear"], [[1.0, 2.0]])


def test_val_is_for_training(tmp_path: Path) -> None:
    names = CLASSES[2:]
    rows = [(name, part) for name in names for part in ("Train", "training", "valid", "TEST")]
    table(tmp_path / "mine", rows)
    problem = read(tmp_path / "mine")
    assert problem.train.tolist() == [i for i in range(16) if i % 4 < 3]
    assert problem.test_seen.tolist() == [3, 7, 11, 15]
    assert problem.validation_unseen is None
    assert "val is for training" in problem.notes["split"]


def test_classes_of_val_alone_play_unseen_in_validation(tmp_path: Path) -> None:
    part = ("train", "train", "train", "val", "val", "test")
    table(tmp_path / "mine", [(name, p) for name, p in zip(CLASSES, part, strict=True) for _ in range(3)])
    problem = read(tmp_path / "mine")
    assert problem.seen.tolist() == [0, 1, 2, 3, 4]
    assert problem.test_unseen.tolist() == [15, 16, 17]
    assert problem.validation_unseen is not None
    assert problem.validation_unseen.tolist() == [3, 4]
    inner = validation_problem(problem, seed=0)
    assert {inner.classes[c] for c in inner.unseen} == {"grizzly+bear", "Zebra"}


def test_val_is_tested_on_where_there_is_no_test(tmp_path: Path) -> None:
    table(tmp_path / "mine", [(name, part) for name in CLASSES for part in ("train", "train", "val")])
    problem = read(tmp_path / "mine")
    assert problem.test_seen.tolist() == [2, 5, 8, 11, 14, 17]
    assert "val is tested on, because there is no test" in problem.notes["split"]


def test_another_word_for_a_part(tmp_path: Path) -> None:
    table(tmp_path / "mine", [("Zebra", "train"), ("horse", "extra")])
    with pytest.raises(InputError, match="line 3 has split 'extra', expected train, val or test"):
        read(tmp_path / "mine")


def test_evaluate_matches_classes_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In another order and written otherwise: the same scores."""
    rows = [(name, part) for name in CLASSES[:5] for part in ("train", "train", "test")]
    rows.append((CLASSES[5], "test"))
    table(tmp_path / "mine", rows)
    run = [
        "train",
        str(tmp_path / "mine"),
        "--method",
        "eszsl",
        "--protocol",
        "last",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(run) == 0
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "mine", other)
    header, *lines = (other / "classes.csv").read_text(encoding="utf-8").splitlines()
    turned = [line.replace("polar bear", "Polar_Bear") for line in reversed(lines)]
    (other / "classes.csv").write_text("\n".join([header, *turned]) + "\n", encoding="utf-8")
    capsys.readouterr()
    said = []
    for folder in (tmp_path / "mine", other):
        assert main(["evaluate", str(tmp_path / "run"), str(folder), "--json"]) == 0
        captured = capsys.readouterr()
        said.append((json.loads(captured.out)["per_class"], captured.err))
    assert said[0] == (said[1][0], "")
    assert said[1][1] == "1 written otherwise than their class: 'Polar_Bear' as 'polar bear'\n"
    (other / "classes.csv").write_text("\n".join([header, *turned]).replace("horse", "cow"), encoding="utf-8")
    rows_file = other / "features.csv"
    rows_file.write_text(rows_file.read_text(encoding="utf-8").replace("horse", "cow"), encoding="utf-8")
    assert main(["evaluate", str(tmp_path / "run"), str(other)]) == 2
    assert "there is 'cow', which is no class of" in capsys.readouterr().err
