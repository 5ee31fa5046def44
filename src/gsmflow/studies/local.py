"""Runs on this machine: in processes of their own, or in this one where no other could make them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

from gsmflow.compute.devices import cores
from gsmflow.studies.cells import Cell, Finished


class Stopped(Exception):
    """The study was asked to stop. The same command continues it."""


class Workers:
    """Runs cells in processes of their own, `jobs` at a time, `threads` CPU threads each.

    A process that is killed is started again, once: it continues from its checkpoint. Cells whose method or source
    was registered by this program alone are run by this process, one after another, when the others are done.
    """

    def __init__(self, root: Path, jobs: int, threads: int, attempts: int = 2) -> None:
        self.root, self.jobs, self.threads, self.attempts = root, jobs, threads, attempts
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, cells: Sequence[Cell], done: Callable[[Finished], None]) -> None:
        """Run all cells and hand each to `done` when it is finished, in the calling thread.

        Raises
        ------
        Stopped
            [`stop`][gsmflow.studies.local.Workers.stop] was called; running cells have written their checkpoints.
        """
        here = [cell for cell in cells if cell.of_this_program]
        with ThreadPoolExecutor(self.jobs) as pool:
            elsewhere = [cell for cell in cells if cell not in here]
            waiting: set[Future[Finished]] = {pool.submit(self._attempt, cell) for cell in elsewhere}
            while waiting:
                ready, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in ready:
                    if not self._stopped:
                        done(future.result())
        for cell in here:
            if not self._stopped:
                done(self._here(cell))
        if self._stopped:
            raise Stopped

    def stop(self) -> None:
        """Ask all running cells to write their checkpoints and end. No further cell is started."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.send_signal(signal.SIGTERM)

    def _here(self, cell: Cell) -> Finished:
        """Run a cell in this process."""
        import torch

        from gsmflow.learning.journal import Interrupted
        from gsmflow.studies.worker import make_run

        threads = torch.get_num_threads()
        try:
            return Finished(cell, make_run(cell.job(self.root, self.threads)))
        except (Interrupted, KeyboardInterrupt):  # Ctrl-C and SIGTERM reach the run itself
            raise Stopped from None
        except Exception as error:  # as a process of its own would report it: the other cells go on
            return Finished(cell, None, " ".join(str(error).split()) or type(error).__name__)
        finally:
            torch.set_num_threads(threads)

    def _attempt(self, cell: Cell) -> Finished:
        result = Finished(cell, None, "stopped")
        for _ in range(self.attempts):
            code, out, err = self._process(cell)
            if self._stopped:
                return result
            if code == 0:
                return Finished(cell, json.loads(out))
            lines = [line for line in err.splitlines() if line.startswith("gsmflow: ")]
            reason = lines[-1].removeprefix("gsmflow: ") if lines else f"ended with code {code}"
            result = Finished(cell, None, reason)
            if code > 0:  # the run reported an error; another attempt would report the same
                break
        return result

    def _process(self, cell: Cell) -> tuple[int, str, str]:
        environment = os.environ | {"OMP_NUM_THREADS": str(self.threads)}
        with self._lock:
            if self._stopped:
                return -1, "", ""
            # The pipe stays open until this process ends, even by kill -9. Then the worker ends too, and the next
            # bench finds the folder free.
            theirs, ours = os.pipe()
            process = subprocess.Popen(
                [sys.executable, "-m", "gsmflow", "worker"],
                stdin=theirs,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches the bench, which passes it on once
            )
            os.close(theirs)
            self._running.add(process)
        try:
            with (
                suppress(BrokenPipeError),
                open(ours, "wb", closefd=False) as pipe,
            ):  # it ended at once, with a reason
                pipe.write(cell.job(self.root, self.threads).encode() + b"\n")
            out, err = process.communicate()
            return process.returncode, out, err
        finally:
            os.close(ours)
            with self._lock:
                self._running.discard(process)


def default_jobs(threads: int) -> int:
    """The number of processes that the cores allow."""
    return max(1, cores() // threads)
