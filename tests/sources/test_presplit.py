"""The pre-split layout of the authors' CUB and FLO folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from gsmflow.base.errors import InputError
from gsmflow.sources import load, survey
from support.folders import Arrays, presplit


def read(folder: Path):
    return load(str(folder), data_root=folder.parent)


def test_parts_follow_each_other(tmp_path: Path) -> None:
    presplit(tmp_path / "mine")
    data = loadmat(tmp_path / "mine" / "data.mat")
    problem = read(tmp_path / "mine")
    stored = {"train": "train_fea", "test_seen": "test_seen_fea", "test_unseen": "test_unseen_fea"}
    for part, variable in stored.items():
        rows = problem.features[getattr(problem, part)]
        np.testing.assert_array_equal(rows, data[variable].astype(np.float32))
    assert problem.labels[problem.train].tolist() == np.repeat([0, 1, 2, 3], 8).tolist()
    assert problem.unseen.tolist() == [4, 5]
    assert problem.classes == tuple(f"class {n}" for n in range(1, 7))
    assert problem.notes["dropped_classes"] == "1 without images: class 7"


CONTRADICTIONS: dict[str, tuple[Callable[[Arrays], object], Callable[[Arrays], object], str]] = {
    "semantics of a sample": (lambda d: d["att_train"].__setitem__((3, 0), 9.0), id, "att_train: row 4"),
    "an unseen class among the seen": (lambda d: d.update(seen_pro=d["attribute"]), id, "seen_pro: row 5"),
    "a missing prototype": (
        lambda d: d.update(unseen_pro=d["attribute"][4:5]),
        id,
        "unseen_pro: lacks row 6",
    ),
    "renumbering": (
        id,
        lambda lab: lab["train_label_new"].__setitem__((0, 0), 3),
        "train_label_new: class 1 goes with",
    ),
    "labels of another file": (
        id,
        lambda lab: lab.update(train_idx=lab["train_idx"][:-1]),
        "expected 31 samples",
    ),
    "an index beyond the classes": (
        id,
        lambda lab: lab["train_idx"].__setitem__((0, 0), 8),
        "train_idx: entry 1 is 8",
    ),
    "index 0": (
        id,
        lambda lab: lab["test_unseen_idex"].__setitem__((2, 0), 0),
        "test_unseen_idex: entry 3 is 0",
    ),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_contradictions_are_refused(case: str, tmp_path: Path) -> None:
    data, label, words = CONTRADICTIONS[case]
    presplit(tmp_path / "mine", data, label)
    with pytest.raises(InputError, match=words):
        read(tmp_path / "mine")


def test_one_file_without_the_other(tmp_path: Path) -> None:
    presplit(tmp_path / "mine")
    (tmp_path / "mine" / "label.mat").unlink()
    with pytest.raises(InputError, match=r"label\.mat: no such file"):
        read(tmp_path / "mine")


def test_it_is_found_by_name_and_counted(tmp_path: Path) -> None:
    presplit(tmp_path / "CUB")
    assert load("cub", data_root=tmp_path).name == "CUB"
    known = {k.name: k for k in survey(tmp_path)}["CUB"]
    assert (known.found, known.kind, known.counts["train"], known.counts["unseen"]) == (
        True,
        "presplit",
        32,
        2,
    )
