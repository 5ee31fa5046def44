"""The runs in a folder with their scores. None of them is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gsmflow.base.errors import InputError
from gsmflow.data.lending import Setting
from gsmflow.runs.folder import CONFIG, METRICS, read_config, read_metrics, setting_of
from gsmflow.scores.gzsl import SCORES


@dataclass(frozen=True)
class RunSummary:
    """One run in a line.

    Parameters
    ----------
    folder : Path
        The run folder.
    problem : str
        The name of the problem.
    method : str
        The name of the method.
    protocol : str
        The name of the protocol.
    seed : int
        The seed.
    scores : dict[str, float | None]
        U, S, H, T1 and AUSUC on the test set, as fractions; empty if the run is not finished.
    seconds : float | None
        How long the run took; None if it is not finished.
    setting : Setting
        What its training used of unseen classes.
    """

    folder: Path
    problem: str
    method: str
    protocol: str
    seed: int
    scores: dict[str, float | None]
    seconds: float | None
    setting: Setting = Setting.INDUCTIVE

    @property
    def finished(self) -> bool:
        """Whether it has scores."""
        return bool(self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "run": str(self.folder),
            "problem": self.problem,
            "method": self.method,
            "protocol": self.protocol,
            "setting": self.setting.value,
            "seed": self.seed,
            "finished": self.finished,
            **{name: self.scores.get(name) for name in SCORES},
            "seconds": self.seconds,
        }


def runs_under(folder: Path) -> tuple[list[RunSummary], list[str]]:
    """The runs below a folder, in the order of their paths, and a message for each that cannot be read.

    Raises
    ------
    InputError
        There is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name the one that holds runs")
    summaries, complaints = [], []
    for each in _run_folders(folder):
        try:
            summaries.append(summarize(each))
        except InputError as error:
            complaints.append(str(error))
    return summaries, complaints


def summarize(folder: Path) -> RunSummary:
    """One run.

    Raises
    ------
    InputError
        Its files are damaged.
    """
    config = read_config(folder)
    metrics = read_metrics(folder) if (folder / METRICS).exists() else {}
    try:
        asked = config["run"]
        seconds = metrics["seconds"]["total"] if metrics else None
        return RunSummary(
            folder,
            str(metrics.get("problem") or asked["problem"]),
            str(asked["method"]),
            str(metrics.get("protocol") or asked["protocol"]),
            int(asked["seed"]),
            {name: metrics[name] for name in SCORES} if metrics else {},
            seconds,
            setting_of(config),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: no run of this program ({error} is missing or wrong)") from None


def _run_folders(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if CONFIG in files:
            yield Path(place)
            folders.clear()  # what is in a run folder is its own
