"""Tables of features read part by part, for data larger than memory: Parquet files, shards of them, and stores.

A part is a small description that can be sent to another process. Only `read` reads, and only the rows of the
part. Tables of other kinds are read as a whole and then divided.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gsmflow.base.errors import InputError
from gsmflow.files.checksums import check
from gsmflow.files.columns import parquet_rows, parquet_shape
from gsmflow.files.feature_store import CHUNK, is_mapped, open_store
from gsmflow.files.rows import Rows, read_rows, rows_of_table

_MOST = 8192  # rows of a part


class Part(Protocol):
    """Some rows that follow each other; `first` is the number of the first one, from 0."""

    @property
    def first(self) -> int:
        """The number of the part's first row in the whole table, from 0."""
        ...

    def width(self) -> int:
        """D, how many features a row has.

        Raises
        ------
        InputError
            The file is damaged, or a cell of these rows is not a finite number.
        """
        ...

    def read(self) -> Rows:
        """The rows.

        Raises
        ------
        InputError
            The file is damaged, or a cell is not a finite number.
        """
        ...


@dataclass(frozen=True)
class ParquetPart:
    """Rows start, ..., start + count - 1 of a .parquet file.

    Parameters
    ----------
    first : int
        The number of the part's first row in the whole table, from 0.
    file : Path
        The .parquet file.
    start : int
        First row of the file that belongs to the part.
    count : int
        Rows of the part.
    wanted : tuple[str, ...] | None
        Names of the features to read, in this order; None reads all.
    """

    first: int
    file: Path
    start: int
    count: int
    wanted: tuple[str, ...] | None = None

    def width(self) -> int:
        """See [`Part`][gsmflow.files.chunks.Part]."""
        return self.read().features.shape[1]

    def read(self) -> Rows:
        """See [`Part`][gsmflow.files.chunks.Part]."""
        return rows_of_table(parquet_rows(self.file, self.start, self.count), self.wanted)


@dataclass(frozen=True)
class StorePart:
    """Rows of a feature store, with labels and names from the table beside it.

    Parameters
    ----------
    first : int
        The number of the part's first row in the whole table, from 0.
    file : Path
        The .npy file.
    said : Rows
        Labels, split and names of these rows, from the table beside the store.
    """

    first: int
    file: Path
    said: Rows

    def width(self) -> int:
        """See [`Part`][gsmflow.files.chunks.Part]."""
        return open_store(self.file).shape[1]

    def read(self) -> Rows:
        """See [`Part`][gsmflow.files.chunks.Part]."""
        features = np.asarray(open_store(self.file)[self.first : self.first + len(self.said.features)])
        bad = np.argwhere(~np.isfinite(features))
        if bad.size:
            row, column = (int(index) for index in bad[0])
            raise InputError(
                f"{self.file}: row {self.first + row + 1}, column {column + 1} is {features[row, column]}, "
                "expected a finite number; correct it or remove the row"
            )
        return replace(self.said, features=features)


@dataclass(frozen=True)
class HeldPart:
    """Rows that have been read already.

    Parameters
    ----------
    first : int
        The number of the part's first row in the whole table, from 0.
    rows : Rows
        The rows themselves.
    """

    first: int
    rows: Rows

    def width(self) -> int:
        """See [`Part`][gsmflow.files.chunks.Part]."""
        return self.rows.features.shape[1]

    def read(self) -> Rows:
        """See [`Part`][gsmflow.files.chunks.Part]."""
        return self.rows


def shards(path: Path) -> list[Path] | None:
    """The .parquet files in a folder or matching a pattern such as ``day*/*.parquet``, in sorted order.

    A path that exists is never a pattern, and neither are the leading folders that exist. None for a single
    file and for a folder without .parquet files.

    Raises
    ------
    InputError
        A pattern matches nothing, or something that is not a .parquet file.
    """
    if path.is_dir():
        return sorted(f for f in path.glob("*.parquet") if not f.name.startswith(".")) or None
    if path.exists() or not glob.has_magic(str(path)):
        return None
    place = next(folder for folder in path.parents if folder.exists())  # what exists is not a pattern
    pattern = str(path.relative_to(place))
    matching = sorted(place / name for name in glob.glob(pattern, root_dir=place, recursive=True))
    if not matching:
        raise InputError(f"{path}: no such file, and as a pattern it matches none")
    other = next((file for file in matching if file.suffix != ".parquet"), None)
    if other:
        raise InputError(f"{path}: matches {other}, expected .parquet files alone; narrow it")
    return matching


def parts_of(
    path: Path, wanted: tuple[str, ...] | None = None
) -> tuple[Sequence[Part], dict[str, Any] | None, int]:
    """The parts of a table, the backbone of its features if it names one, and its number of rows.

    Parameters
    ----------
    path : Path
        A table of any kind, a folder of .parquet files or a pattern for them.
    wanted : tuple[str, ...] | None
        Names of the features that a run was trained on; if the table has names, columns are looked up by name.

    Raises
    ------
    InputError
        Nothing is there, a file is damaged, or shards have different columns.
    """
    files = shards(path) or [path]
    if files[0].suffix == ".parquet":
        parts = _of_parquet(files, wanted)
        return parts, None, parts[-1].first + parts[-1].count
    rows = read_rows(path, wanted)
    count, width = rows.features.shape
    step = _step(width)
    spans = [slice(start, min(start + step, count)) for start in range(0, count, step)]
    if is_mapped(rows.features):
        nothing = np.broadcast_to(np.float32(0), (count, 0))
        said = replace(rows, features=nothing)
        return [StorePart(s.start, path, _taken(said, s)) for s in spans], None, count
    return [HeldPart(s.start, _taken(rows, s)) for s in spans], rows.backbone, count


def _of_parquet(files: Sequence[Path], wanted: tuple[str, ...] | None) -> list[ParquetPart]:
    parts: list[ParquetPart] = []
    first, columns = 0, None
    for file in files:
        rows, own_columns = parquet_shape(check(file))
        columns = columns or own_columns
        if own_columns != columns:
            raise InputError(
                f"{file}: {len(own_columns)} columns, not the same {len(columns)} in the same order as {files[0]}; "
                "shards of a table have the same columns"
            )
        step = _step(len(own_columns))
        parts += [
            ParquetPart(first + start, file, start, min(step, rows - start), wanted)
            for start in range(0, rows, step)
        ]
        first += rows
    return parts


def _step(width: int) -> int:
    return max(1, min(_MOST, CHUNK // max(1, width)))


def _taken(rows: Rows, span: slice) -> Rows:
    def some(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return values and values[span]

    lines = None if rows.lines is None else rows.lines[span]
    return replace(
        rows,
        features=rows.features[span],
        labels=some(rows.labels),
        split=some(rows.split),
        names=some(rows.names),
        lines=lines,
    )
