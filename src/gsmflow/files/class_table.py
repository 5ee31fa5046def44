"""The table of classes and their semantics, ``classes.csv``."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.files.columns import numbers, read_table, row_number, texts

if TYPE_CHECKING:
    pass


def classes_csv(
    classes: tuple[str, ...], semantics: NDArray[np.float32], names: tuple[str, ...] | None
) -> bytes:
    """What [`read_classes`][gsmflow.files.class_table.read_classes] reads back: class names and semantics (C,
    A), exactly as they are.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *(names or (f"dimension {n + 1}" for n in range(semantics.shape[1])))])
    for name, row in zip(classes, semantics, strict=True):
        writer.writerow([name, *(str(value) for value in row)])
    return text.getvalue().encode()


def read_classes(path: Path) -> tuple[tuple[str, ...], NDArray[np.float32], tuple[str, ...]]:
    """Class names, semantics (C, A) and names of their dimensions of a table such as ``classes.csv``.

    Raises
    ------
    InputError
        The file is missing or damaged, its first column is not ``name``, two classes have the same name, or a
        cell is not a finite number.
    """
    table = read_table(path)
    if table.columns[0] != "name":
        raise InputError(
            f"{path}: the first column is '{table.columns[0]}', expected 'name', then one column a semantic "
            "dimension, separated by commas"
        )
    classes = texts(path, table, "name")
    row_of: dict[str, int] = {}
    for row, name in enumerate(classes):
        if row_of.setdefault(name, row) != row:
            first, second = row_number(path, row_of[name]), row_number(path, row)
            raise InputError(f"{path}: rows {first} and {second} are both named '{name}'; remove one")
    return classes, numbers(path, table, table.columns[1:]), tuple(table.columns[1:])
