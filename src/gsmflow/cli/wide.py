"""Tables that fit the terminal. A table that is too wide becomes one block a row; no cell is cut."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


def show_table(
    console: Console, names: Sequence[str], lines: Sequence[Sequence[str]], title: str = ""
) -> None:
    """Print a table whose first column names the row, or blocks of ``name  value`` where it is too wide.

    Parameters
    ----------
    console : Console
        Where it is printed; its width decides.
    names : Sequence[str]
        (C,) names of the columns.
    lines : Sequence[Sequence[str]]
        (R, C) cells; an empty one is left out of a block.
    title : str
        A line above it.
    """
    if title:
        console.print(Text(title, style="italic"))
    room = console.width - 2 * len(names) - 1  # beside the cells: a space and a gap a column, and the edges
    content = [max([len(line[index]) for line in lines], default=0) for index in range(len(names))]
    whole = [max(width, len(name)) for width, name in zip(content, names, strict=True)]
    broken = [
        max([width, *map(len, name.split())]) for width, name in zip(content, names, strict=True)
    ]  # the names of columns on several lines
    widths = next((each for each in (whole, broken) if sum(each) <= room), None)
    if widths:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for index, (name, width) in enumerate(zip(names, widths, strict=True)):
            table.add_column(name, justify="right" if index else "left", width=width)
        for line in lines:
            table.add_row(*map(Text, line))
        console.print(table)
        return
    longest = max(map(len, names[1:]), default=0)
    for line in lines:
        console.print(Text(line[0], style="bold"), soft_wrap=True)
        for name, cell in zip(names[1:], line[1:], strict=True):
            if cell:
                console.print(Text(f"  {name:{longest}}  {cell}"), soft_wrap=True)
    console.print()
