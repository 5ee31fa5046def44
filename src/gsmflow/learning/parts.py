"""Parts of a run that are computed at the same time, and adding what they recorded to the run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from threading import Lock

from torch import Tensor

from gsmflow.base.progress import Progress
from gsmflow.files.atomic import make_folder
from gsmflow.learning.journal import CHECKPOINT, Recorder


class PartRecorder(Recorder):
    """Records a part of a run. The part stops when the run is asked to stop.

    Its history and its checkpoint are stored beside the checkpoint of the run. If the run is resumed, the part
    continues too.

    Parameters
    ----------
    whole : Recorder
        The recorder of the run.
    name : str
        The name of the part; parts that are computed at the same time need different names.
    progress : Progress
        Receives its events.
    lock : Lock
        Shared by all parts of the run that are computed at the same time.
    """

    def __init__(self, whole: Recorder, name: str, progress: Progress, lock: Lock) -> None:
        self._whole, self._lock = whole, lock
        self._stop, self._given_up = False, False
        self.may_end: frozenset[int] = frozenset()
        """Steps that are logged because each of them may become the last step of the training."""
        folder = whole.folder / CHECKPOINT.parent / name if whole.folder else None
        if folder is not None:
            if not whole.resumed:
                shutil.rmtree(folder, ignore_errors=True)
            make_folder(folder)
        super().__init__(folder, progress, whole.checkpoint_seconds)
        self.resume()

    @property
    def stop_requested(self) -> bool:
        """Whether the run was asked to stop, or this part of it."""
        return self._stop or self._whole.stop_requested

    @stop_requested.setter
    def stop_requested(self, wanted: bool) -> None:
        self._stop = wanted

    def give_up(self) -> None:
        """Stop without a checkpoint: the run has failed, and may have to remove everything it wrote."""
        self._given_up = self._stop = True

    def logs(self, done: int, last: int) -> bool:
        """Whether step `done` of a training that ends with step `last` is logged."""
        return super().logs(done, last) or done in self.may_end

    def save(self, state: Mapping[str, Tensor]) -> None:
        """Write a checkpoint now; before the first one, that of the run, which says that it can be continued."""
        whole = self._whole
        if self._given_up:
            return
        with self._lock:
            if whole.folder and not (whole.folder / CHECKPOINT).exists():
                whole.save({})
        super().save(state)


def has_part(whole: Recorder, name: str) -> bool:
    """Whether an earlier attempt at the run left a part of that name."""
    return whole.resumed and whole.folder is not None and (whole.folder / CHECKPOINT.parent / name).exists()


def take_over(whole: Recorder, part: PartRecorder) -> None:
    """Add the history, the records and the seconds of a finished part to those of the run."""
    for entry in part.history:
        whole.log(entry)
    _add_seconds(whole, part)
    for name, value in part.records.items():
        held = whole.records.get(name)
        if name != "seconds":
            whole.records[name] = held | value if isinstance(held, dict) else value


def take_over_training(whole: Recorder, part: PartRecorder, done: int, last: int) -> None:
    """Add the history of the first `done` steps of a training, which ends at step `last`, to the history of the run."""
    for entry in part.history:
        if entry["step"] <= done and Recorder.logs(whole, entry["step"], last):
            whole.log(entry)
    _add_seconds(whole, part)


def _add_seconds(whole: Recorder, part: PartRecorder) -> None:
    seconds = whole.records.setdefault("seconds", {})
    for name, spent in part.records.get("seconds", {}).items():
        seconds[name] = seconds.get(name, 0.0) + spent
