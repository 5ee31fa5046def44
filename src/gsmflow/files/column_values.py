"""What the values of a column show: that it counts the rows, numbers the classes, or is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gsmflow.files.columns import Table, as_numbers

if TYPE_CHECKING:
    import polars as pl

ROWS = 8  # fewer rows may rise or fall by chance
_PER_CLASS = 3  # mean rows a class from which one number for each class is not chance
_EXACT = 2.0**53
_TIME = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?"
_DATE = r"(\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}|\d{1,2}\.\d{1,2}\.\d{2,4}|\d{1,2}/\d{1,2}/\d{2,4})"
_DATED = rf"^\s*({_DATE}([ T]{_TIME}\s*(Z|[+-]\d{{2}}:?\d{{2}})?)?|{_TIME})\s*$"
_HEAD = 64  # rows that are enough to recognise most columns


def is_text(table: Table, column: str) -> bool:
    """Whether a column holds texts; these may be numbers in writing."""
    import polars as pl

    return table.frame[column].dtype == pl.String


def is_empty(table: Table, column: str) -> bool:
    """Whether no cell of a column holds anything."""
    import polars as pl

    series = table.frame[column]
    if series.dtype == pl.String:
        return not any(some.str.contains(r"\S").any() for some in (series.head(_HEAD), series))
    return series.null_count() == len(series)


def has_dates(table: Table, column: str) -> bool:
    """Whether the cells of a column are dates or times: digits with ``-``, ``/``, ``.`` or ``:`` between them."""
    import polars as pl

    series = table.frame[column]
    return series.dtype == pl.String and bool(series.str.contains(r"\d+[-/.:]\d+").all())


def is_dated(table: Table, column: str) -> bool:
    """Whether every cell of a column of texts is a whole date or time, such as ``2026-03-01 12:00:00``, ``1.3.2026`` or
    ``12:05``: whatever the column is called, none of them is a number.
    """
    import polars as pl

    series = table.frame[column]
    return series.dtype == pl.String and all(
        bool(some.str.contains(_DATED).fill_null(False).all()) for some in (series.head(_HEAD), series)
    )


def is_code(table: Table, column: str) -> bool:
    """Whether cells of a column are digits with a leading zero, such as ``00017``: such codes are not numbers."""
    import polars as pl

    series = table.frame[column]
    if series.dtype != pl.String:
        return False
    whole = r"^\s*\d+\s*$"
    if not series.head(_HEAD).str.contains(whole).all() or not series.str.contains(whole).all():
        return False
    return bool(series.str.contains(r"^\s*0\d").any())


def runs_on(table: Table, column: str, *, evenly: bool, least: int = ROWS) -> bool:
    """Whether the numbers of a column change from row to row and never turn back; with `evenly`, whether they are whole
    numbers with equal steps. False with fewer rows than `least`.
    """
    if len(table) < least:
        return False
    for rows in (_HEAD, len(table)):
        values = _numbers(table, column, rows)
        if values is None:
            return False
        steps = np.diff(values)
        if evenly and not (steps[0] != 0 and (steps == steps[0]).all() and (values == np.rint(values)).all()):
            return False
        if not evenly and not ((steps >= 0).all() or (steps <= 0).all()):
            return False
    return evenly or bool(np.count_nonzero(steps) > (len(table) > 2))


def numbers_classes(table: Table, column: str, label: str, *, all_of_them: bool = True) -> bool:
    """Whether a column numbers the classes, k, k + 1, ... without a gap, as programs write labels. Without
    `all_of_them` the table may hold only some classes, and one whole number for each class is enough.
    """
    labels = table.frame[label]
    for rows in (_HEAD, len(table)):
        values = _numbers(table, column, rows)
        if values is None or not (values == np.rint(values)).all():
            return False
        number_of: dict[object, float] = {}
        if any(
            number_of.setdefault(k, v) != v for k, v in zip(labels.head(rows), values.tolist(), strict=True)
        ):
            return False
    numbers = sorted(number_of.values())
    if not all_of_them:
        return len(set(numbers)) == len(numbers)
    dense = numbers == [numbers[0] + step for step in range(len(numbers))]
    return dense and len(numbers) > 2 and len(table) >= _PER_CLASS * len(numbers)


def _numbers(table: Table, column: str, rows: int) -> np.ndarray | None:
    """The first numbers of a column; None if a cell is not a number."""
    import polars as pl

    dtype: pl.DataType = table.frame[column].dtype
    if dtype != pl.String and not dtype.is_numeric():
        return None
    values = as_numbers(Table(table.path, table.frame.select(column).head(rows), table.dialect), column)
    return values if (np.abs(values) < _EXACT).all() else None  # neither NaN nor beyond whole numbers
