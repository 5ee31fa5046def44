"""How a CSV file is written: its encoding, separator, quotes, escapes and line ends, detected once for each file.

Every way in which the file may be written is tried. A way fits if it gives every line as many cells as the header. If
two ways fit and read different cells, the file is refused, because nobody can say which is meant.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gsmflow.base.errors import InputError
from gsmflow.files.encoding import SEPARATORS, Text

_ENDS = {"\n": "LF", "\r\n": "CRLF", "\r": "CR"}
_SINGLE = re.compile(r"(?:\A|[,;\t|\r\n])'")  # a cell that begins with a single quote


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Parameters
    ----------
    separator : str
        What separates cells, one of ``, ; | tab``.
    quote : str
        What surrounds cells that hold separators or line ends, ``"`` or ``'``.
    backslash : bool
        Whether a backslash, rather than a second quote, stands before a quote that belongs to the text.
    line_end : str
        ``LF``, ``CRLF``, ``CR`` or ``mixed``.
    encoding : str
        Name of the encoding, for messages.
    header_line : int
        Line of the header, from 1; blank lines, comments and ``sep=`` may come before it.
    decimal : str
        The decimal mark, ``.`` or ``,``.
    """

    separator: str = ","
    quote: str = '"'
    backslash: bool = False
    line_end: str = "LF"
    encoding: str = "UTF-8"
    header_line: int = 1
    decimal: str = "."

    def __str__(self) -> str:
        ends = "LF or CRLF" if self.line_end == "mixed" else self.line_end
        parts = [f"separated by {SEPARATORS[self.separator]}", self.encoding, f"lines end in {ends}"]
        if self.backslash:
            parts.append("quotes escaped by backslashes")
        if self.quote == "'":
            parts.append("single quotes")
        if self.decimal == ",":
            parts.append("decimal commas")
        if self.header_line > 1:
            parts.append(f"header in line {self.header_line}")
        return ", ".join(parts)


# -- records ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """A row of a file.

    Parameters
    ----------
    line : int
        The line, from 1, on which it begins.
    cells : list[str]
        Its cells as texts.
    end : str
        The end of its last line.
    """

    line: int
    cells: list[str]
    end: str


def records(text: Text, dialect: Dialect) -> Iterator[Record]:
    """The records of a file, the header first; blank lines at the end are left out.

    Raises
    ------
    InputError
        A quote is not closed or not allowed where it is; a line between records is blank; a record has not as many
        cells as the header; or only some records end in CR alone. The message names the line.
    """
    ends = [""]

    def physical() -> Iterator[str]:
        for line in io.StringIO(text.body, newline=""):
            ends[0] = line[len(line.rstrip("\r\n")) :] if line.endswith(("\r", "\n")) else ""
            yield line

    lines = csv.reader(
        physical(),
        delimiter=dialect.separator,
        quotechar=dialect.quote,
        escapechar="\\" if dialect.backslash else None,
        strict=True,
    )
    width = blank = 0
    first_end = ""
    while True:
        line = text.header_line + lines.line_num
        try:
            cells = next(lines, None)
        except csv.Error as error:
            raise InputError(
                f"{text.path}: line {line}: {_reason(error, dialect)}; write texts that hold quotes in quotes, and "
                "each quote in them twice"
            ) from None
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            blank = blank or line
            continue
        if blank:
            raise InputError(f"{text.path}: line {blank} is empty; remove it")
        width = width or len(cells)
        if len(cells) != width:
            raise InputError(f"{text.path}: line {line} {ragged(text, dialect.separator, len(cells), width)}")
        end = ends[0]
        first_end = first_end or end
        if end and (end == "\r") != (first_end == "\r"):
            raise InputError(
                f"{text.path}: line {line} ends in {_ENDS[end]}, but the header in {_ENDS[first_end]}; end all "
                "lines in one way, and put texts that hold a line end in quotes"
            )
        yield Record(line, cells, end)


def ragged(text: Text, separator: str, cells: int, width: int) -> str:
    """The message about a record that has not as many cells as the header."""
    said = f"has {cells} {'cell' if cells == 1 else 'cells'}, but the header (line {text.header_line}) has {width}"
    if cells == width + 1:
        return (
            f"{said}; where every line has one more, it is a name or number of the row (leave it out, or name it in "
            f"the header) or ends in {SEPARATORS[separator]} too many; otherwise quote cells that contain "
            f"{SEPARATORS[separator]}"
        )
    return f"{said}; quote cells that contain {SEPARATORS[separator]}"


def _reason(error: csv.Error, dialect: Dialect) -> str:
    said = str(error)
    if "expected after" in said:
        return f"a quote ({dialect.quote}) closes a cell that goes on after it"
    if "unexpected end" in said:
        return f"a quote ({dialect.quote}) opens a cell that is not closed"
    return said


# -- which dialect ----------------------------------------------------------------------------


def detect(text: Text) -> Dialect:
    """The one dialect that reads the file as a table.

    Raises
    ------
    InputError
        There is none, or there are several that read different cells. The message names the line.
    """
    fitting, reason = _fitting(text)
    if not fitting:
        assert reason is not None
        raise reason
    for other in fitting[1:]:
        _refuse_different(text, fitting[0], other)
    if fitting[0].line_end == "mixed" and (odd := re.search(r"\\(\r\n|\n|\r)", text.body)):
        line = text.header_line + len(re.findall("\r\n|\r|\n", text.body[: odd.start()]))
        raise InputError(
            f"{text.path}: line {line} ends in a backslash, and lines end in LF and in CRLF; end all lines in one way"
        )
    return fitting[0]


def _fitting(text: Text) -> tuple[list[Dialect], InputError | None]:
    """Dialects that give every line as many cells as the header, and why the likeliest other one does not."""
    fitting: list[Dialect] = []
    reason: InputError | None = None
    for dialect in _candidates(text):
        try:
            ends = {record.end for record in records(text, dialect)} - {""}
        except InputError as error:
            reason = reason or error
        else:
            fitting.append(replace(dialect, line_end=named_end(ends)))
    return fitting, reason


def _candidates(text: Text) -> Iterator[Dialect]:
    """Every dialect in which the header has several cells, the most cells first; if there is none, those with one."""
    body = text.body
    separators = [text.separator] if text.separator else list(SEPARATORS)
    quotes = ['"', "'"] if _SINGLE.search(body) else ['"']
    several: list[tuple[int, Dialect]] = []
    single: list[Dialect] = []
    for separator in separators:
        for backslash in (False, True):
            if backslash and not _escaped(body, separator):
                continue
            for quote in quotes:
                dialect = Dialect(
                    separator, quote, backslash, encoding=text.encoding, header_line=text.header_line
                )
                width = _header_width(text, dialect)
                if width > 1:
                    several.append((width, dialect))
                else:
                    single.append(dialect)
    if several:
        several.sort(key=lambda each: -each[0])
        yield from (dialect for _, dialect in several)
    else:  # one column; a cell with commas would have to be quoted in most dialects, so it is not guessed at
        yield from (each for each in single if each.separator == separators[0])


def _header_width(text: Text, dialect: Dialect) -> int:
    try:
        return len(next(records(text, dialect)).cells)
    except (InputError, StopIteration):
        return 1


def _escaped(body: str, separator: str) -> bool:
    """Whether backslashes may be escapes: there are some, and each stands before what a writer would escape."""
    if "\\" not in body:
        return False
    one_end = len(set(re.findall("\r\n|\r|\n", body))) == 1
    ends = "\r\n" if one_end else ""  # if a line of a text ends in a backslash, the line end is not escaped
    return "\\" not in re.sub(rf"""\\[\\"'{ends}{re.escape(separator)}]""", "", body)


