"""Columns of numbers and texts from .csv and .parquet files. Error messages name the cell."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.files.cell_values import advice, is_truth, numbers_in
from gsmflow.files.checksums import check
from gsmflow.files.csv_table import read_csv
from gsmflow.files.dialect import Dialect
from gsmflow.files.guard import check_unpacked, first_bytes, literal

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")
MOST = float(np.finfo(np.float32).max)
_SECOND_HEADER = "the line holds no number, so remove it if it is a second header, such as one of units"
_EXACT = 2.0**53  # beyond it float64 does not hold every whole number


@dataclass(frozen=True)
class Table:
    """Rows of a table, and where each one is in its file.

    Parameters
    ----------
    path : Path
        The file it was read from.
    frame : pl.DataFrame
        The rows: texts from a .csv file, where an empty cell is an empty text; the values of a .parquet file
        with their types.
    dialect : Dialect | None
        How a .csv file is written.
    lines : NDArray[np.int64] | None
        (N,) line of a .csv file on which a row begins.
    first : int
        The number of the first row in a .parquet file, from 0.
    index : frozenset[str]
        Columns that pandas wrote as the index of a data frame.
    """

    path: Path
    frame: pl.DataFrame
    dialect: Dialect | None = None
    lines: NDArray[np.int64] | None = None
    first: int = 0
    index: frozenset[str] = frozenset()

    @property
    def columns(self) -> list[str]:
        """Distinct names, in their order."""
        return self.frame.columns

    def __len__(self) -> int:
        return len(self.frame)

    def place(self, row: int) -> str:
        """How a person finds a row (from 0): ``line 2`` of a .csv file, ``row 1`` of others."""
        return place_of(self.lines, self.first + row if self.lines is None else row)


def place_of(lines: NDArray[np.int64] | None, row: int) -> str:
    """How a person finds a row (from 0): by its line, if the file has lines.

    >>> place_of(None, 0), place_of(np.array([2, 3]), 0)
    ('row 1', 'line 2')
    """
    return f"row {row + 1}" if lines is None else f"line {lines[row]}"


def read_table(path: Path) -> Table:
    """A .csv file in any dialect as texts, or a .parquet file as it is; column names are distinct, and there are rows.

    Raises
    ------
    InputError
        The file is missing, damaged, ragged, can be read in two ways, has no rows, or names a column twice.
    """
    import polars as pl

    first_bytes(check(path), 1)
    if path.suffix == ".parquet":
        parquet_shape(path)
        frame = _guarded(path, lambda: pl.read_parquet(literal(path), glob=False))
        table = Table(path, frame, index=_index_of(path))
    else:
        table = Table(path, *read_csv(path))
    if not len(table):
        raise InputError(f"{path}: has no rows")
    return table


def parquet_shape(path: Path) -> tuple[int, list[str]]:
    """The number of rows of a .parquet file, and its columns; nothing else is read.

    Raises
    ------
    InputError
        The file is missing, damaged, without rows, or unpacks to more than the limit.
    """
    import polars as pl

    first_bytes(path, 1)
    rows = _guarded(
        path, lambda: pl.scan_parquet(literal(path), glob=False).select(pl.len()).collect().item()
    )
    # Not pl.read_parquet_schema, which treats a path as a pattern.
    columns = list(_guarded(path, lambda: pl.scan_parquet(literal(path), glob=False).collect_schema()))
    check_unpacked(path, 4 * rows * len(columns))
    if not rows:
        raise InputError(f"{path}: has no rows")
    return rows, columns


def parquet_rows(path: Path, start: int, count: int) -> Table:
    """Rows start, ..., start + count - 1 of a .parquet file; other rows are not kept in memory.

    Raises
    ------
    InputError
        The file is missing or damaged.
    """
    import polars as pl

    first_bytes(path, 1)
    some = pl.scan_parquet(literal(path), glob=False, low_memory=True).slice(start, count)
    table = _guarded(path, lambda: some.collect())
    if len(table) != count:
        raise InputError(f"{path}: ends before row {start + count}; it was changed or cut short")
    return Table(path, table, first=start, index=_index_of(path))


def _index_of(path: Path) -> frozenset[str]:
    """Columns that pandas marked as the index in a .parquet file; none if another program wrote the file."""
    import polars as pl

    try:
        with open(path, "rb") as file:
            noted = json.loads(pl.read_parquet_metadata(file).get("pandas", "{}"))
        return frozenset(name for name in noted["index_columns"] if isinstance(name, str))
    except (Exception, pl.exceptions.PanicException):  # a damaged mark is ignored
        return frozenset()


def texts(table: Table, column: str) -> tuple[str, ...]:
    """A column of texts, none of them empty.

    Raises
    ------
    InputError
        An empty cell.
    """
    import polars as pl

    values = _guarded(table.path, table.frame[column].cast, pl.String).to_list()
    for row, value in enumerate(values):
        if value is None or not value.strip():
            what_to_do = _fill_in(table, row)
            empty = sum(other is None or not other.strip() for other in values)
            if row and empty > len(values) / 2:
                what_to_do += "; where cells were merged, write the text into every row"
            raise InputError(f"{table.path}: {table.place(row)}, column '{column}' is empty; {what_to_do}")
    return tuple(values)


def numbers(
    table: Table, columns: Sequence[str], left_out: Collection[str] = (), *, of: str = "features"
) -> NDArray[np.float32] | NDArray[np.float64]:
    """Columns as a matrix (rows, columns): float32 if it holds every value of the columns' types, else float64.

    Parameters
    ----------
    table : Table
        The table.
    columns : Sequence[str]
        The columns to read.
    left_out : Collection[str]
        Other columns, which the message names if there are no columns to read.
    of : str
        What they hold, for messages: ``features`` or ``semantics``.

    Raises
    ------
    InputError
        There are no such columns, or a cell is empty, not a number, NaN, infinite or beyond float32; it is
        named by its place, see [`place`][gsmflow.files.columns.Table.place], and column.
    """
    import polars as pl

    if not columns:
        what = f"left out {listed(list(left_out))} of" if left_out else "found only"
        raise InputError(f"{table.path}: no columns of {of}; {what} {listed(table.columns)}")
    short = {pl.Float32, pl.Boolean, pl.Int8, pl.Int16, pl.UInt8, pl.UInt16}
    shape = len(table), len(columns)
    is_short = {table.frame[column].dtype for column in columns} <= short
    values = np.empty(shape, np.float32) if is_short else np.empty(shape, np.float64)
    for index, column in enumerate(columns):
        exact = as_numbers(table, column)
        values[:, index] = exact
        bad = np.flatnonzero(~(np.abs(values[:, index]) <= MOST))
        if bad.size:
            _refuse_texts(table, columns[index:], of)
            raise InputError(_not_a_number(table, column, int(bad[0]), of, whole=bad.size == len(table)))
        if not is_short:
            _refuse_long(table, column, exact)
    return values


def as_numbers(table: Table, column: str) -> NDArray[np.float64]:
    """A column (rows,) of numbers, with NaN where a cell is not a number.

    Raises
    ------
    InputError
        The column holds neither numbers nor texts, but for example dates.
    """
    import polars as pl

    series = table.frame[column]
    if series.dtype == pl.String:
        return numbers_in(series, table.dialect.decimal if table.dialect else ".").to_numpy()
    if not (series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null)):
        what = str(series.dtype).partition("(")[0].lower()
        remedy = (
            "; write one column a dimension, or save the vectors as the array 'features' of an .npz file"
            if series.dtype.is_nested()
            else ""
        )
        raise InputError(f"{table.path}: column '{column}' is of type {what}, expected numbers{remedy}")
    return series.cast(pl.Float64, strict=False).to_numpy()


def is_truth_column(table: Table, column: str) -> bool:
    """Whether a column is written in words for yes and no, which become 1 and 0."""
    import polars as pl

    return table.frame[column].dtype == pl.String and is_truth(table.frame[column])


def _refuse_long(table: Table, column: str, values: NDArray[np.float64]) -> None:
    """Refuse whole numbers that float64 does not hold to the last digit, such as identifiers of 64 bits."""
    series = table.frame[column]
    if series.dtype.is_float():
        return
    for row in np.flatnonzero(np.abs(values) > _EXACT):
        cell = str(series[int(row)]).strip()
        if cell.lstrip("+-").isdecimal() and int(cell) != int(values[row]):
            raise InputError(
                f"{table.path}: {table.place(int(row))}, column '{column}' is {cell}, which has more digits than a "
                "number of 64 bits keeps; subtract a constant from the column, or leave it out if it is an identifier"
            )


def _refuse_texts(table: Table, columns: Sequence[str], of: str) -> None:
    """Refuse several columns of features without any number in one message."""
    import polars as pl

    if of != "features" or len(table) < 2:
        return
    texts_alone = [
        column
        for column in columns
        if table.frame[column].dtype == pl.String and np.isnan(as_numbers(table, column)).all()
    ]
    if len(texts_alone) > 1:
        shown = [f"'{column}' ('{str(table.frame[column][0])[:20]}')" for column in texts_alone]
        raise InputError(
            f"{table.path}: {len(texts_alone)} columns hold no numbers: {listed(shown)}; name the one that has the "
            "class of each row 'label', one that has a name of its own for each row 'name', and remove the others"
        )


def _not_a_number(table: Table, column: str, row: int, of: str, *, whole: bool) -> str:
    cell = table.frame[column][row]
    where = f"{table.path}: {table.place(row)}, column '{column}'"
    if cell is None or not str(cell).strip():
        return f"{where} is empty; {_fill_in(table, row)}"
    shown = f"{where} is '{str(cell)[:40]}', expected a finite number"
    if len(table.columns) == 1 and len(column.split()) == len(str(cell).split()) > 1:
        return f"{shown}; separate cells by commas, semicolons, tabs or bars, not by spaces"
    if table.dialect and table.dialect.decimal == "," and "." in str(cell) and "," not in str(cell):
        return f"{shown} with a decimal comma, as others in this file have; write all in one way"
    if what_to_do := advice(str(cell)):
        return f"{shown}; {what_to_do}"
    if (
        _is_number(str(cell), table.dialect.decimal if table.dialect else ".")
        and "inf" not in str(cell).lower()
    ):
        return f"{shown} within +-3.4e38; divide the column by a constant, or correct the value"
    if whole and len(table) > 1:
        remedy = "remove the column"
        remedy += (
            ", or name it label, split or name if it is that"
            if of == "features"
            else "; `gsmflow describe` makes semantics of sentences"
        )
        return f"{shown} as in every column of {of}; {remedy}"
    if _is_second_header(table, row):
        return f"{shown}; {_SECOND_HEADER}"
    return f"{shown}; correct it or remove the row"


def _fill_in(table: Table, row: int) -> str:
    """What to do about an empty cell of a row."""
    return _SECOND_HEADER if _is_second_header(table, row) else "fill it in or remove the row"


def _is_second_header(table: Table, row: int) -> bool:
    """Whether a row is the first one of a .csv file and holds no number, where the next one does."""
    if row or len(table) < 2 or table.dialect is None:
        return False
    holds = [
        any(_is_number(cell, table.dialect.decimal) for cell in table.frame.row(index)) for index in (0, 1)
    ]
    return holds == [False, True]


def _is_number(cell: str, decimal: str) -> bool:
    try:
        return not math.isnan(float(cell.replace(decimal, ".")))
    except ValueError:
        return False


def _guarded(path: Path, read: Callable[..., T], *arguments: Any) -> T:
    """What `read` returns; polars' errors about damaged files become one line."""
    import polars as pl

    try:
        return read(*arguments)
    except InputError:
        raise
    # A damaged parquet file can make polars panic, which is not an Exception.
    except (Exception, pl.exceptions.PanicException) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{path}: not readable as {path.suffix} ({reason[0][:120]}); write it anew"
        ) from None
