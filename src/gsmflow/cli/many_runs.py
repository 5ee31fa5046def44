"""Shared by the commands that make many runs: a live display, and tables."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gsmflow.cli.saying import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gsmflow.studies.cells import Cell, Finished
    from gsmflow.studies.local import Workers
    from gsmflow.studies.ray import RayWorkers
    from gsmflow.studies.tables import Row


_LOG_WIDTH = 160  # columns where there is no terminal to ask
_SPARED = ("seconds", "T1", "AUSUC", "S", "U")  # columns that a narrow terminal shows last


class CellsFailed(RuntimeError):
    """Some runs failed; the tables say which."""


def run_cells(
    cells: Sequence[Cell],
    root: Path,
    jobs: int | None,
    threads: int | None,
    on: str | None = None,
    continues: str = "the same command",
) -> dict[Cell, dict[str, Any] | None]:
    """Run all cells that are not finished, with progress on stderr. Returns the metrics of all; None for a failed one.

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

    from gsmflow.cli.progress import counting
    from gsmflow.compute.ray import parse_place
    from gsmflow.files.atomic import make_folder
    from gsmflow.sources import check_name
    from gsmflow.studies.local import Workers, default_jobs
    from gsmflow.studies.ray import RayWorkers

    results = {cell: cell.finished(root) for cell in cells}
    waiting = [cell for cell, metrics in results.items() if metrics is None]
    console = Console(stderr=True, markup=False)
    each = threads or 1
    address = parse_place(on)
    workers = RayWorkers(root, each, address) if address is not None else None
    workers = workers or Workers(root, jobs or default_jobs(each), each)
    asked = {(cell.problem, cell.data_root, cell.features, cell.semantics) for cell in waiting}
    for problem, data_root, features, semantics in sorted(asked, key=str):  # refused before anything runs
        check_name(problem, data_root=data_root, features=features, semantics=semantics)
    of_this_program = dict.fromkeys(each for cell in waiting for each in cell.of_this_program)
    if address is not None:
        for registry, registered in of_this_program:
            registry.check_known_elsewhere(registered)
    finished_before = len(cells) - len(waiting)

    def say(text: str) -> None:
        # Broken between words in a terminal, whole in a file.
        console.print(text, highlight=False, markup=False, soft_wrap=not console.is_terminal)

    make_folder(root)
    with counting("runs", console, spoken=console.is_terminal) as told:
        if finished_before:
            say(f"{finished_before} of {len(cells)} runs were finished before")
        for registry, registered in of_this_program:
            say(
                f"{registry.what} '{registered}': registered in this program alone, so its runs are made in this "
                "process, one after another; an entry point would let them go side by side"
            )
        told(finished_before, len(cells))

        def done(finished: Finished) -> None:
            results[finished.cell] = finished.metrics
            said = f"failed: {finished.failure}"
            if finished.metrics:
                seconds = finished.metrics["seconds"]["total"]
                score = next((name for name in ("H", "S", "U") if finished.metrics[name] is not None), None)
                said = f"{score} {100 * finished.metrics[score]:.1f}, " if score else ""
                said += f"{seconds:.0f} seconds"
            say(f"{finished.cell.name}: {said}")
            told(sum(metrics is not None for metrics in results.values()), len(cells))

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
        say(f"gsmflow: {continues} continues where this one stopped", indent=2)
        raise click.Abort from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_tables(
    rows: Sequence[Row], reference: str | None, root: Path, title: str, notes: Sequence[str], as_json: bool
) -> None:
    """Print the table, and write it as table.md, .tex, .csv and .json."""
    from rich.console import Console

    from gsmflow.cli.wide import show_table
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
        lines = [
            [
                row.setting.short if name == "setting" else cell
                for name, cell in zip(names, line, strict=True)
            ][1:]
            for row, line in zip(rows, texts, strict=True)
            if row.problem == problem
        ]
        show_table(console, names[1:], lines, title=problem, spared=_SPARED)
    explained = {row.setting.value for row in rows if row.setting.short != row.setting.value}
    for note in (*sorted(explained), *notes):
        console.print(note, highlight=False, markup=False, soft_wrap=not console.is_terminal)
    say(f"tables in {root}: table.md, .tex, .csv, .json", err=False)


def check_failures(results: Mapping[Cell, dict[str, Any] | None]) -> None:
    """End the command with an error where a cell failed, after its tables are written.

    Raises
    ------
    CellsFailed
        A cell failed.
    """
    failed = [cell.name for cell, metrics in results.items() if metrics is None]
    if failed:
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        raise CellsFailed(
            f"{len(failed)} of {len(results)} runs gave no result, as said above: {', '.join(failed[:3])}{more}"
        )
