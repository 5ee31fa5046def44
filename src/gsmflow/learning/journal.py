"""Records a run as it goes: history, checkpoint and scores, so that a killed run can be continued."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.base.progress import Progress
from gsmflow.compute.data_parallel import anywhere
from gsmflow.compute.finite import LossGuard, check_state
from gsmflow.files.atomic import make_folder, write_bytes
from gsmflow.files.tensors import read_tensors, write_tensors
from gsmflow.learning.learner import Learner, Losses

_LOG_EVERY = 20  # steps between two lines of history


CHECKPOINT = Path("checkpoint") / "state.safetensors"  # in a run folder


class Interrupted(Exception):
    """The run was asked to stop and has written a checkpoint to continue from."""


class Recorder:
    """Watches a run stage by stage. Without a folder it keeps everything in memory.

    The checkpoint is one safetensors file: the learner's state, and as its meta the stage, the step, all
    records (scores of evaluations and finished choices), and the length of the history. A single file is
    always consistent with itself.

    Parameters
    ----------
    folder : Path | None
        The run folder; its ``history.jsonl`` and ``checkpoint/`` are written here.
    progress : Progress | None
        Receives every logged step and every evaluation.
    checkpoint_seconds : float
        Approximate time between two checkpoints.
    follows : Path | None
        Where another process writes this run: the checkpoint is read from this folder, and nothing is
        written. Only without `folder`.
    """

    def __init__(
        self,
        folder: Path | None = None,
        progress: Progress | None = None,
        checkpoint_seconds: float = 60,
        *,
        follows: Path | None = None,
    ) -> None:
        self._follows = follows
        self.folder, self.progress = folder, progress or Progress()
        self.records: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.stop_requested, self.resumed = False, False
        self._kept: dict[str, tuple[dict[str, Tensor], Any]] = {}
        self._seconds_before, self._begun = 0.0, time.monotonic()
        self.checkpoint_seconds, self._saved = checkpoint_seconds, time.monotonic()
        self._stage, self._done, self._total = "", 0, 0
        self._guard = LossGuard()
        self._resume: tuple[dict[str, Tensor], dict[str, Any]] | None = None

    @property
    def seconds(self) -> float:
        """Time spent on the run, including earlier attempts up to their last checkpoint."""
        return self._seconds_before + time.monotonic() - self._begun

    @property
    def done(self) -> int:
        """Steps of the present stage that are done."""
        return self._done

    @property
    def _checkpoint_file(self) -> Path | None:
        return self.folder / CHECKPOINT if self.folder else None

    @property
    def _resumed_file(self) -> Path | None:
        return self._follows / CHECKPOINT if self._follows else self._checkpoint_file

    def resume(self) -> bool:
        """Read the checkpoint of the folder, if there is one, to continue from it.

        Raises
        ------
        InputError
            The checkpoint is damaged.
        """
        file = self._resumed_file
        if file is None or not file.exists():
            return False
        tensors, meta = read_tensors(file)
        try:
            self.records, self._seconds_before = meta["records"], float(meta["seconds"])
            line_count = int(meta["history"])
            self._resume = tensors, {"stage": meta["stage"], "done": int(meta["done"])}
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{file}: not a checkpoint of this program; delete the folder {file.parent} to start over"
            ) from None
        history = self._history_file
        try:
            lines = history.read_bytes().splitlines()[:line_count] if history and history.exists() else []
            self.history = [json.loads(line) for line in lines]
        except OSError as error:
            raise InputError(f"{history}: cannot be read ({error.strerror})") from None
        except ValueError:
            raise InputError(
                f"{history}: damaged; delete the folder {file.parent} to start the run over"
            ) from None
        self._write_history()
        self.resumed = True
        return True

    def began(self, stage: str) -> bool:
        """Whether a checkpoint was read in which something of a stage is recorded."""
        return stage in self.records or bool(self._resume and self._resume[1]["stage"] == stage)

    def start_at(self, stage: str, done: int, state: Mapping[str, Tensor]) -> None:
        """Let a stage begin after `done` of its steps, with the learner in this state."""
        self._resume = dict(state), {"stage": stage, "done": done}

    def begin(self, stage: str, learner: Learner, total: int) -> int:
        """Begin a stage of `total` steps, from the checkpoint if it belongs to this stage; returns the steps
        that are done.
        """
        self._stage, self._done, self._total = stage, 0, total
        if self._resume and self._resume[1]["stage"] == stage:
            tensors, meta = self._resume
            try:
                learner.load_state(tensors)
            except ValueError as error:
                raise InputError(
                    f"{self._checkpoint_file}: does not fit this run ({error})",
                    remedy="start over without `resume`",
                ) from None
            self._done = meta["done"]
            self._resume = None
        self.progress.begin(stage, self._done, total)
        return self._done

    def stepped(self, done: int, losses: Losses, learner: Learner) -> None:
        """Log every few steps, write a checkpoint when one is due or the run is asked to stop.

        Raises
        ------
        TrainingFailed
            A loss since the last logged step, or a value of the state to be saved, is not finite.
        """
        self._done = done
        self._guard.note(done, losses)
        if self.logs(done, self._total):
            values = {name: float(value) for name, value in losses.items()}
            self._guard.check()
            self.log({"stage": self._stage, "step": done, **values})
            self.progress.step(done, values)
        if anywhere(self.stop_requested, next(iter(losses.values())).device):
            self.checkpoint(learner)
            raise Interrupted
        if time.monotonic() - self._saved > self.checkpoint_seconds:
            self.checkpoint(learner)

    def logs(self, done: int, last: int) -> bool:
        """Whether step `done` of a training that ends with step `last` is logged."""
        return done % _LOG_EVERY == 0 or done in (1, last)

    def paused(self, learner: Learner) -> None:
        """Check the learner before an evaluation or a checkpoint, so that nothing that diverged is used.

        Raises
        ------
        TrainingFailed
            A loss or a value of the learner's state is not finite.
        """
        self._guard.check()
        check_state(self._done, learner.state())

    def scored(self, done: int, scores: Mapping[str, float]) -> None:
        """Note the scores of an evaluation in the history."""
        shown = {k: v if math.isfinite(v) else None for k, v in scores.items()}
        self.log({"stage": self._stage, "step": done, "scores": shown})
        self.progress.scored(done, scores)

    def end(self, learner: Learner) -> None:
        """End the stage, and write a checkpoint that records it."""
        self.checkpoint(learner)
        self.progress.end()

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Add the time spent inside to the seconds of `part`."""
        begun = time.monotonic()
        try:
            yield
        finally:
            parts = self.records.setdefault("seconds", {})
            parts[part] = parts.get(part, 0.0) + time.monotonic() - begun

    def keep(self, name: str, tensors: Mapping[str, Tensor], meta: Any) -> None:
        """Store a result of the run beside the checkpoint, for [`kept`][gsmflow.learning.journal.Recorder.kept]."""
        if self.folder:
            make_folder(self.folder / "checkpoint")
            write_tensors(self.folder / "checkpoint" / f"{name}.safetensors", tensors, meta)
        else:
            self._kept[name] = {n: t.detach().cpu().clone() for n, t in tensors.items()}, meta

    def kept(self, name: str) -> tuple[dict[str, Tensor], Any]:
        """What [`keep`][gsmflow.learning.journal.Recorder.keep] stored under `name`."""
        folder = self.folder or self._follows
        if folder and name not in self._kept:
            return read_tensors(folder / "checkpoint" / f"{name}.safetensors")
        return self._kept[name]

    def checkpoint(self, learner: Learner) -> None:
        """Write a checkpoint now, unless the training has diverged.

        Raises
        ------
        TrainingFailed
            The training has diverged.
        """
        self.paused(learner)
        self.save(learner.state())

    def save(self, state: Mapping[str, Tensor]) -> None:
        """Write a checkpoint now, with this state of a learner; nothing without a folder."""
        file = self._checkpoint_file
        if file is None:
            return
        meta = {
            "stage": self._stage,
            "done": self._done,
            "records": self.records,
            "seconds": self.seconds,
            "history": len(self.history),
        }
        make_folder(file.parent)
        self._settle_history()
        write_tensors(file, state, meta)
        self._saved = time.monotonic()

    def finished(self) -> None:
        """The run is complete: the checkpoint is no longer needed."""
        if self._checkpoint_file:
            shutil.rmtree(self._checkpoint_file.parent, ignore_errors=True)

    @property
    def _history_file(self) -> Path | None:
        return self.folder / "history.jsonl" if self.folder else None

    def log(self, entry: dict[str, Any]) -> None:
        """Append a line to the history."""
        self.history.append(entry)
        if self._history_file:
            try:
                with self._history_file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")
            except OSError as error:
                raise InputError(
                    f"{self._history_file}: cannot be written ({error.strerror})",
                    remedy="free space, then `resume`",
                ) from None

    def _settle_history(self) -> None:
        """Flush the history to the disk before a checkpoint that counts its lines."""
        if self._history_file and self._history_file.exists():
            with self._history_file.open("rb") as file:
                os.fsync(file.fileno())

    def _write_history(self) -> None:
        if self._history_file:
            text = "".join(json.dumps(entry) + "\n" for entry in self.history)
            write_bytes(self._history_file, text.encode())
