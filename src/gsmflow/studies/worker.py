"""Makes one run of a study: the same function in a process of this machine and on a cluster."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gsmflow.base.errors import InputError
from gsmflow.base.progress import Progress
from gsmflow.files.atomic import arriving_folder, make_folder, write_bytes
from gsmflow.studies.cells import Cell


def make_run(job: str) -> dict[str, Any]:
    """Make the run that a job describes, or continue it where it stopped: its metrics.

    Parameters
    ----------
    job : str
        JSON, as [`Cell.job`][gsmflow.studies.cells.Cell.job] writes it.

    Raises
    ------
    InputError
        The request, the data or the run folder are wrong.
    TrainingFailed
        The training diverged.
    Interrupted
        A signal asked the run to stop; its checkpoint is written.
    """
    import torch

    from gsmflow import sources
    from gsmflow.compute.devices import resolve_device
    from gsmflow.recipes.recipe import make_recipe
    from gsmflow.runs.stopping import stoppable
    from gsmflow.runs.tensorboard import event_files
    from gsmflow.runs.train import train

    told = json.loads(job)
    cell, folder = Cell.from_dict(told["cell"]), Path(told["folder"])
    variant = cell.variant
    torch.set_num_threads(told["threads"])
    problem = sources.load(
        cell.problem, data_root=cell.data_root, features=cell.features, semantics=cell.semantics
    )
    with ExitStack() as open_:
        progress = Progress()
        if cell.tensorboard:
            progress = open_.enter_context(event_files(folder / "tensorboard", progress))
        # Signals reach the main thread alone. In another thread the caller has to end the run.
        main = threading.current_thread() is threading.main_thread()
        watch = open_.enter_context(stoppable()) if main else lambda recorder: None
        return train(
            cell.request,
            problem,
            make_recipe(variant.method, cell.chosen_preset, variant.overrides),
            device=resolve_device(cell.device),
            folder=folder,
            resume=True,
            progress=progress,
            checkpoint_seconds=cell.checkpoint_seconds,
            keep_data=cell.keep_data,
            on_recorder=watch,
            lanes=told["threads"],
        )


def train_cell(job: str) -> tuple[dict[str, Any] | None, str, dict[str, bytes]]:
    """Make the run of a job in a temporary folder. Returns its metrics, or why there are none, and its files."""
    from gsmflow.compute.finite import TrainingFailed

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        try:
            metrics = make_run(json.dumps(json.loads(job) | {"folder": str(folder)}))
        except (InputError, TrainingFailed) as error:
            return None, str(error), {}
        files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
        return metrics, "", {str(path.relative_to(folder)): path.read_bytes() for path in files}


def place(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files of a finished run to its folder, atomically."""
    make_folder(folder.parent)
    with arriving_folder(folder) as new:
        for name, content in files.items():
            make_folder((new / name).parent)
            write_bytes(new / name, content)
        if folder.exists():  # an unfinished run made on this machine
            shutil.rmtree(folder)


def job_from_parent() -> str:
    """The job in the first line of standard input; this process ends when its input ends.

    The study keeps the other end open while it waits. When that process ends, even by ``kill -9``, this one ends at
    once, as if it were killed. Run folders survive that, and the next run need not wait for this one.
    """
    line = b""
    while b"\n" not in line:
        part = os.read(0, 1 << 16)
        if not part:
            raise InputError("standard input: ended before a job was given; workers are started by a study")
        line += part

    def end_with_input() -> None:
        while os.read(0, 1 << 16):
            pass
        os._exit(1)

    threading.Thread(target=end_with_input, daemon=True).start()
    return line.partition(b"\n")[0].decode()
