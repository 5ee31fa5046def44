"""A person's own data: the three file formats, given and drawn splits, and hostile files."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.files.rows import read_rows
from gsmflow.sources import load
from support.folders import table


def read(folder: Path, **options) -> Problem:
    return load(str(folder), data_root=folder.parent, **options)


def test_three_formats_give_the_same_problem(tmp_path: Path) -> None:
    for kind in ("csv", "parquet", "npz"):
        table(tmp_path / kind)
    rows = pl.read_csv(tmp_path / "csv" / "features.csv")
    features = rows.drop("label").to_numpy().astype(np.float32)
    rows.write_parquet(tmp_path / "parquet" / "features.parquet")
    np.savez(
        tmp_path / "npz" / "features.npz", features=features, labels=rows["label"].to_numpy().astype(str)
    )
    for kind in ("parquet", "npz"):
        (tmp_path / kind / "features.csv").unlink()
    first, *others = (read(tmp_path / kind) for kind in ("csv", "parquet", "npz"))
    assert first.classes == ("ant", "bee", "cat", "owl")
    assert first.unseen.tolist() == [3]
    np.testing.assert_allclose(first.features, features)
    for other in others:
        assert other.fingerprint == first.fingerprint


def test_a_given_split(tmp_path: Path) -> None:
    rows = "label,split,f0\nant,train,1\nant,test,2\nbee,train,3\nbee,test,4\nowl,test,5\nowl,test,6\n"
    table(tmp_path / "mine", rows)
    problem = read(tmp_path / "mine")
    assert problem.train.tolist() == [0, 2]
    assert problem.test_seen.tolist() == [1, 3]
    assert problem.test_unseen.tolist() == [4, 5]
    assert [problem.classes[c] for c in problem.unseen] == ["cat", "owl"]


def test_a_drawn_split_depends_on_the_seed_alone(tmp_path: Path) -> None:
    table(tmp_path / "mine")
    first, again, other = (read(tmp_path / "mine", seed=seed) for seed in (0, 0, 1))
    assert first.train.tolist() == again.train.tolist()
    assert first.train.tolist() != other.train.tolist()
    counts = np.bincount(first.labels[first.test_seen], minlength=3)
    assert counts.tolist() == [1, 1, 1]  # a fifth of six rows
    assert sorted([*first.train, *first.test_seen]) == list(range(18))


def test_other_files_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    table(folder)
    (folder / "clip.csv").write_text((folder / "features.csv").read_text().replace("f1", "clip"))
    (folder / "text.csv").write_text("name,a\nant,1\nbee,2\ncat,3\nowl,4\n")
    problem = read(folder, features="clip", semantics="text")
    assert problem.semantic_dim == 1
    assert "clip.csv" in problem.origins["features"]


def test_names_of_samples_are_no_features(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("name,f0,f1\na.jpg,1,2\nb.jpg,3,4\n")
    rows = read_rows(tmp_path / "new.csv")
    assert rows.features.tolist() == [[1, 2], [3, 4]]
    assert rows.labels is None
    assert rows.names == ("a.jpg", "b.jpg")


def test_a_file_from_a_spreadsheet_program(tmp_path: Path) -> None:
    """Byte order mark, CRLF, quoted names with commas, spaces around numbers, empty last line."""
    table(
        tmp_path / "mine",
        classes='\ufeffname,legs\r\n"owl, tawny", 2\r\nant,6 \r\nbee,7\r\n'.encode() + b"\r\n",
    )
    (tmp_path / "mine" / "features.csv").write_bytes(b"label,f0\r\nant,1\r\nant,2\r\nbee,3\r\n")
    problem = read(tmp_path / "mine")
    assert problem.classes == ("owl, tawny", "ant", "bee")
    assert problem.semantics.ravel().tolist() == [2, 6, 7]


def test_rows_are_named_as_an_editor_counts_lines(tmp_path: Path) -> None:
    table(tmp_path / "mine", "label,f0\nant,1\nbee,x\n")
    with pytest.raises(InputError, match="line 3, column 'f0' is 'x'"):
        read(tmp_path / "mine")
    with open(tmp_path / "mine" / "features.csv", newline="") as file:
        assert list(csv.reader(file))[3 - 1] == ["bee", "x"]


def test_a_header_that_promises_more_than_the_file_holds(tmp_path: Path) -> None:
    table(tmp_path / "mine")
    (tmp_path / "mine" / "features.csv").unlink()
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        array, {"descr": "<f4", "fortran_order": False, "shape": (1 << 30, 1 << 10)}
    )
    with zipfile.ZipFile(tmp_path / "mine" / "features.npz", "w") as archive:
        archive.writestr("features.npy", array.getvalue() + b"\0" * 64)
    with pytest.raises(InputError, match="holds less than its header says"):
        read(tmp_path / "mine")


def test_two_layouts_in_one_folder(tmp_path: Path) -> None:
    table(tmp_path / "mine")
    (tmp_path / "mine" / "features.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"features\.csv and features\.parquet are both there; keep one"):
        read(tmp_path / "mine")
