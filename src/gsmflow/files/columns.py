"""Columns of numbers and texts out of .csv, .parquet and .npz files, every bad cell named."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.files.checksums import check
from gsmflow.files.guard import check_unpacked, first_bytes, is_pickle, literal

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")

# -- tables -----------------------------------------------------------------------------------


def read_table(path: Path) -> pl.DataFrame:
    """A .csv file as texts, or a .parquet file as it is; column names are distinct, and there are rows.

    Raises
    ------
    InputError
        The file is missing, damaged, not UTF-8, ragged, without rows, or names a column twice or not at all.
    """
    import polars as pl

    first_bytes(check(path), 1)
    if path.suffix == ".parquet":
        parquet_shape(path)
        table = _guarded(path, lambda: pl.read_parquet(literal(path), glob=False))
        header = table.columns
    else:
        header = _csv_header(path)
        table = _without_blank_end(_guarded(path, _read_csv, path, len(header)))
        table.columns = header
    if not len(table):
        raise InputError(f"{path}: has no rows")
    return table


def parquet_shape(path: Path) -> tuple[int, list[str]]:
    """How many rows a .parquet file has, and its columns; nothing else of it is read.

    Raises
    ------
    InputError
        The file is missing, damaged, without rows, or unpacks to more than it may.
    """
    import polars as pl

    first_bytes(path, 1)
    rows = _guarded(
        path, lambda: pl.scan_parquet(literal(path), glob=False).select(pl.len()).collect().item()
    )
    # Not pl.read_parquet_schema: it takes a path for a pattern.
    columns = list(_guarded(path, lambda: pl.scan_parquet(literal(path), glob=False).collect_schema()))
    check_unpacked(path, 4 * rows * len(columns))
    if not rows:
        raise InputError(f"{path}: has no rows")
    return rows, columns


def parquet_rows(path: Path, start: int, count: int) -> pl.DataFrame:
    """Rows start, ..., start + count - 1 of a .parquet file; the others are not kept in memory.

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
    return table


def texts(path: Path, table: pl.DataFrame, column: str, first: int = 0) -> tuple[str, ...]:
    """A column of texts, none of them empty. first: of which sample (from 0) the table's first row is.

    Raises
    ------
    InputError
        An empty cell.
    """
    import polars as pl

    values = _guarded(path, table[column].cast, pl.String).to_list()
    for row, value in enumerate(values):
        if value is None or not value.strip():
            raise InputError(
                f"{path}: row {row_number(path, first + row)}, column '{column}' is empty; fill it in or remove "
                "the row"
            )
    return tuple(values)


def numbers(path: Path, table: pl.DataFrame, columns: list[str], first: int = 0) -> NDArray[np.float32]:
    """(rows, columns) as float32. first: of which sample (from 0) the table's first row is.

    Raises
    ------
    InputError
        There are no such columns, or a cell is empty, not a number, NaN, infinite or beyond float32; it is
        named by its row, see [`row_number`][gsmflow.files.columns.row_number], and column.
    """
    import polars as pl

    if not columns:
        raise InputError(f"{path}: no columns of numbers; found only {listed(table.columns)}")
    values = np.empty((len(table), len(columns)), dtype=np.float32)
    for index, column in enumerate(columns):
        series = table[column]
        if series.dtype == pl.String:
            series = series.str.strip_chars()
        elif not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
            raise InputError(f"{path}: column '{column}' is of type {series.dtype}, expected numbers")
        with np.errstate(over="ignore"):  # beyond float32's range becomes inf, and is refused as such
            values[:, index] = series.cast(pl.Float64, strict=False).to_numpy()
        bad = np.flatnonzero(~np.isfinite(values[:, index]))
        if bad.size:
            cell = table[column][int(bad[0])]
            shown = "is empty" if cell is None else f"is '{str(cell)[:40]}', expected a finite number"
            raise InputError(
                f"{path}: row {row_number(path, first + bad[0])}, column '{column}' {shown}; correct it or remove "
                "the row"
            )
    return values


def row_number(path: Path, index: int) -> int:
    """How a person finds sample `index` (from 0): as a spreadsheet counts, a .csv's header being row 1.

    >>> row_number(Path("features.csv"), 0), row_number(Path("features.npz"), 0)
    (2, 1)
    """
    return int(index) + (2 if path.suffix == ".csv" else 1)


