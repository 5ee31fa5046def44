"""A table of features with labels, names and split, in any of its file formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.files.checksums import check
from gsmflow.files.columns import MOST, Table, is_truth_column, numbers, place_of, read_table, texts
from gsmflow.files.dialect import Dialect
from gsmflow.files.endings import remedy_of_ending
from gsmflow.files.feature_store import is_mapped, open_matrix
from gsmflow.files.narrowing import single
from gsmflow.files.npz import read_npz
from gsmflow.files.roles import refuse_shuffled, roles_of

ENDINGS = (".npz", ".npy", ".csv", ".parquet")


@dataclass(frozen=True)
class Rows:
    """A table of features (N, D), with the label, split and name of each row if the table has them.

    Parameters
    ----------
    features : NDArray[np.float32] | NDArray[np.float64]
        (N, D) finite numbers as they are in the file, in float64 if float32 may not hold them.
    labels : tuple[str, ...] | None
        Class name of each row; None without a column of labels.
    split : tuple[str, ...] | None
        ``train`` or ``test`` for each row; None without such a column.
    names : tuple[str, ...] | None
        Name of each row, usually the path of its image; None without such a column.
    backbone : dict[str, Any] | None
        How the features were computed from images, see [`gsmflow.images`][gsmflow.images]; None if that is not
        known.
    lines : NDArray[np.int64] | None
        (N,) line of the file on which a row begins; None if the file has no lines.
    dialect : Dialect | None
        How a .csv file is written.
    columns : tuple[str, ...] | None
        D names of the features; None if they have no names.
    note : str
        Which columns are not features, and how to keep them; empty if all are.
    truths : tuple[str, ...]
        Features that are written as yes and no, which became 1 and 0.
    """

    features: NDArray[np.float32] | NDArray[np.float64]
    labels: tuple[str, ...] | None
    split: tuple[str, ...] | None
    names: tuple[str, ...] | None
    backbone: dict[str, Any] | None = None
    lines: NDArray[np.int64] | None = None
    dialect: Dialect | None = None
    columns: tuple[str, ...] | None = None
    note: str = ""
    truths: tuple[str, ...] = ()

    def place(self, row: int) -> str:
        """How a person finds a row (from 0) in the file: ``line 2``, or ``row 1`` if the file has no lines."""
        return place_of(self.lines, row)


def read_rows(path: Path, wanted: Sequence[str] | None = None) -> Rows:
    """Read a table of features with label, split and name of each row.

    Parameters
    ----------
    path : Path
        The .npz, .csv, .parquet or .npy file.
    wanted : Sequence[str] | None
        Names of the features that a run was trained on; if the table has names, columns are looked up by
        name.

    Raises
    ------
    InputError
        The file is missing, damaged, of an unknown kind, or has a cell that is not a finite number.
    """
    if path.suffix == ".npz":
        return _rows_of_npz(path)
    if path.suffix == ".npy":
        return _rows_of_store(path)
    if path.suffix not in ENDINGS:
        what_to_do = remedy_of_ending(path)
        raise InputError(
            f"{path}: ends in '{path.suffix}', expected .npz, .npy, .csv or .parquet"
            + (f"; {what_to_do}" if what_to_do else "")
        )
    return rows_of_table(read_table(path), wanted)


def rows_of_table(table: Table, wanted: Sequence[str] | None = None) -> Rows:
    """Divide a table's columns into features, labels, split and names.

    Raises
    ------
    InputError
        A cell is empty, or not a finite number where one is expected; or a wanted feature is missing, or there
        are other features.
    """
    roles = roles_of(table, wanted)
    given = {role: texts(table, column) for role, column in roles.said.items()}
    return Rows(
        numbers(table, tuple(roles.features.values()), roles.left_out),
        given.get("label"),
        given.get("split"),
        given.get("name"),
        lines=table.lines,
        dialect=table.dialect,
        columns=tuple(roles.features),
        note=roles.note,
        truths=tuple(name for name, column in roles.features.items() if is_truth_column(table, column)),
    )


def _rows_of_store(path: Path) -> Rows:
    """Features of a feature store, mapped, or of any other matrix of numbers; with labels, split and names from the
    table beside it.
    """
    features = open_matrix(check(path))
    if not is_mapped(features):
        _check_numbers(path, "", features)
    beside = [path.with_suffix(f".rows{ending}") for ending in (".parquet", ".csv")]
    tables = [file for file in beside if file.exists()]
    if not tables:
        return Rows(features, None, None, None)
    table = read_table(tables[0])
    if len(table) != len(features):
        raise InputError(
            f"{tables[0]}: {len(table)} rows, but {path} has {len(features)}; the two belong to different stores"
        )
    refuse_shuffled(table)
    given = {role: texts(table, column) for role, column in roles_of(table).said.items()}
    return Rows(
        features,
        given.get("label"),
        given.get("split"),
        given.get("name"),
        lines=table.lines,
        dialect=table.dialect,
    )


def _rows_of_npz(path: Path) -> Rows:
    arrays = read_npz(path, ("features", "labels", "split", "names", "backbone"))
    features = arrays["features"]
    if features.ndim != 2 or 0 in features.shape or features.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: features: shape {features.shape} of {features.dtype}, expected a matrix of numbers "
            "with one row a sample"
        )
    rows = features if features.dtype.itemsize >= 4 else single(features)
    _check_numbers(path, "features: ", rows)
    said = [_texts_of_npz(path, arrays, name, rows.shape) for name in ("labels", "split", "names")]
    return Rows(rows, *said, backbone=_backbone_of_npz(path, arrays))


def _check_numbers(path: Path, what: str, features: NDArray[Any]) -> None:
    """Refuse a value that is not finite, or is not in float32, by its place."""
    for start in range(0, len(features), 4096):
        some = features[start : start + 4096].astype(np.float64)
        bad = np.argwhere(~(np.abs(some) <= MOST))
        if bad.size:
            row, column = int(bad[0][0]) + start, int(bad[0][1])
            raise InputError(
                f"{path}: {what}row {row + 1}, column {column + 1} is {features[row, column]}, expected "
                "a finite number; correct it or remove the row"
            )


def _backbone_of_npz(path: Path, arrays: dict[str, NDArray]) -> dict[str, Any] | None:
    if "backbone" not in arrays:
        return None
    try:
        described = json.loads(str(arrays["backbone"]))
    except ValueError:
        described = None
    if not isinstance(described, dict):
        raise InputError(f"{path}: backbone: expected one text of JSON; make it with `gsmflow extract`")
    return described


def _texts_of_npz(
    path: Path, arrays: dict[str, NDArray], name: str, shape: tuple[int, ...]
) -> tuple[str, ...] | None:
    if name not in arrays:
        return None
    array, rows = arrays[name], shape[0]
    if array.ndim == 2 and 1 in array.shape and array.size == rows:  # a column, as MATLAB has it
        array = array.reshape(rows)
    if array.ndim == 2 and array.shape[0] == rows:
        raise InputError(
            f"{path}: {name}: shape {array.shape}, expected ({rows},); save the number of the class of each row, "
            "such as by array.argmax(axis=1)"
        )
    if array.shape != (rows,) and array.shape == shape[1:]:
        raise InputError(
            f"{path}: {name}: shape {array.shape}, but there are {rows} rows of {shape[1]} features; save "
            "features.T if each column is a sample"
        )
    if array.dtype.kind == "f" and name == "labels" and np.isfinite(array).all() and (array % 1 == 0).all():
        array = array.astype(np.int64)
    if array.dtype.kind in "iu" and name != "split":  # numbers of classes become their names
        array = array.astype(str)
    elif array.dtype.kind == "S":
        with suppress(UnicodeDecodeError):
            array = np.char.decode(array.astype(np.bytes_), "utf-8")
    if array.dtype.kind != "U":
        raise InputError(
            f"{path}: {name}: values of type {array.dtype}, expected texts; save them with "
            "numpy.array(list_of_str)"
        )
    if array.shape != (rows,):
        raise InputError(f"{path}: {name}: shape {array.shape}, expected ({rows},), one a row of features")
    values = tuple(map(str, array))
    for row, value in enumerate(values):
        if not value.strip():
            raise InputError(f"{path}: {name}: row {row + 1} is empty; fill it in or remove the row")
    return values
