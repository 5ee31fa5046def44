"""CSV files as spreadsheets, data frames and scripts write them: the cells they were made of, or one line."""

from __future__ import annotations

import csv
import io
import os
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gsmflow.base.errors import InputError
from gsmflow.files.columns import Table, numbers, read_table, texts

TIMES = max(1, int(os.environ.get("GSMFLOW_FUZZ", "0")))
HEADER = ["name", "f0", "f1"]
ROWS = [["ant", "0.1", "2"], ["bee", "0.5", "-3e2"], ["cat", "1", "0"]]


def read(tmp_path: Path, content: str | bytes, encoding: str = "utf-8") -> Table:
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return read_table(path)


def cells(table: Table) -> list[list[str]]:
    return [table.columns, *(list(row) for row in table.frame.rows())]


def written(rows: list[list[str]], **how: object) -> str:
    out = io.StringIO()
    csv.writer(out, **{"lineterminator": "\n", **how}).writerows(rows)  # type: ignore[arg-type]
    return out.getvalue()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_separators_and_line_ends(separator: str, end: str, quoting: int, tmp_path: Path) -> None:
    rows = [HEADER, *ROWS, ["disc 12\" \\ 'big'", "4", "5"], ["a, b; c | d\te", "6", "7"]]
    table = read(tmp_path, written(rows, delimiter=separator, lineterminator=end, quoting=quoting))
    assert cells(table) == rows
    assert table.dialect is not None
    assert table.dialect.separator == separator
    assert table.dialect.line_end == {"\n": "LF", "\r\n": "CRLF", "\r": "CR"}[end]
    assert numbers(table, ["f0", "f1"])[1].tolist() == [0.5, -300]


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8 with BOM"),
        ("utf-16", "UTF-16 LE"),
        ("utf-16-le", "UTF-16 LE without BOM"),
        ("utf-16-be", "UTF-16 BE without BOM"),
    ],
)
def test_encodings(encoding: str, said: str, tmp_path: Path) -> None:
    rows = [HEADER, ["Löwe", "1", "2"], ["льв", "3", "4"], ["獅子", "5", "6"]]
    table = read(tmp_path, written(rows), encoding)
    assert cells(table) == rows
    assert table.dialect is not None
    assert table.dialect.encoding == said


@pytest.mark.parametrize(
    "before", ["", "sep=,\n", "\n", "\r\n", "# made by a script\n\n", '"sep=,"\n# and "more\n', ",,\n"]
)
def test_what_comes_before_the_header(before: str, tmp_path: Path) -> None:
    table = read(tmp_path, before + written([HEADER, *ROWS]))
    assert cells(table) == [HEADER, *ROWS]
    header = 1 + before.count("\n")
    assert table.place(0) == f"line {header + 1}"
    assert table.dialect is not None
    assert table.dialect.header_line == header


def test_a_sep_line_says_the_separator(tmp_path: Path) -> None:
    table = read(tmp_path, "sep=;\nname;a,b\nant;1,5\nbee;2,5\n")
    assert cells(table) == [["name", "a,b"], ["ant", "1,5"], ["bee", "2,5"]]


def test_decimal_commas(tmp_path: Path) -> None:
    table = read(tmp_path, "name;f0;f1\nant;0,5;1\nbee;-1,25e2;2,125\n")
    assert numbers(table, ["f0", "f1"]).tolist() == [[0.5, 1], [-125, 2.125]]
    assert "decimal commas" in str(table.dialect)
    with pytest.raises(InputError, match=r"line 3, column 'f0' is '1\.5', expected .* decimal comma"):
        numbers(read(tmp_path, "name;f0\nant;0,5\nbee;1.5\n"), ["f0"])
    with pytest.raises(InputError, match=r"line 2, column 'f0' is '1,234'"):  # 1.234, or a thousand?
        numbers(read(tmp_path, "name;f0\nant;1,234\nbee;5,678\n"), ["f0"])


