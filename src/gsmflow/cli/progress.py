"""Progress on stderr: how far a command is and how long it will take.

In a terminal one line of at most 60 columns is kept up to date, with what is known about it below; elsewhere a
line is written now and then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from gsmflow.base.progress import Progress
from gsmflow.cli.saying import wrapped

WIDTH = 60  # columns that the line of progress takes at most
_BAR = 12  # columns of the bar
# Seconds and part of a stage before which its rate says little: first steps are slow
_FIRST, _PART = 2.0, 0.1
_PLAIN_SECONDS = 10  # between lines where the terminal is not live


class Pace:
    """Estimates how long a command of several stages will take, from the stages and steps that are done.

    Parameters
    ----------
    stages : int
        Stages of the whole command; those to come are taken to last as long as those so far.
    now : Callable[[], float]
        A clock, in seconds.
    """

    def __init__(self, stages: int, now: Callable[[], float] = time.monotonic) -> None:
        self.stages, self._now = stages, now
        self.stage = 0
        self._over: list[float] = []
        self._begun = self._start = self._done = self._total = 0.0

    def begin(self, start: int, total: int, stage: int | None = None) -> None:
        """A stage begins at step `start` of `total`: the next one, or number `stage` (from 1)."""
        if self._total:
            self._over.append(self._now() - self._begun)
        self.stage = stage or self.stage + 1
        self.stages = max(self.stages, self.stage)
        self._begun, self._start, self._done, self._total = self._now(), start, start, total

    def step(self, done: int) -> None:
        """Take note that `done` steps of the stage are done."""
        self._done = done

    @property
    def rate(self) -> float:
        """Steps per second in this stage."""
        return (self._done - self._start) / max(self._now() - self._begun, 1e-9)

    @property
    def left(self) -> float | None:
        """Seconds until the command ends; None as long as that cannot be estimated."""
        begins = self._now() - self._begun < _FIRST and self._done - self._start < _PART * self._total
        if not self.rate or begins:
            return None
        here = (self._total - self._done) / self.rate
        whole = self._total / self.rate
        usual = (sum(self._over) + whole) / (len(self._over) + 1)
        return here + (self.stages - self.stage) * usual


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds, as short as can be.

    >>> duration(7.2), duration(125), duration(7322), duration(None)
    ('7 s', '2:05', '2:02:02', '')
    """
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def rate_of(steps: float) -> str:
    """Steps a second in at most six columns.

    >>> rate_of(1234.5), rate_of(3.21), rate_of(0.0)
    ('1234/s', '3.2/s', '')
    """
    if not steps:
        return ""
    return f"{steps:.0f}/s" if steps >= 10 else f"{steps:.1f}/s"


class _Line(Bar):
    """One line for a task, and lines about it below, each cut at the end of the line."""

    def __init__(self, console: Console) -> None:
        self.notes: list[str] = []
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(bar_width=_BAR),
            _Count(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[left]}"),
            console=console,
        )

    def stop(self) -> None:
        """End the line: nothing is left, and what was never counted is not shown."""
        for task in self.tasks:
            self.update(task.id, left="", visible=task.visible and task.total is not None)
        super().stop()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for note in self.notes:
            if note:
                yield Text(f"  {note}", no_wrap=True, overflow="ellipsis", style="dim")


class _Count(ProgressColumn):
    """`120/3000`; nothing where the total is not known yet."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.completed:.0f}/{task.total:.0f}" if task.total else "")


@contextmanager
def live_display(title: str, pace: Pace, last: int) -> Iterator[Progress]:
    """Shows the progress of a run: one live line in a terminal, a line now and then elsewhere.

    Parameters
    ----------
    title : str
        A line above it.
    pace : Pace
        The pace of the whole command, which may make several runs.
    last : int
        Which of the command's stages (from 1) is the last of this run.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console, title, pace, last)
        return
    shown = _Bars(console, title, pace, last)
    with shown.bar:
        yield shown
        shown.clear()  # the scores say the rest; of a run that failed or was stopped the line stays


