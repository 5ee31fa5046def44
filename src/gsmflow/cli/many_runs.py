"""What commands of many runs share: cells run with a live display, tables written."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gsmflow.base.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gsmflow.studies.cells import Cell, Finished
    from gsmflow.studies.local import Workers
    from gsmflow.studies.ray import RayWorkers
    from gsmflow.studies.tables import Row


_LOG_WIDTH = 160  # columns where there is no terminal to ask


class CellsFailed(RuntimeError):
    """Some cells gave no result; the tables say which."""


def run_cells(
    cells: Sequence[Cell],
    root: Path,
    jobs: int | None,
    threads: int | None,
    on: str | None = None,
    continues: str = "the same command",
) -> dict[Cell, dict[str, Any] | None]:
    """Metrics of every cell, those finished before included, None for a failed one; progress on stderr.

    Parameters
    ----------
    cells : Sequence[Cell]
        The runs.
    root : Path
        Folder of the run folders.
    jobs : int | None
        Runs at a time; None: chosen by the number of cores.
    threads : int | None
        Threads of each run; None: chosen by the number of cores.
    on : str | None
        ``ray`` or ``ray:ADDRESS``; None: this machine.
    continues : str
        How to continue after an interruption, for the message.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from gsmflow.compute.ray import parse_place
    from gsmflow.files.atomic import make_folder
    from gsmflow.studies.local import Workers, default_jobs
    from gsmflow.studies.ray import RayWorkers

    make_folder(root)
    results = {cell: cell.finished(root) for cell in cells}
    waiting = [cell for cell, metrics in results.items() if metrics is None]
    console = Console(stderr=True, markup=False)
    each = threads or 1
    address = parse_place(on)
    workers = RayWorkers(root, each, address) if address is not None else None
    workers = workers or Workers(root, jobs or default_jobs(each), each)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("runs", total=len(cells), completed=len(cells) - len(waiting))
        if len(waiting) < len(cells):
            bar.console.print(f"{len(cells) - len(waiting)} of {len(cells)} runs were finished before")

        def done(finished: Finished) -> None:
            results[finished.cell] = finished.metrics
            bar.advance(task)
            said = f"failed: {finished.failure}"
            if finished.metrics:
                seconds = finished.metrics["seconds"]["total"]
                said = f"H {100 * (finished.metrics['H'] or 0):.1f}, {seconds:.0f} seconds"
            bar.console.print(f"{finished.cell.name}: {said}", highlight=False, markup=False, soft_wrap=True)

        with _stopping(workers, continues):
            workers.run(waiting, done)
    return results


@contextmanager
def _stopping(workers: Workers | RayWorkers, continues: str) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into a request to stop."""
    from gsmflow.studies.local import Stopped

    def stop(number: int, frame: Any) -> None:
        workers.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except Stopped:
        click.echo(f"gsmflow: {continues} continues where this one stopped", err=True)
        raise click.Abort from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_tables(
    rows: Sequence[Row], reference: str | None, root: Path, title: str, notes: Sequence[str], as_json: bool
) -> None:
    """Print the table, and write it as table.md, .tex, .csv and .json."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from gsmflow.files.atomic import write_bytes, write_json
    from gsmflow.studies import tables

    content = {"title": title, "rows": [row.to_dict() for row in rows], "notes": list(notes)}
    write_json(root / "table.json", content)
    written = f"{title}\n\n{tables.markdown(rows, reference)}\n" + "".join(f"{note}\n" for note in notes)
    write_bytes(root / "table.md", written.encode())
    write_bytes(root / "table.tex", tables.latex(rows, reference).encode())
    write_bytes(root / "table.csv", tables.comma_separated(rows).encode())
    if as_json:
        click.echo(json.dumps(content, allow_nan=False))
        return
    console = Console(markup=False)
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH, markup=False)
    names, texts = tables.cells(rows, reference)
    console.print(title, style="bold", highlight=False)
    for problem in dict.fromkeys(row.problem for row in rows):
        table = Table(title=problem, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for index, name in enumerate(names[1:]):
            table.add_column(name, justify="right" if index else "left", overflow="fold")
        for row, line in zip(rows, texts, strict=True):
            if row.problem == problem:
                table.add_row(*line[1:])
        console.print(table)
    for note in notes:
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"tables in {root}: table.md, .tex, .csv, .json", highlight=False, markup=False, soft_wrap=True
    )


def by_problem(values: Sequence[str], option: str, problems: Sequence[str]) -> dict[str, str]:
    """``VALUE`` for all problems, under "", or ``PROBLEM=VALUE`` for one.

    Raises
    ------
    InputError
        A problem that is not among them.
    """
    found = {}
    for text in values:
        problem, separator, value = text.rpartition("=")
        if separator and problem not in problems:
            raise InputError(f"{option} {text}: '{problem}' is not among the problems {', '.join(problems)}")
        found[problem] = value
    return found


def check_failures(results: Mapping[Cell, dict[str, Any] | None]) -> None:
    """End the command with an error where a cell failed, after its tables are written.

    Raises
    ------
    CellsFailed
        Some did.
    """
    failed = [cell.name for cell, metrics in results.items() if metrics is None]
    if failed:
        raise CellsFailed(f"{len(failed)} of {len(results)} runs gave no result: {', '.join(failed[:3])}")
