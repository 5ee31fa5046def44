"""The table of classes and their semantics, ``classes.csv`` or ``classes.npz``."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.files.class_names import clash, normal
from gsmflow.files.columns import is_truth_column, numbers, read_table, texts
from gsmflow.files.dialect import Dialect
from gsmflow.files.npz import read_npz
from gsmflow.files.roles import KEEP, indices, left_out_note, naming


def classes_csv(
    classes: tuple[str, ...], semantics: NDArray[np.float32], names: tuple[str, ...] | None
) -> bytes:
    """The content of a table of class names and semantics (C, A), which
    [`read_classes`][gsmflow.files.class_table.read_classes] reads back exactly.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *(names or (f"dimension {n + 1}" for n in range(semantics.shape[1])))])
    for name, row in zip(classes, semantics, strict=True):
        writer.writerow([name, *(str(value) for value in row)])
    return text.getvalue().encode()


@dataclass(frozen=True)
class ClassTable:
    """Classes and what describes them.

    Parameters
    ----------
    names : tuple[str, ...]
        C distinct class names.
    semantics : NDArray[np.float64]
        (C, A).
    dimensions : tuple[str, ...]
        A names.
    dialect : Dialect | None
        How the .csv file is written.
    note : str
        Which columns are not dimensions, and how to keep them; empty if all are.
    truths : tuple[str, ...]
        Dimensions that are written as yes and no, which became 1 and 0.
    """

    names: tuple[str, ...]
    semantics: NDArray[np.float64]
    dimensions: tuple[str, ...]
    dialect: Dialect | None
    note: str = ""
    truths: tuple[str, ...] = ()


def read_classes(path: Path) -> tuple[tuple[str, ...], NDArray[np.float32], tuple[str, ...]]:
    """Class names, semantics (C, A) and names of their dimensions, from all columns of a table that a run wrote.

    Raises
    ------
    InputError
        The same errors as in [`read_class_table`][gsmflow.files.class_table.read_class_table].
    """
    table = read_class_table(path, whole=True)
    return table.names, table.semantics.astype(np.float32), table.dimensions


def read_class_table(path: Path, wanted: Collection[str] = (), *, whole: bool = False) -> ClassTable:
    """A table such as ``classes.csv``.

    Parameters
    ----------
    path : Path
        The .csv or .parquet file; or an .npz file with an array ``semantics`` (C, A) and, unless the classes are called
        0, 1, ..., C - 1, an array ``names`` (C,).
    wanted : Collection[str]
        Dimensions that are never treated as an index.
    whole : bool
        Treat no column as an index.

    Raises
    ------
    InputError
        The file is missing or damaged, no column names the classes, two classes have the same name, or a cell is not
        a finite number.
    """
    if path.suffix == ".npz":
        return _of_arrays(path)
    table = read_table(path)
    called = naming(table)
    left_out = {} if whole else indices(table, {*wanted, called})
    classes = tuple(map(normal, texts(table, called)))
    if pair := clash(classes):
        first, second = map(table.place, pair)
        raise InputError(f"{path}: {first} and {second} are both named '{classes[pair[0]]}'; remove one")
    dimensions = [column for column in table.columns if column not in left_out and column != called]
    said = [column for column in dimensions if is_truth_column(table, column)]
    return ClassTable(
        classes,
        numbers(table, dimensions, left_out, of="semantics").astype(np.float64),
        tuple(column if whole else column.removeprefix(KEEP) for column in dimensions),
        table.dialect,
        left_out_note(left_out),
        tuple(said),
    )


def _of_arrays(path: Path) -> ClassTable:
    arrays = read_npz(path, ("semantics", "names"))
    semantics = arrays["semantics"]
    if semantics.ndim != 2 or 0 in semantics.shape or semantics.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: semantics: shape {semantics.shape} of {semantics.dtype}, expected a matrix of numbers with one "
            "row a class"
        )
    values = semantics.astype(np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if bad.size:
        row, column = (int(index) for index in bad[0])
        raise InputError(
            f"{path}: semantics: row {row + 1}, column {column + 1} is {values[row, column]}, expected a finite number"
        )
    given = arrays.get("names", np.arange(len(values)))
    if given.shape != (len(values),) or given.dtype.kind not in "iuU":
        raise InputError(
            f"{path}: names: shape {given.shape} of {given.dtype}, expected {len(values)} texts, one a row of "
            "semantics; save them with numpy.array(list_of_str)"
        )
    classes = tuple(normal(str(name)) for name in given)
    if pair := clash(classes):
        raise InputError(
            f"{path}: names: rows {pair[0] + 1} and {pair[1] + 1} are both '{classes[pair[0]]}'; remove one"
        )
    if "" in classes:
        raise InputError(f"{path}: names: row {classes.index('') + 1} is empty; name the class")
    return ClassTable(classes, values, tuple(f"d{d}" for d in range(values.shape[1])), None)
