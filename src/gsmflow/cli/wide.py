"""Tables that fit the terminal. What is too wide says less, and becomes one block a row in the end; no cell is cut."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterator, Sequence
from itertools import product

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Lines = Sequence[Sequence[str]]
_NARROWEST = 16  # columns of the first cell where it is broken


def show_table(
    console: Console,
    names: Sequence[str],
    lines: Lines,
    title: str = "",
    *,
    said_once: Collection[str] = (),
    spared: Sequence[str] = (),
) -> None:
    """Print a table whose first column names the row, or blocks of ``name  value`` where it is too wide.

    A table that is too wide first loses columns without any value; then those of `said_once` that are alike in all
    rows, which are printed above it, or whose values are all in the names of the rows; and these names are broken
    after ``/`` and ``-``.

    Parameters
    ----------
    console : Console
        Where it is printed; its width decides.
    names : Sequence[str]
        (C,) names of the columns.
    lines : Lines
        (R, C) cells; an empty one is left out of a block.
    title : str
        A line above it.
    said_once : Collection[str]
        Columns that need not be there where they say nothing new.
    spared : Sequence[str]
        Columns that are left out, one after the other, where the table is still too wide; a line below names them.
    """
    if title:
        console.print(Text(title, style="italic"))
    narrower = list(_narrower(names, lines, said_once))
    for folds, (fewer, cells, common) in product((False, True) if said_once else (False,), narrower):
        widths = _widths(console.width, fewer, cells, folds=folds)
        if widths:
            _print(console, fewer, cells, widths, common)
            return
    left_out: list[str] = []
    fewer, cells, common = narrower[-1]
    for name in (each for each in spared if each in fewer):
        left_out.append(name)
        chosen = [index for index, each in enumerate(fewer) if each not in left_out]
        least, shown, _ = _of(chosen, fewer, cells, common)
        widths = _widths(console.width, least, shown, folds=True)
        if widths:
            _print(console, least, shown, widths, common)
            console.print(
                Text(f"No room for {', '.join(left_out)}: a wider terminal or --json has all."),
                soft_wrap=not console.is_terminal,
            )
            return
    longest = max(map(len, names[1:]), default=0)
    for line in lines:
        console.print(Text(line[0], style="bold"), soft_wrap=True)
        for name, cell in zip(names[1:], line[1:], strict=True):
            if cell:
                start = f"  {name:{longest}}  "
                said = textwrap.wrap(
                    cell,
                    max(_NARROWEST, console.width - len(start)),
                    break_long_words=False,
                    break_on_hyphens=False,
                )
                console.print(Text(start + f"\n{' ' * len(start)}".join(said)), soft_wrap=True)
    console.print()


def _narrower(
    names: Sequence[str], lines: Lines, said_once: Collection[str]
) -> Iterator[tuple[list[str], list[list[str]], str]]:
    """The table as it is, and with fewer and fewer columns; and what has to be said above it."""
    chosen = list(range(len(names)))
    common = ""
    yield _of(chosen, names, lines, common)
    chosen = [index for index in chosen if not index or any(line[index] for line in lines)]
    yield _of(chosen, names, lines, common)
    if len(lines) > 1:
        alike = [
            index
            for index in chosen[1:]
            if names[index] in said_once and len({line[index] for line in lines}) == 1
        ]
        common = ", ".join(f"{names[index]} {lines[0][index]}" for index in alike)
        chosen = [index for index in chosen if index not in alike]
        yield _of(chosen, names, lines, common)
    chosen = [
        index
        for index in chosen
        if names[index] not in said_once
        or not all(_in_name(names[index], line[index], line[0]) for line in lines)
    ]
    yield _of(chosen, names, lines, common)


def _of(
    chosen: Sequence[int], names: Sequence[str], lines: Lines, common: str
) -> tuple[list[str], list[list[str]], str]:
    return [names[index] for index in chosen], [[line[index] for index in chosen] for line in lines], common


def _in_name(name: str, cell: str, row: str) -> bool:
    """Whether the name of a row says a cell: as one of its parts, or as one that begins with the column's name."""
    parts = re.split(r"[/-]", row)
    return cell in parts or f"{name}{cell}" in parts


def _widths(width: int, names: Sequence[str], lines: Lines, *, folds: bool) -> list[int] | None:
    """Widths of the columns with which the table fits; None where it does not. If it folds, names break."""
    room = width - 2 * len(names) - 1  # beside the cells: a space and a gap a column, and the edges
    content = [max([len(line[index]) for line in lines], default=0) for index in range(len(names))]
    whole = [max(width, len(name)) for width, name in zip(content, names, strict=True)]
    broken = [
        max([width, *map(len, name.split())]) for width, name in zip(content, names, strict=True)
    ]  # the names of columns on several lines
    parts = [part for line in lines for part in _parts(line[0])]
    first = max([_NARROWEST, len(names[0]), *map(len, parts)]) if names else 0
    folded = [min(broken[0], max(first, room - sum(broken[1:]))), *broken[1:]]
    return next((each for each in (whole, broken, folded)[: 3 if folds else 2] if sum(each) <= room), None)


def _parts(name: str) -> list[str]:
    """A name in the parts that it may be broken into."""
    return re.findall(r"[^/-]*[/-]|[^/-]+", name)


def _folded(name: str, width: int) -> str:
    """A name in lines of at most `width`, broken after ``/`` and ``-``.

    >>> _folded("digits/gsmflow/seed0", 16)
    'digits/gsmflow/\\nseed0'
    """
    rows = [""]
    for part in _parts(name):
        if rows[-1] and len(rows[-1] + part) > width:
            rows.append("")
        rows[-1] += part
    return "\n".join(rows)


def _print(console: Console, names: Sequence[str], lines: Lines, widths: Sequence[int], common: str) -> None:
    """Print a table, and above it what all its rows have in common."""
    if common:
        console.print(Text(f"all: {common}"), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, (name, width) in enumerate(zip(names, widths, strict=True)):
        table.add_column(name, justify="right" if index else "left", width=width)
    for line in lines:
        table.add_row(Text(_folded(line[0], widths[0])), *map(Text, line[1:]))
    console.print(table)
