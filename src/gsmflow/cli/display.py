"""What a person sees in the terminal: live progress while training, tables at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bar,
)
from rich.table import Table
from rich.text import Text

from gsmflow.base.progress import Progress
from gsmflow.data.problem import Problem
from gsmflow.scores.gzsl import GZSL_SCORES, SCORES

if TYPE_CHECKING:
    from gsmflow.runs.add_classes import Addition

_PLAIN_SECONDS = 10  # between lines where the terminal is not live


@contextmanager
def live_display(title: str) -> Iterator[Progress]:
    """A display on stderr: bars in a terminal, a line now and then elsewhere."""
    console = Console(stderr=True, markup=False)
    if not console.is_terminal:
        yield _Lines(console, title)
        return
    shown = _Bars(console, title)
    with shown.bar:
        yield shown


class _Lines(Progress):
    """One line every few seconds, for logs and pipes."""

    def __init__(self, console: Console, title: str) -> None:
        self._console, self._title = console, title
        self._stage, self._total, self._last, self._scores = "", 0, 0.0, ""

    def begin(self, stage: str, start: int, total: int) -> None:
        self._stage, self._total, self._last, self._scores = stage, total, time.monotonic(), ""
        self._print(f"{self._title}: {_stage(stage)}, step {start} of {total}")

    def step(self, done: int, losses: Mapping[str, float]) -> None:
        if time.monotonic() - self._last > _PLAIN_SECONDS:
            self._last = time.monotonic()
            self._print(f"  step {done} of {self._total}: {_losses(losses)}{self._scores}")

    def scored(self, done: int, scores: Mapping[str, float]) -> None:
        self._scores = f", {_scores(scores)} at step {done}"

    def message(self, text: str) -> None:
        self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


class _Bars(Progress):
    """A bar a stage, with losses, the latest scores, steps a second and the time left."""

    def __init__(self, console: Console, title: str) -> None:
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            expand=True,
        )
        console.print(title, style="bold", highlight=False, markup=False)
        self._task: TaskID | None = None
        self._start, self._begun = 0, 0.0
        self._notes = self.bar.add_task("", total=None, visible=False, speed="")
        self._losses = self._scores = ""
        self._name = ""

    def begin(self, stage: str, start: int, total: int) -> None:
        self._name = _stage(stage)
        self._task = self.bar.add_task(self._name, total=total, completed=start, speed="")
        self._start, self._begun, self._losses, self._scores = start, time.monotonic(), "", ""

    def step(self, done: int, losses: Mapping[str, float]) -> None:
        if self._task is None:
            return
        self._losses = _losses(losses)
        rate = (done - self._start) / max(time.monotonic() - self._begun, 1e-9)
        self.bar.update(self._task, completed=done, speed=f"{rate:.0f} steps/s", description=self._text())

    def scored(self, done: int, scores: Mapping[str, float]) -> None:
        self._scores = f"{_scores(scores)} at {done}"
        if self._task is not None:
            self.bar.update(self._task, description=self._text())

    def message(self, text: str) -> None:
        self.bar.console.print(text, highlight=False, markup=False)

    def _text(self) -> str:
        return "\n  ".join(part for part in (self._name, self._losses, self._scores) if part)


def closing_table(result: Mapping[str, Any]) -> None:
    """The scores of a run on stdout."""
    from gsmflow.protocol.choice import ChosenOn
    from gsmflow.runs.metrics import Chosen

    table = Table(
        title=f"{result['problem']}: {result['method']}, seed {result['seed']}", title_justify="left"
    )
    table.add_column("")
    for column in SCORES:
        table.add_column(column, justify="right")
    table.add_row(
        f"test set, protocol {result['protocol']}",
        *(_percent(result[c]) for c in SCORES),
    )
    chosen, oracle = result.get("chosen"), result.get("oracle")
    if chosen:
        trusted = Chosen.from_dict(chosen, "chosen").on is ChosenOn.VALIDATION
        table.add_row(
            "validation problem, where it was chosen" if trusted else chosen["on"],
            *(_percent(chosen[c]) if trusted or c == "S" else "" for c in GZSL_SCORES),
            "",
            "",
            style="dim",
        )
    if oracle:
        table.add_row(
            "oracle (chosen on the test set)",
            *(_percent(oracle[c]) for c in GZSL_SCORES),
            "",
            "",
            style="dim",
        )
    console = Console(markup=False)
    console.print(table)
    facts = []
    if "seconds" in result:
        facts.append(f"{result['seconds']['total']:.1f} seconds")
    if result.get("same_data") is False:
        facts.append("on other data than it was trained on")
    console.print(
        ", ".join([*facts, f"run in {result['run']}"]), highlight=False, markup=False, soft_wrap=True
    )


def addition_table(addition: Addition) -> None:
    """What adding classes did to the accuracy of the old ones, on stdout."""
    table = Table(title=Text(f"added: {', '.join(addition.added)}"), title_justify="left")
    table.add_column("old classes, test set")
    for column in GZSL_SCORES:
        table.add_column(column, justify="right")
    before, after = addition.before.to_dict(), addition.after.to_dict()
    for name, scores in (("before", before), ("after", after)):
        table.add_row(name, *(_percent(scores[column]) for column in GZSL_SCORES))
    console = Console(markup=False)
    console.print(table)
    old = addition.before.per_class
    lost = sorted((addition.after.per_class[name] - value, name) for name, value in old.items())
    worst = [f"{name} {100 * change:+.1f}" for change, name in lost[:3] if change < 0]
    facts = [f"{addition.seconds:.1f} seconds", *([f"most lost: {', '.join(worst)}"] if worst else [])]
    if not old:
        facts.append("no test samples to score")
    console.print(
        ", ".join([*facts, f"new version in {addition.folder}"]),
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def seeds_table(results: Sequence[Mapping[str, Any]]) -> None:
    """Mean and 95% interval of each score over several seeds on stdout."""
    from gsmflow.scores.gzsl import mean_interval

    table = Table(
        title=f"{len(results)} seeds, mean ± 95% interval, protocol {results[0]['protocol']}",
        title_justify="left",
    )
    for column in SCORES:
        table.add_column(column, justify="right")
    cells = []
    for column in SCORES:
        values = [r[column] for r in results if r[column] is not None]
        mean, half = mean_interval(values)
        cells.append(f"{100 * mean:.1f} ± {100 * half:.1f}" if values else "-")
    table.add_row(*cells)
    Console(markup=False).print(table)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _stage(stage: str) -> str:
    if stage == "final":
        return "training on all training data"
    number = stage.removeprefix("validation").strip()
    return f"choosing on validation problem {number}" if number else "choosing on the validation problem"


def _losses(losses: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in losses.items())


def _scores(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {100 * value:.1f}" for name, value in scores.items())


def problem_table(problem: Problem) -> None:
    """What `gsmflow data PROBLEM` shows on stdout."""
    console = Console(markup=False)
    counts = problem.summary()
    table = Table(title=f"{problem.name}: read and checked", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in counts["counts"].items():
        table.add_row(name.replace("_", " "), str(value))
    console.print(table)
    for kind in ("seen", "unseen"):
        names = counts["classes"][kind]
        shown = ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
        console.print(f"{kind} classes: {shown}", highlight=False, markup=False, soft_wrap=True)
    few = [f"{name} ({count})" for name, count in counts["training_samples"].items() if 0 < count < 10]
    if few:
        console.print(
            f"few training samples: {', '.join(few[:12])}", highlight=False, markup=False, soft_wrap=True
        )
    for key, note in counts["notes"].items():
        console.print(f"{key.replace('_', ' ')}: {note}", highlight=False, markup=False, soft_wrap=True)


def tell_remarks(problem: Problem) -> None:
    """Say on stderr which columns of the data were left out, and of which digits are lost."""
    for key in ("left out", "digits", "digits of semantics"):
        if key in problem.notes:
            click.echo(f"{key}: {problem.notes[key]}", err=True)


def data_table(known: Sequence[Any], data_root: Path) -> None:
    """What `gsmflow data` shows on stdout."""
    console = Console(markup=False)
    table = Table(title=f"Data sets, looked for under {data_root}", title_justify="left")
    for column in (
        "name",
        "found",
        "samples",
        "features",
        "semantics",
        "seen + unseen",
        "train / test seen / unseen",
    ):
        # Names of files are what --features and --semantics take: never cut short, however narrow the terminal.
        table.add_column(column, overflow="fold")
    for each in known:
        counts = each.counts
        table.add_row(
            each.name,
            "yes" if each.found else "unreadable" if each.message else "no",
            str(counts["samples"]) if counts else "",
            f"{counts['feature_dim']}-d {', '.join(each.features)}" if counts else ", ".join(each.features),
            f"{counts['semantic_dim']}-d {', '.join(each.semantics)}" if counts else "",
            f"{counts['seen']} + {counts['unseen']}" if counts else "",
            f"{counts['train']} / {counts['test_seen']} / {counts['test_unseen']}" if counts else "",
        )
    console.print(table)
    for each in known:
        lines = [f"{each.name}: {each.title}"]
        if each.split:
            lines.append(f"split: {each.split}")
        if each.message:
            lines.append(each.message)
        if each.expected and not each.found:
            lines.append(f"expected: {', '.join(each.expected)}")
        lines.append(f"from: {each.citation}")
        console.print("\n  ".join(lines), highlight=False, markup=False, soft_wrap=True)