@pytest.mark.parametrize("comma", [False, True])
def test_numbers_are_those_written_to_the_last_bit(comma: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate(
        (rng.normal(size=2000), rng.normal(size=2000) * 10.0 ** rng.integers(-30, 30, 2000))
    )
    lines = [repr(value) for value in values.tolist()]
    text = "\n".join(["f0;f1", *(f"{line};{index}" for index, line in enumerate(lines))])
    table = read(tmp_path, text.replace(".", ",") if comma else text)
    assert np.array_equal(numbers(table, ["f0"])[:, 0], values)


def test_mixed_ends_after_numbers(tmp_path: Path) -> None:
    table = read(tmp_path, "name,f0\r\nant,0.5\nbee,2\r\n")
    assert cells(table) == [["name", "f0"], ["ant", "0.5"], ["bee", "2"]]
    assert "lines end in LF or CRLF" in str(table.dialect)


def test_quotes_escaped_by_backslashes(tmp_path: Path) -> None:
    table = read(tmp_path, '"name","f0"\n"disc 12\\"",1\n"b, \\\\c",2\n"disc 7\\"",3\n')
    assert texts(table, "name") == ('disc 12"', "b, \\c", 'disc 7"')
    assert "escaped by backslashes" in str(table.dialect)


def test_a_lone_inch_mark(tmp_path: Path) -> None:
    assert texts(read(tmp_path, 'name,f0\ndisc 12",1\nbee,2\n5" x 7",3\n'), "name") == (
        'disc 12"',
        "bee",
        '5" x 7"',
    )
    with pytest.raises(InputError, match="line 2"):
        read(tmp_path, 'name,f0\n"disc,1\nbee,2\n')
    with pytest.raises(InputError, match="line 2 opens a quote that a later line closes"):
        read(tmp_path, 'name,f0\n"a,1\nbee,2\n",3\n')


def test_cells_over_several_lines_and_the_lines_named(tmp_path: Path) -> None:
    table = read(tmp_path, 'name,text\nant,"two\nlines"\nbee,"a ""word"""\ncat,\n')
    assert cells(table)[1:] == [["ant", "two\nlines"], ["bee", 'a "word"'], ["cat", ""]]
    with pytest.raises(InputError, match="line 5, column 'text' is empty"):
        texts(table, "text")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty, expected a header line"),
        ("\n\n# nothing\n", "is empty, expected a header line"),
        ("a,b\n", "has no rows"),
        (
            "a,b\n1,x\r\n2,y\n",
            "some lines end in CRLF and others in LF, and column 'b' before them holds texts",
        ),
        ("# said\ra,b\n1,x\n", r"lines before the header \(line 2\) end in another way"),
        ("# said \\\na,b\n1,x\n", "line 1 comes before the header and ends in a backslash"),
        ("a,b\n1,x\r2,y\n", "some lines end in CR alone"),
        ('a,b\n1,"x"\r2,y\n', "line 2 ends in CR, but the header in LF"),
        ("a,b\n1,2,3\n", r"line 2 has 3 cells, but the header \(line 1\) has 2"),
        ("\na,b\n1,2\n1\n", r"line 4 has 1 cell, but the header \(line 2\) has 2"),
        ("a,b\n1,2\n\n3,4\n", "line 3 is empty; remove it"),
        ('a,b\n"1",2\n\n3,4\n', "line 3 is empty; remove it"),
        ("a,b,a\n1,2,3\n", "line 1: two columns are named 'a'"),
        ("0.25,0.5\n1,2\n", r"line 1 should name the columns, but holds the number '0\.25'"),
        ("# a,b\n1,2\n", "line 1 begins with # but has as many cells"),
        ('a,b\n"1"x,2\n', r"line 2: a quote \(\"\) closes a cell that goes on"),
        ('a,b\n1,2\n"3,4\n', r"line 3: a quote \(\"\) opens a cell that is not closed"),
        ("a;b,c|d\n1;2,3|4\n", "can be read as separated by commas or by semicolons|in two ways"),
        ("name,f\n'a',1\nb,2\n", r"line 2 can be read in two ways: ''a'' \(quoted by \"\) or 'a'"),
        ('name,f\n"a\\\\b",1\n', r"line 2 can be read in two ways"),
        ("sep=:\na:b\n1:2\n", "line 1 names ':' as separator"),
        (b"a,b\n1,2\n\xe9,3\n", r"line 3 is not UTF-8 \(byte 0xe9\)"),
        (b"\xff\xfea\x00,\x00\n\x00b", "not UTF-16"),
        (b"a,b\n1,\x002\n", "line 2 is not text"),
        (b"\x80\x04K\x01.", "a Python pickle, which is never loaded"),
    ],
)
def test_what_is_refused_names_the_line(content: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as refused:
        read(tmp_path, content)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("form", ["commas", "semicolons", "backslash", "cr", "utf-16", "headers"])
def test_a_table_cut_anywhere_is_read_or_refused(form: str, tmp_path: Path) -> None:
    """Never with a cell that was not there, but for the last one, which may have lost its end."""
    rows = [HEADER, ['disc 12"', "0.125", "2.5"], ["löwe", "0.5", "-3e2"], *ROWS]
    how: dict[str, dict[str, object]] = {
        "semicolons": {"delimiter": ";"},
        "backslash": {"doublequote": False, "escapechar": "\\"},
        "cr": {"lineterminator": "\r"},
    }
    text = ("sep=,\n# said\n\n" if form == "headers" else "") + written(rows, **how.get(form, {}))
    content = text.encode("utf-16" if form == "utf-16" else "utf-8")
    for cut in np.linspace(0, len(content), 52, dtype=int)[:-1]:
        try:
            read_rows = cells(read(tmp_path, content[:cut]))
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 - what is asserted of an error that may not come
            continue
        assert read_rows[:-1] == rows[: len(read_rows) - 1]
        assert all(
            whole.startswith(cell)
            for whole, cell in zip(rows[len(read_rows) - 1], read_rows[-1], strict=True)
        )


# -- tables of chance ---------------------------------------------------------------------------

_ALPHABET = [
    "a",
    "é",
    "獅",
    " ",
    "'",
    '"',
    "\\",
    ",",
    ";",
    "\t",
    "|",
    "\n",
    "\r",
    "#",
    ".",
    "1",
    "0",
    "-",
    "=",
    "\u2028",
]


def _cell(rng: random.Random, alphabet: list[str]) -> str:
    kind = rng.random()
    if kind < 0.5:
        return rng.choice([repr(rng.gauss(0, 1)), str(rng.randrange(10**6)), f"{rng.random():.3e}"])
    if kind < 0.6:
        return ""
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 7)))


