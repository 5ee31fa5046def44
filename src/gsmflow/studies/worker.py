"""One run of a study, made where it was sent: the same function for a local process and a cluster."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from gsmflow.base.errors import InputError
from gsmflow.files.atomic import make_folder, write_bytes
from gsmflow.studies.cells import Cell


def train_cell(cell: Cell, threads: int) -> tuple[dict[str, Any] | None, str, dict[str, bytes]]:
    """Make the run of a cell in a passing folder: its metrics, or why there are none, and its files."""
    import torch

    from gsmflow import sources
    from gsmflow.compute.devices import resolve_device
    from gsmflow.compute.finite import TrainingFailed
    from gsmflow.recipes.recipe import make_recipe
    from gsmflow.runs.train import train

    torch.set_num_threads(threads)
    variant = cell.variant
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        try:
            metrics = train(
                cell.request,
                sources.load(
                    cell.problem, data_root=cell.data_root, features=cell.features, semantics=cell.semantics
                ),
                make_recipe(variant.method, cell.chosen_preset, variant.overrides),
                device=resolve_device(cell.device),
                folder=folder,
            )
        except (InputError, TrainingFailed) as error:
            return None, str(error), {}
        names = [path.name for path in folder.iterdir() if path.is_file() and path.name != ".lock"]
        return metrics, "", {name: (folder / name).read_bytes() for name in names}


def place(folder: Path, files: dict[str, bytes]) -> None:
    """Put a finished run where it belongs, whole or not at all."""
    make_folder(folder.parent)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".arriving-"))
    try:
        for name, content in files.items():
            write_bytes(temporary / name, content)
        temporary.chmod(0o755)
        if folder.exists():  # an unfinished run made on this machine
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
