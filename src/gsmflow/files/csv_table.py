"""A CSV file as a table of texts, cell by cell. Its records are counted in two ways, which must agree."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.files.dialect import (
    Dialect,
    detect,
    is_plain,
    named_end,
    ragged,
    records,
    refuse_comment,
)
from gsmflow.files.encoding import SEPARATORS, Text, read_text
from gsmflow.files.missing import unreadable

if TYPE_CHECKING:
    import polars as pl

_BLOCK = 1 << 21  # cells that wait as Python texts
_COMMA_NUMBER = r"^\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*$"
_POINT_NUMBER = r"^[+-]?\d*\.\d+([eE][+-]?\d+)?$"
_GROUPED = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
_FRACTION = r"^[+-]?(0\d*)?\.|^[+-]?\d{4,}\.|\.(\d{1,2}|\d{4,})$|[eE]"
_THOUSANDS = r"^\s*[+-]?[1-9]\d{0,2},\d{3}\s*$"


def read_csv(path: Path) -> tuple[pl.DataFrame, Dialect, NDArray[np.int64]]:
    """A table of texts (an empty cell is an empty text), its dialect, and the line (N,) on which each row begins.

    Raises
    ------
    InputError
        The file is not text, is empty or ragged, can be read in two ways, or names a column twice; or a second way
        of counting gives another number of rows. The message names the line.
    """
    try:
        text = read_text(path, path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from None
    refuse_comment(text)
    table, dialect, lines = _plain(text) if is_plain(text) else _quoted(text)
    if text.passed_ends and ("\r" in text.passed_ends) != (dialect.line_end == "CR"):
        raise InputError(
            f"{text.path}: lines before the header (line {text.header_line}) end in another way than those after; end "
            "all lines in one way"
        )
    _refuse_data_as_header(text, table.columns)
    if dialect.line_end == "mixed":
        _refuse_text_before_mixed_ends(text, table)
    decimal = _decimal(path, table)
    if dialect.separator == ";" and decimal == ".":
        _refuse_thousands(path, table, lines)
    return table, replace(dialect, decimal=decimal), lines


# -- a file without quotes ----------------------------------------------------------------------


def _plain(text: Text) -> tuple[pl.DataFrame, Dialect, NDArray[np.int64]]:
    """Every line is a record: lines are counted here, records by polars."""
    import polars as pl

    lines = _lines(text.body)
    while not lines[-1].strip(" ,;|\t"):
        lines.pop()
    separator = _separator(text, lines)
    dialect = Dialect(separator, encoding=text.encoding, header_line=text.header_line)
    dialect = replace(dialect, line_end=_line_end(text))
    header = _header(text, lines[0].split(separator))
    content = "\n".join(lines[1:]).encode()
    if len(lines) == 1:
        return pl.DataFrame(schema=dict.fromkeys(header, pl.String)), dialect, np.zeros(0, np.int64)
    try:
        table = pl.read_csv(
            content,
            has_header=False,
            new_columns=header,
            separator=separator,
            quote_char=None,
            infer_schema=False,
        ).fill_null("")
    except (Exception, pl.exceptions.PanicException) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{text.path}: not readable as .csv ({reason[0][:120]}); write it anew") from None
    _refuse_other_count(text, len(table), len(lines) - 1)
    return table, dialect, text.header_line + 1 + np.arange(len(table))


def _line_end(text: Text) -> str:
    pairs = text.body.count("\r\n")
    counts = {"\r\n": pairs, "\n": text.body.count("\n") - pairs, "\r": text.body.count("\r") - pairs}
    ends = {end for end, count in counts.items() if count}
    if "\r" in ends and len(ends) > 1:
        raise InputError(
            f"{text.path}: some lines end in CR alone and others do not; end all in one way, and put texts that hold "
            "a line end in quotes"
        )
    return named_end(ends)


def _lines(body: str) -> list[str]:
    return body.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _separator(text: Text, lines: list[str]) -> str:
    """The one separator that cuts every line into as many cells as the header, and the header into several."""
    if text.separator:
        candidates = [text.separator]
    else:
        widths = {each: lines[0].count(each) for each in SEPARATORS}
        candidates = sorted((each for each in SEPARATORS if widths[each]), key=lambda each: -widths[each])
        candidates = candidates or [","]
    reasons: list[InputError] = []
    fitting = []
    for separator in candidates:
        wanted = lines[0].count(separator)
        odd = next((i for i, line in enumerate(lines) if line.count(separator) != wanted or not line), None)
        if odd is None:
            fitting.append(separator)
            continue
        where = f"{text.path}: line {text.header_line + odd}"
        if lines[odd].strip():
            cells = lines[odd].count(separator) + 1
            reasons.append(InputError(f"{where} {ragged(text, separator, cells, wanted + 1)}"))
        else:
            reasons.append(InputError(f"{where} is empty; remove it"))
    if len(fitting) > 1:
        one, other = (SEPARATORS[each] for each in fitting[:2])
        raise InputError(
            f"{text.path}: line {text.header_line} can be read as separated by {one} or by {other}; rename the "
            "columns whose names hold one of them, or quote every cell"
        )
    if not fitting:
        raise reasons[0]
    return fitting[0]


# -- a file with quotes -------------------------------------------------------------------------


def _quoted(text: Text) -> tuple[pl.DataFrame, Dialect, NDArray[np.int64]]:
    """Records by Python's csv module, counted a second time by the quotes in each line."""
    import polars as pl

    dialect = detect(text)
    rows = records(text, dialect)
    header = _header(text, next(rows).cells)
    blocks: list[pl.DataFrame] = []
    starts: list[int] = []
    waiting: list[list[str]] = []

    def flush() -> None:
        columns = zip(*waiting, strict=True) if waiting else [()] * len(header)
        blocks.append(
            pl.DataFrame([pl.Series(n, c, dtype=pl.String) for n, c in zip(header, columns, strict=True)])
        )
        waiting.clear()

    for record in rows:
        starts.append(record.line)
        waiting.append(record.cells)
        if len(waiting) * len(header) >= _BLOCK:
            flush()
    if waiting or not blocks:
        flush()
    lines = _lines(text.body)
    while not lines[-1].strip(" ,;|\t"):
        lines.pop()
    if len(starts) + 1 != len(lines):  # some cells hold line ends
        _refuse_other_count(text, len(starts), _records_by_quotes(lines, dialect) - 1)
        _refuse_lone_quotes(text, lines, dialect)
    return pl.concat(blocks), dialect, np.array(starts, dtype=np.int64)


