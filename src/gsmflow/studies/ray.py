"""Work spread over a Ray cluster: the cells of a bench, the trials of a study.

They are the same runs as on one machine. A task trains in a temporary folder on any node, and its files are
sent back as bytes. So nodes need no common file system, but each needs the data sets under the same path. If
a worker or node dies, its task is started again elsewhere. A run folder appears complete in one rename, so
nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gsmflow.compute.ray import _one_line, connected
from gsmflow.studies.cells import Cell, Finished
from gsmflow.studies.local import Stopped
from gsmflow.studies.worker import place, train_cell

_RETRIES = 3  # attempts at a task whose worker or node died


class RayWorkers:
    """Runs cells as Ray tasks; takes the place of [`Workers`][gsmflow.studies.local.Workers].

    Parameters
    ----------
    root : Path
        Folder of the run folders.
    threads : int
        Cores of each run.
    address : str
        Address of a running cluster; ``auto`` for the one this machine belongs to; empty to start one here.
    """

    def __init__(self, root: Path, threads: int, address: str) -> None:
        self.root, self.threads, self.address = root, threads, address
        self._stopped = False

    def run(self, cells: Sequence[Cell], done: Callable[[Finished], None]) -> None:
        """Run all cells and hand each to `done` when it is finished.

        Raises
        ------
        InputError
            Ray is not installed, or no cluster answers at the address.
        Stopped
            [`stop`][gsmflow.studies.ray.RayWorkers.stop] was called.
        """
        with connected(self.address) as ray:
            task = ray.remote(num_cpus=self.threads, max_retries=_RETRIES)(train_cell)
            waiting = {task.remote(cell.job(self.root, self.threads)): cell for cell in cells}
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


def evaluate_on_cluster(
    function: Callable[..., Any], jobs: Iterable[tuple[Any, tuple[Any, ...]]], *, address: str, threads: int
) -> Iterator[tuple[Any, Any]]:
    """Call `function` on the arguments of each job, as many at a time as the cluster has cores for.

    Yields (key of the job, result or exception) when a job is finished. The next job is taken from `jobs`
    only when a core is free, so it may depend on earlier results.
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
            except Exception as error:  # the error of a task, or that it was lost
                yield key, error