@contextmanager
def counting(
    what: str, console: Console | None = None, *, spoken: bool = True
) -> Iterator[Callable[[int, int], None]]:
    """Gives a function of (done, total) that shows progress: one live line in a terminal, lines elsewhere.

    Parameters
    ----------
    what : str
        The things that are counted, in the plural.
    console : Console | None
        Where; None: stderr.
    spoken : bool
        Whether lines are written where there is no terminal.
    """
    console = console or Console(stderr=True)
    pace = Pace(1)
    if console.is_terminal:
        with _Line(console) as bar:
            task = bar.add_task(what, total=None, rate="", left="")

            def show(done: int, total: int) -> None:
                if not pace.stage:
                    pace.begin(done, total)
                pace.step(done)
                bar.update(task, completed=done, total=total, rate=rate_of(pace.rate), left=_left(pace.left))

            yield show
        return
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if not spoken:
            return
        if done == total or time.monotonic() - last > _PLAIN_SECONDS:
            last = time.monotonic()
            console.print(f"  {done} of {total} {what}", highlight=False, markup=False, soft_wrap=True)

    yield tell


class _Lines(Progress):
    """One line every few seconds, for logs and pipes."""

    def __init__(self, console: Console, title: str, pace: Pace, last: int) -> None:
        self._console, self._title, self._pace, self._run_ends = console, title, pace, last
        self._total, self._last, self._scores = 0, 0.0, ""

    def begin(self, stage: str, start: int, total: int) -> None:
        # A continued run does not repeat finished stages, so the last stage is recognised by its name.
        self._pace.begin(start, total, self._run_ends if stage == "final" else None)
        self._total, self._last, self._scores = total, time.monotonic(), ""
        self._print(f"{self._title}: {_place(self._pace)}, {_stage(stage)}, step {start} of {total}")

    def step(self, done: int, losses: Mapping[str, float]) -> None:
        self._pace.step(done)
        if time.monotonic() - self._last > _PLAIN_SECONDS:
            self._last = time.monotonic()
            left = _left(self._pace.left)
            self._print(
                f"  step {done} of {self._total}: {_losses(losses)}{self._scores}" + f", {left}" * bool(left)
            )

    def scored(self, done: int, scores: Mapping[str, float]) -> None:
        self._scores = f", {_scores(scores)} at step {done}"

    def message(self, text: str) -> None:
        self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


class _Bars(Progress):
    """A live line for the current stage; below it what the stage is for, the losses and the latest scores."""

    def __init__(self, console: Console, title: str, pace: Pace, last: int) -> None:
        self.bar, self._pace, self._run_ends = _Line(console), pace, last
        self._task = self.bar.add_task("", total=None, visible=False, rate="", left="")
        self._name = self._losses = self._scores = ""
        console.print(title, style="bold", highlight=False, markup=False)

    def begin(self, stage: str, start: int, total: int) -> None:
        # A continued run does not repeat finished stages, so the last stage is recognised by its name.
        self._pace.begin(start, total, self._run_ends if stage == "final" else None)
        self._name, self._losses, self._scores = _stage(stage), "", ""
        self.bar.reset(
            self._task,
            description=_place(self._pace),
            completed=start,
            total=total,
            visible=True,
            rate="",
            left="",
        )
        self._note()

    def step(self, done: int, losses: Mapping[str, float]) -> None:
        self._pace.step(done)
        self._losses = _losses(losses)
        self._note()
        self.bar.update(
            self._task, completed=done, rate=rate_of(self._pace.rate), left=_left(self._pace.left)
        )

    def scored(self, done: int, scores: Mapping[str, float]) -> None:
        self._scores = f"{_scores(scores)} at step {done}"
        self._note()

    def clear(self) -> None:
        """Take the line away."""
        self.bar.notes = []
        self.bar.update(self._task, visible=False)

    def message(self, text: str) -> None:
        console = self.bar.console
        console.print(wrapped(text, console.width, 2), highlight=False, markup=False)

    def _note(self) -> None:
        self.bar.notes = [self._name, self._losses, self._scores]


def _place(pace: Pace) -> str:
    return f"stage {pace.stage} of {pace.stages}"


def _left(seconds: float | None) -> str:
    return f"{duration(seconds)} left" if seconds is not None else ""


def _stage(stage: str) -> str:
    if stage == "final":
        return "training on all training data"
    member, _, rest = stage.rpartition(", ")
    if member:
        return f"{member}, {_stage(rest)}"
    number = stage.removeprefix("validation").strip()
    return f"choosing on validation problem {number}" if number else "choosing on the validation problem"


def _losses(losses: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in losses.items())


def _scores(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {100 * value:.1f}" for name, value in scores.items())