def _rows(rng: random.Random, alphabet: list[str]) -> list[list[str]]:
    """A header of distinct names, and rows none of which is blank."""
    width = rng.randrange(2, 6)
    names = [f"{_cell(rng, alphabet).strip()}{index}x" for index in range(width)]
    rows = [[f"r{i}", *(_cell(rng, alphabet) for _ in range(width - 1))] for i in range(rng.randrange(1, 8))]
    rng.choice([lambda: None, lambda: [row.reverse() for row in (names, *rows)]])()
    return [names, *rows]


def _compare(path: Path, rows: list[list[str]]) -> bool:
    """Whether a file is read; what is read must be what was written."""
    try:
        table = read_table(path)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - what is asserted of an error that may not come
        return False
    assert cells(table) == rows, (path.read_bytes(), table.dialect)
    return True


@pytest.mark.parametrize("quoting", ["minimal", "all", "nonnumeric", "backslash", "none", "single"])
def test_tables_of_the_csv_module(quoting: str, tmp_path: Path) -> None:
    rng = random.Random(f"{quoting} {TIMES}")
    path, was_read, count = tmp_path / "table.csv", 0, max(150, TIMES // 8)
    for _ in range(count):
        # Which marks of a dialect a table does without, no reader can tell; others may stand in its texts.
        alphabet = [c for c in _ALPHABET if not (quoting == "single" and c == '"')]
        alphabet = rng.choice([alphabet, [c for c in alphabet if c not in "\"'\\\n"], ["a", "1", "."]])
        rows = _rows(rng, alphabet)
        separator = rng.choice(",;\t|")
        how: dict[str, object] = {"delimiter": separator, "lineterminator": rng.choice(["\n", "\r\n", "\r"])}
        how["quoting"] = {"all": csv.QUOTE_ALL, "nonnumeric": csv.QUOTE_NONNUMERIC}.get(
            quoting, csv.QUOTE_MINIMAL
        )
        if quoting == "backslash":
            how |= {"doublequote": False, "escapechar": "\\"}
        if quoting == "none":
            how |= {"quoting": csv.QUOTE_NONE, "escapechar": "\\"}
        if quoting == "single":
            how |= {"quotechar": "'"}
        before = rng.choice(["", "", f"sep={separator}\n", "# a comment\n", "\n"])
        encoding = rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16"])
        path.write_bytes((before + written(rows, **how)).encode(encoding))
        was_read += _compare(path, rows)
    assert was_read > count / 4  # most are read, not refused


def test_tables_of_polars(tmp_path: Path) -> None:
    rng = random.Random(TIMES)
    path, was_read, count = tmp_path / "table.csv", 0, max(150, TIMES // 8)
    for _ in range(count):
        alphabet = rng.choice([_ALPHABET, ["a", "1", ".", ",", "é"]])
        rows = _rows(rng, alphabet)
        frame = pl.DataFrame([list(column) for column in zip(*rows[1:], strict=True)], schema=rows[0])
        frame.write_csv(
            path,
            separator=rng.choice(",;\t|"),
            line_terminator=rng.choice(["\n", "\r\n"]),
            quote_style=rng.choice(["necessary", "always", "non_numeric"]),
            include_bom=rng.random() < 0.3,
        )
        was_read += _compare(path, rows)
    assert was_read > count / 4


def test_tables_of_pandas(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    rng = random.Random(TIMES)
    path, was_read, count = tmp_path / "table.csv", 0, max(150, TIMES // 8)
    for _ in range(count):
        alphabet = rng.choice([_ALPHABET, ["a", "1", ".", ",", "é"]])
        rows = _rows(rng, alphabet)
        index = rng.random() < 0.3
        pd.DataFrame(rows[1:], columns=rows[0]).to_csv(
            path,
            index=index,
            sep=rng.choice(",;\t|"),
            lineterminator=rng.choice(["\n", "\r\n"]),
            quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
            encoding=rng.choice(["utf-8", "utf-8-sig", "utf-16"]),
        )
        if index:
            numbered = [[str(i), *row] for i, row in enumerate(rows[1:])]
            rows = [["Unnamed: 0", *rows[0]], *numbered]
        was_read += _compare(path, rows)
    assert was_read > count / 4
