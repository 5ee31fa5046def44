"""TensorBoard event files of a run, written while it trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.base.progress import Progress

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Together(Progress):
    """Several progress displays as one."""

    def __init__(self, watchers: Sequence[Progress]) -> None:
        self._watchers = watchers

    def begin(self, stage: str, start: int, total: int) -> None:
        """A stage of training begins."""
        for each in self._watchers:
            each.begin(stage, start, total)

    def step(self, done: int, losses: Mapping[str, float]) -> None:
        """One step of training is done."""
        for each in self._watchers:
            each.step(done, losses)

    def scored(self, done: int, scores: Mapping[str, float]) -> None:
        """A validation problem was scored."""
        for each in self._watchers:
            each.scored(done, scores)

    def end(self) -> None:
        """The stage ends."""
        for each in self._watchers:
            each.end()

    def message(self, text: str) -> None:
        """Something to tell the person."""
        for each in self._watchers:
            each.message(text)


class EventFiles(Progress):
    """Losses and scores by step, each stage of the run as a TensorBoard run of its own under `folder`.

    A continued stage discards what the interrupted run wrote after its checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError:
            raise InputError(
                f"TensorBoard is not installed: {installing('tensorboard')}",
                remedy="or leave out `tensorboard`",
            ) from None
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def begin(self, stage: str, start: int, total: int) -> None:
        """Open the event file of a stage."""
        from torch.utils.tensorboard import SummaryWriter

        self.end()
        name = stage.replace(" ", "-")
        try:
            self._writer = SummaryWriter(str(self._folder / name), purge_step=start + 1 if start else None)
        except OSError as error:
            raise InputError(f"{self._folder}: cannot be written to ({error.strerror})") from None

    def step(self, done: int, losses: Mapping[str, float]) -> None:
        """Write the losses of a step."""
        self._write(done, losses)

    def scored(self, done: int, scores: Mapping[str, float]) -> None:
        """Write validation scores."""
        self._write(done, {f"score/{name}": value for name, value in scores.items()})

    def end(self) -> None:
        """Write out and close the stage's file."""
        if self._writer:
            self._writer.close()
            self._writer = None

    def _write(self, done: int, values: Mapping[str, float]) -> None:
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(name.replace("loss_", "loss/"), value, done)


@contextmanager
def event_files(folder: Path, shown: Progress) -> Iterator[Progress]:
    """`shown` and event files under `folder` as one progress display. The files are closed however the run ends.

    Raises
    ------
    InputError
        TensorBoard is not installed, or the folder cannot be written to.
    """
    events = EventFiles(folder)
    try:
        yield Together([shown, events])
    finally:
        events.end()