def is_plain(text: Text) -> bool:
    """Whether a file has no quotes and no backslashes that could mean something: every line is a record."""
    body = text.body
    return '"' not in body and "\\" not in body and not _SINGLE.search(body)


def named_end(ends: set[str]) -> str:
    """How lines end, in words: ``LF``, ``CRLF``, ``CR``, or ``mixed`` of LF and CRLF."""
    return "mixed" if len(ends) > 1 else _ENDS[ends.pop()] if ends else "LF"


def _refuse_different(text: Text, one: Dialect, other: Dialect) -> None:
    first, second = records(text, one), records(text, other)
    for each, otherwise in zip(first, second, strict=False):
        if each.cells != otherwise.cells:
            pairs = zip(each.cells, otherwise.cells, strict=False)
            seen, meant = next(((a, b) for a, b in pairs if a != b), (str(each.cells), str(otherwise.cells)))
            raise InputError(
                f"{text.path}: line {each.line} can be read in two ways: '{seen[:40]}' ({_difference(one, other)}) or "
                f"'{meant[:40]}' ({_difference(other, one)}); write it separated by commas, texts in double "
                "quotes and without backslashes"
            )
    if next(first, None) is not None or next(second, None) is not None:
        raise InputError(f"{text.path}: can be read as more or as fewer rows; write texts in double quotes")


def _difference(one: Dialect, other: Dialect) -> str:
    if one.separator != other.separator:
        return f"separated by {SEPARATORS[one.separator]}"
    if one.quote != other.quote:
        return f"quoted by {one.quote}"
    return "backslashes escape" if one.backslash else "backslashes are text"


def refuse_comment(text: Text) -> None:
    """Refuse a file that is also a table with a comment line as its first row: that line may be the header.

    Raises
    ------
    InputError
        Some comment line may be the header; the message names it.
    """
    for line, body in text.comments:
        begun = replace(text, body=body, header_line=line, comments=())
        if any(_header_width(begun, each) > 1 for each in _fitting(begun)[0]):
            raise InputError(
                f"{text.path}: line {line} begins with # but has as many cells as the lines after it; remove the # if "
                "it is the header, or the line if it is a comment"
            )
