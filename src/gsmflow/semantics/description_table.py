"""From a CSV that describes classes to the CSV of their semantics.

The input has a column ``name`` and further columns, all numbers (attributes) or all texts (sentences), or no further
column. A class may have several columns of sentences and several rows. The output has ``name`` and one column for each
dimension, as ``classes.csv`` in own data ([`gsmflow.sources.table`][gsmflow.sources.table]).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import instead_of
from gsmflow.files.atomic import write_bytes
from gsmflow.files.class_names import clash, normal
from gsmflow.files.columns import Table, is_truth_column, numbers, read_table, texts
from gsmflow.files.missing import no_such
from gsmflow.files.roles import indices, left_out_note, naming
from gsmflow.files.semantic_origin import write_origin
from gsmflow.semantics.names import read_lines, split_names


@dataclass(frozen=True)
class Described:
    """What a table says about classes: attributes, sentences, or nothing but their names.

    Parameters
    ----------
    names : tuple[str, ...]
        C class names, in order of appearance.
    columns : tuple[str, ...]
        The columns that describe the classes.
    attributes : NDArray[np.float64] | None
        (C, columns) numbers; None if there are sentences or names alone.
    sentences : tuple[tuple[str, ...], ...] | None
        The sentences of each class; None if there are attributes or names alone.
    note : str
        Which columns were left out, and how to keep them; empty if none was.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    attributes: NDArray[np.float64] | None = None
    sentences: tuple[tuple[str, ...], ...] | None = None
    note: str = ""


def read_described(path: Path, columns: tuple[str, ...] = (), *, as_text: bool | None = None) -> Described:
    """Read what a CSV says about classes.

    Parameters
    ----------
    path : Path
        The CSV file, or a .txt file with one name a line.
    columns : tuple[str, ...]
        The columns to use; empty: all but ``name``.
    as_text : bool | None
        Whether columns hold sentences and not attributes; None: they hold attributes if one of them has a number.

    Raises
    ------
    InputError
        The file is missing or damaged, has no column ``name`` or lacks a wanted column; a class has no sentence, or
        several rows of attributes (or of names alone); or an attribute is not a number.
    """
    if path.suffix.lower() == ".txt":
        return Described(read_lines(path), ())
    table = read_table(path)
    called = naming(table)
    left_out = indices(table, {*columns, called})
    others = [column for column in table.columns if column != called and column not in left_out]
    for column in columns:
        if column not in others:
            raise InputError(f"{path}: no column '{column}'; {instead_of(column, others)}")
    chosen = tuple(columns) or tuple(others)
    rows = tuple(map(normal, texts(table, called)))
    if not chosen:
        if pair := clash(rows):
            one, other = map(table.place, pair)
            raise InputError(f"{path}: {one} and {other} are both named '{rows[pair[0]]}'; remove one")
        return Described(rows, ())
    if as_text is None:
        as_text = not any(_has_number(table, column) for column in chosen)
    if as_text:
        return replace(_sentences(table, rows, chosen), note=left_out_note(left_out))
    first: dict[str, int] = {}
    for row, name in enumerate(rows):
        if first.setdefault(name, row) != row:
            raise InputError(
                f"{path}: {table.place(first[name])} and {table.place(row)} are both named "
                f"'{name}'; give a class one row of attributes"
            )
    try:
        values = numbers(table, chosen, of="semantics").astype(np.float64)
    except InputError as error:
        if not str(error).endswith(("correct it or remove the row", "of sentences")):
            raise
        raise InputError(str(error), remedy="for sentences, name an `encoder`") from None
    return Described(rows, chosen, attributes=values, note=left_out_note(left_out))


def source_of(classes: str) -> tuple[Path | None, tuple[str, ...]]:
    """What the user means by `classes`: a file that describes them, or names with commas between them.

    Raises
    ------
    InputError
        There is no such file, or a name is empty or occurs twice.
    """
    file = Path(classes)
    if file.is_file():
        return file, ()
    if file.suffix.lower() in (".csv", ".txt", ".parquet") or "/" in classes:
        raise InputError(
            f"{classes}: {no_such(classes)}",
            parameter="classes",
            remedy="name a file of classes, or write zebra,okapi",
        )
    return None, split_names(classes)


def names_in(classes: str) -> tuple[str, ...]:
    """The names that `classes` stands for: the names in a file, or names with commas between them.

    Raises
    ------
    InputError
        There is no such file, the file is damaged, or a name is empty or occurs twice.
    """
    file, names = source_of(classes)
    return names if file is None else read_described(file).names


def _has_number(table: Table, column: str) -> bool:
    """Whether a cell of a column is a number: then all cells are meant to be numbers."""
    import polars as pl

    if is_truth_column(table, column):
        return True
    return any(_is_number(cell) for cell in table.frame[column].cast(pl.String).drop_nulls())


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().replace(",", "."))
    except ValueError:
        return False
    return True


def _sentences(table: Table, rows: tuple[str, ...], columns: tuple[str, ...]) -> Described:
    import polars as pl

    said: dict[str, list[str]] = {name: [] for name in rows}
    for column in columns:
        for name, cell in zip(rows, table.frame[column].cast(pl.String).to_list(), strict=True):
            if cell and cell.strip():
                said[name].append(" ".join(cell.split()))
    for row, name in enumerate(rows):
        if not said[name]:
            raise InputError(
                f"{table.path}: {table.place(row)}: class '{name}' has no sentence; write one that describes it"
            )
    names = tuple(said)
    return Described(names, columns, sentences=tuple(tuple(said[name]) for name in names))


def write_semantics(
    out: Path,
    names: tuple[str, ...],
    columns: tuple[str, ...],
    vectors: NDArray[np.float32],
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Write semantics (C, A) as CSV, atomically; float32 values are read back exactly.

    Parameters
    ----------
    out : Path
        The .csv file.
    names : tuple[str, ...]
        C class names.
    columns : tuple[str, ...]
        A names of dimensions.
    vectors : NDArray[np.float32]
        (C, A).
    origin : Mapping[str, Any] | None
        How the semantics were made; it is written beside the file
        ([`write_origin`][gsmflow.files.semantic_origin.write_origin]).

    Raises
    ------
    InputError
        Two classes have the same vector, so that they cannot be distinguished, or the vector of a class is all zero.
    """
    known: dict[bytes, str] = {}
    for name, vector in zip(names, vectors, strict=True):
        if not vector.any():
            raise InputError(f"class '{name}' is all zero; describe it by something")
        other = known.setdefault((vector + 0.0).tobytes(), name)  # -0.0 is 0.0
        if other != name:
            raise InputError(f"classes '{other}' and '{name}' are described alike; add what tells them apart")
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("name", *columns))
    lines.writerows((name, *map(str, row)) for name, row in zip(names, vectors, strict=True))
    write_bytes(out, text.getvalue().encode())
    write_origin(out, origin)