def _csv_header(path: Path) -> list[str]:
    """Column names; polars would quietly rename a second column of the same name."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except UnicodeDecodeError:
        what = "a Python pickle, which is never loaded" if is_pickle(first_bytes(path, 2)) else "not UTF-8"
        raise InputError(f"{path}: {what}; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path}: not a readable CSV file ({error})") from None
    if not header:
        raise InputError(f"{path}: is empty, expected a header line")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise InputError(f"{path}: the header '{header[0][:40]}' has no commas; save it separated by commas")
    for index, column in enumerate(header):
        if not column.strip():
            raise InputError(f"{path}: column {index + 1} has no name in the header; name it or remove it")
        if column in header[:index]:
            raise InputError(f"{path}: two columns are named '{column}'; rename or remove one")
    return header


def _read_csv(path: Path, width: int) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_csv(literal(path), infer_schema=False, glob=False)
    except pl.exceptions.ComputeError:
        _refuse_ragged(path, width)  # polars does not say which row it was
        raise


def _without_blank_end(table: pl.DataFrame) -> pl.DataFrame:
    """Without the blank lines that spreadsheet programs leave at the end; others are refused where read."""
    import polars as pl

    filled = table.select(pl.any_horizontal(pl.all().is_not_null())).to_series().arg_true()
    return table.head(int(filled[-1]) + 1 if len(filled) else 0)


def _refuse_ragged(path: Path, width: int) -> None:
    with open(path, encoding="utf-8-sig", newline="") as file:
        for row, cells in enumerate(csv.reader(file), start=1):
            if len(cells) > width:
                raise InputError(
                    f"{path}: row {row} has {len(cells)} cells, but the header has {width}; quote cells that "
                    "contain commas"
                )


def _guarded(path: Path, read: Callable[..., T], *arguments: Any) -> T:
    """What `read` returns; whatever polars says of a damaged file becomes one line."""
    import polars as pl

    try:
        return read(*arguments)
    except InputError:
        raise
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8; save it as CSV in UTF-8") from None
    # A damaged parquet file can make the library underneath panic, which is no Exception.
    except (Exception, pl.exceptions.PanicException) as error:
        if "utf-8" in str(error):
            raise InputError(f"{path}: not UTF-8; save it as CSV in UTF-8") from None
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{path}: not readable as {path.suffix} ({reason[0][:120]}); write it anew"
        ) from None


# -- .npz -------------------------------------------------------------------------------------


def read_npz(path: Path, wanted: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Those of the wanted arrays that an .npz file has. Pickled objects are refused, never loaded.

    Raises
    ------
    InputError
        The file is missing, damaged, no .npz file, unpacks to more than it may, or a wanted array holds
        objects.
    """
    head = first_bytes(check(path), 4)
    if not zipfile.is_zipfile(path):
        what = "a Python pickle, which is never loaded" if is_pickle(head) else "damaged or something else"
        raise InputError(f"{path}: not an .npz file but {what}; save it with numpy.savez(features=..., ...)")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            size = sum(info.file_size for info in members.values())
            check_unpacked(path, size)
            return {name: _read_member(path, archive, members[name]) for name in wanted if name in members}
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: needs more memory than there is; free memory or split it") from None
    except Exception as error:  # zip, decompression and array headers each fail in ways of their own
        reason = str(error) or type(error).__name__
        raise InputError(f"{path}: damaged or cut short ({reason[:120]}); save it anew") from None


def _read_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    from numpy.lib import format as npy

    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    name = info.filename.removesuffix(".npy")
    with archive.open(info) as file:
        version = npy.read_magic(file)
        if version not in readers:
            raise InputError(f"{path}: {name}: array format {version}, expected a plain array")
        shape, _, dtype = readers[version](file)
    if dtype.hasobject:
        raise InputError(
            f"{path}: {name}: contains pickled objects, which are never loaded; save plain arrays (texts "
            "as numpy.array(list_of_str))"
        )
    # The size is looked at before memory is set aside for what the header claims.
    if int(np.prod(shape, dtype=object)) * dtype.itemsize > info.file_size:
        raise InputError(f"{path}: {name}: holds less than its header says; save it anew")
    with archive.open(info) as file:
        return npy.read_array(file, allow_pickle=False)
