"""``gsmflow runs``: which runs there are, and what they reached."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from gsmflow.cli import options
from gsmflow.cli.grouping import grouped
from gsmflow.cli.saying import say

if TYPE_CHECKING:
    from gsmflow.runs.overview import RunSummary

_TEXTS = ("run", "problem", "method", "setting", "protocol", "seed")
_NUMBERS = ("U", "S", "H", "T1", "AUSUC", "seconds")
_SPARED = ("seconds", "T1", "AUSUC", "seed", "protocol")  # what a narrow terminal shows last


_problem = click.option("--problem", metavar="NAME", help="Only runs on this problem.")
_method = click.option("--method", metavar="NAME", help="Only runs of this method.")
_sort = click.option(
    "--sort",
    type=click.Choice((*_TEXTS, *_NUMBERS), case_sensitive=False),
    default="run",
    show_default=True,
    help="Column to sort by: scores from the highest, all others from the lowest.",
)


@dataclass(frozen=True)
class WantedOptions:
    """Which runs are listed, and in what order."""

    problem: Annotated[str | None, _problem]
    method: Annotated[str | None, _method]
    sort: Annotated[str, _sort]

    def holds(self, run: RunSummary) -> bool:
        """Whether a run is one of them."""
        pairs = ((self.problem, run.problem), (self.method, run.method))
        return all(wanted is None or wanted.lower() == name.lower() for wanted, name in pairs)

    def place(self, run: RunSummary) -> tuple[bool, float | str]:
        """What runs are ordered by; those without the value come last."""
        value = run.to_dict()[self.sort]
        if value is None:
            return True, 0.0
        return False, -value if self.sort in _NUMBERS[:-1] else value


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"))
@grouped(wanted=WantedOptions)
@options.as_json
def runs(folder: Path, wanted: WantedOptions, as_json: bool) -> None:
    """List the runs in FOLDER (default: runs) with their scores.

    Runs in folders below it, as bench, ablate and --seeds write them, are listed too.
    """
    from gsmflow.data.lending import Setting
    from gsmflow.runs.overview import runs_under

    everything, complaints = runs_under(folder)
    chosen = sorted(filter(wanted.holds, everything), key=wanted.place)
    for complaint in complaints:
        say(f"left out {complaint}", indent=2)
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "runs": [run.to_dict() for run in chosen]}))
        return
    if not chosen:
        what = "no such run" if everything else "no run"
        say(f"{folder}: {what} in it; `gsmflow train digits` makes one under runs/", indent=2)
        return
    from rich.console import Console

    from gsmflow.cli.wide import show_table

    names = (*_TEXTS, *_NUMBERS)
    lines = [_cells(run, folder) for run in chosen]
    if all(run.setting is Setting.INDUCTIVE for run in chosen):  # nothing to tell apart
        told = names.index("setting")
        names, lines = (
            (*names[:told], *names[told + 1 :]),
            [[*line[:told], *line[told + 1 :]] for line in lines],
        )
    console = Console()
    spared = [name for name in _SPARED if name != wanted.sort]
    show_table(console, names, lines, said_once=_TEXTS, spared=spared)
    for setting in Setting:
        if setting.short != setting.value and any(run.setting is setting for run in chosen):
            console.print(setting.value, highlight=False, markup=False)


def _cells(run: RunSummary, folder: Path) -> list[str]:
    """A line of the table: the path below the folder, scores in percent."""
    values = run.to_dict()
    path = run.folder.relative_to(folder).as_posix() if run.folder != folder else folder.name
    scores = [_percent(values[name]) for name in _NUMBERS[:-1]]
    seconds = f"{run.seconds:.0f}" if run.seconds is not None else "unfinished"
    return [path, run.problem, run.method, run.setting.short, run.protocol, str(run.seed), *scores, seconds]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"
