"""Work spread over a Ray cluster: the cells of a bench, the trials of a study.

They are the same runs as on one machine. A task trains in a folder of its own on whatever node it lands on,
and what it wrote travels back as bytes: nodes need not share a file system, but each needs the data sets
under the same path. A worker or node that dies has its task started again elsewhere; a run folder appears
whole, in one rename, so that nothing is counted twice.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from gsmflow.bench import Cell, Finished, Stopped
from gsmflow.errors import InputError
from gsmflow.files import make_folder, write_bytes

_RETRIES = 3  # of a task whose worker or node died
_PATIENCE = 5.0  # seconds to wait for a cluster's first answer


class RayWorkers:
    """Runs cells as Ray tasks of `threads` cores each; takes the place of :class:`gsmflow.bench.Workers`.

    Parameters
    ----------
    address: of a running cluster, ``auto`` for the one this machine belongs to, or empty for one of its own.
    """

    def __init__(self, root: Path, threads: int, address: str) -> None:
        self.root, self.threads, self.address = root, threads, address
        self._stopped = False

    def run(self, cells: Sequence[Cell], done: Callable[[Finished], None]) -> None:
        """Run all cells and hand each to `done` when it is finished.

        Raises
        ------
        InputError: Ray is not installed, or no cluster answers at the address.
        Stopped: :meth:`stop` was called.
        """
        with connected(self.address) as ray:
            task = ray.remote(num_cpus=self.threads, max_retries=_RETRIES)(train_cell)
            waiting = {task.remote(cell, self.threads): cell for cell in cells}
            while waiting and not self._stopped:
                ready, _ = ray.wait(list(waiting), timeout=0.5)
                for reference in ready:
                    cell = waiting.pop(reference)
                    try:
                        metrics, failure, files = ray.get(reference)
                    except ray.exceptions.RayError as error:
                        metrics, failure, files = None, _one_line(error), {}
                    if metrics is not None:
                        place(cell.folder(self.root), files)
                    done(Finished(cell, metrics, failure))
            for reference in waiting:
                ray.cancel(reference, force=True)
        if self._stopped:
            raise Stopped

    def stop(self) -> None:
        """Cancel what is running; finished cells are kept."""
        self._stopped = True


def train_cell(cell: Cell, threads: int) -> tuple[dict[str, Any] | None, str, dict[str, bytes]]:
    """Make the run of a cell in a passing folder: its metrics, or why there are none, and its files."""
    import torch

    from gsmflow import run, sources
    from gsmflow.devices import resolve_device
    from gsmflow.numerics import TrainingFailed
    from gsmflow.recipe import make_recipe

    torch.set_num_threads(threads)
    variant = cell.variant
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        try:
            metrics = run.train(
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


def evaluate_on_cluster(
    function: Callable[..., Any], jobs: Iterable[tuple[Any, tuple[Any, ...]]], *, address: str, threads: int
) -> Iterator[tuple[Any, Any]]:
    """Call `function` on the arguments of each job, as many at a time as the cluster has cores for.

    Yields (job's key, result or the exception) as they are finished. `jobs` is asked for the next one only
    when there is room, so that it may depend on results handed out before.
    """
    with connected(address) as ray:
        task = ray.remote(num_cpus=threads, max_retries=_RETRIES)(function)
        room = max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        source, waiting = iter(jobs), {}
        while True:
            while len(waiting) < room and (job := next(source, None)) is not None:
                waiting[task.remote(*job[1])] = job[0]
            if not waiting:
                return
            (ready, *_), _ = ray.wait(list(waiting))
            key = waiting.pop(ready)
            try:
                yield key, ray.get(ready)
            except Exception as error:  # a task's own, or that it was lost for good
                yield key, error


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster.

    Raises
    ------
    InputError: Ray is not installed, or no cluster answers.
    """
    try:
        import ray
    except ImportError:
        raise InputError("--on ray needs Ray; pip install 'gsmflow[ray]'") from None
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    already = ray.is_initialized()
    host, colon, port = address.rpartition(":")
    if not already and colon and port.isdigit():
        try:  # Ray itself would wait for minutes
            socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
        except OSError as error:
            raise InputError(f"--on ray:{address}: no cluster answers ({_one_line(error)})") from None
    if not already:
        try:
            ray.init(
                address or None,
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"--on ray:{address}: no cluster answers ({_one_line(error)})") from None
    with redirect_stdout(sys.stderr):  # or Ray would report lost workers between our own output
        try:
            yield ray
        finally:
            if not already:
                ray.shutdown()


def parse_place(text: str | None) -> str | None:
    """The address in ``ray`` or ``ray:ADDRESS``; None where nothing is said.

    Raises
    ------
    InputError: it is neither.
    """
    if text is None:
        return None
    kind, _, address = text.partition(":")
    if kind != "ray":
        raise InputError(f"--on {text}: expected ray, ray:auto or ray:HOST:PORT")
    return address


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