def _records_by_quotes(lines: list[str], dialect: Dialect) -> int:
    """Lines that end outside of quotes: after an even number of them since the beginning."""
    count = inside = 0
    before = False  # whether the line end before was escaped
    for line in lines:
        if dialect.backslash:
            line = re.sub(r"\\.", "", ("\\" if before else "") + "\n" + line if before else line)
            before = line.endswith("\\")
        inside ^= line.count(dialect.quote) & 1
        count += not inside and not before
    return count


def _refuse_lone_quotes(text: Text, lines: list[str], dialect: Dialect) -> None:
    """Refuse cells that span several lines if these lines form a table themselves, numbers under numbers.

    A CSV reader takes two cells that begin with an inch mark for one cell, with all rows between them in it.
    """
    if dialect.backslash:
        return
    cells = [line.split(dialect.separator) for line in lines]
    width = len(cells[0])
    if any(len(each) != width for each in cells):
        return
    if any(all(_is_number(each[column]) for each in cells[1:]) for column in range(width)):
        opened = next(i for i, line in enumerate(lines) if line.count(dialect.quote) % 2)
        raise InputError(
            f"{text.path}: line {text.header_line + opened} opens a quote that a later line closes, yet every line "
            "is a row of its own; write a quote that belongs to a text twice, and quotes around the text"
        )


# -- what both share ----------------------------------------------------------------------------


def _header(text: Text, cells: list[str]) -> list[str]:
    """Distinct column names; a column without a name is called ``Unnamed: 0``, as in pandas."""
    header = [cell.strip() or f"Unnamed: {index}" for index, cell in enumerate(cells)]
    for index, column in enumerate(header):
        if column in header[:index]:
            raise InputError(
                f"{text.path}: line {text.header_line}: two columns are named '{column}'; rename or remove one"
            )
    return header


def _refuse_data_as_header(text: Text, header: list[str]) -> None:
    """Refuse a header if half of it is numbers such as 0.25: it is a row of data. Whole numbers may be names."""
    data = [column for column in header if _is_number(column) and not column.isdecimal()]
    if 2 * len(data) >= len(header):
        raise InputError(
            f"{text.path}: line {text.header_line} should name the columns, but holds the number '{data[0]}'; put a "
            "header line before the data"
        )


def _refuse_text_before_mixed_ends(text: Text, table: pl.DataFrame) -> None:
    """Refuse texts in the last column if some lines end in LF and others in CRLF: a CR may belong to the text."""
    import polars as pl

    column = table.columns[-1]
    numbers = (
        table[column].str.strip_chars().str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    )
    if numbers.null_count():
        raise InputError(
            f"{text.path}: some lines end in CRLF and others in LF, and column '{column}' before them holds texts; end "
            "all lines in one way"
        )


def _refuse_other_count(text: Text, records_read: int, counted: int) -> None:
    if records_read != counted:
        raise InputError(
            f"{text.path}: {records_read} rows read, but {counted} counted; a quote or line end is not where it "
            "belongs; write it anew, with texts in double quotes"
        )


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _refuse_thousands(path: Path, table: pl.DataFrame, lines: NDArray[np.int64]) -> None:
    """Refuse numbers such as 40.610 between semicolons where nothing shows whether the point begins a fraction.

    Spreadsheets that write semicolons have decimal commas, and then a point stands between thousands.
    """
    import polars as pl

    texts = table.select(pl.all().str.strip_chars())
    points = [name for name in texts.columns if texts[name].str.contains(_POINT_NUMBER).any()]
    grouped = [name for name in points if texts[name].str.contains(_GROUPED).any()]
    for name in points:
        if texts[name].filter(texts[name].str.contains(_POINT_NUMBER)).str.contains(_FRACTION).any():
            return
    for name in grouped:
        if texts[name].str.contains(r"^[+-]?\d{1,3}(\.\d{3})*$").all():
            row = int(texts[name].str.contains(_GROUPED).arg_max() or 0)
            raise InputError(
                f"{path}: line {lines[row]}, column '{name}' is '{texts[name][row]}', which may be a fraction or, as "
                "between semicolons in many countries, thousands; write numbers without marks between thousands, or "
                "separate the cells by commas if they are fractions"
            )


def _decimal(path: Path, table: pl.DataFrame) -> str:
    """The decimal mark: ``,`` if there are cells such as 0,5, which have no other meaning."""
    import polars as pl

    comma = table.select(pl.all().str.contains(_COMMA_NUMBER))
    columns = [name for name in table.columns if comma[name].any()]
    if not columns:
        return "."
    certain = table.select(
        (pl.col(name).str.contains(_COMMA_NUMBER) & ~pl.col(name).str.contains(_THOUSANDS)).any()
        for name in columns
    )
    return "," if any(certain.row(0)) else "."
