"""Training, labelling and serving for minutes on end, with an eye on memory and handles: ``python -m benchmarks.soak``.

Whole runs are made one after the other in one process, each in a folder of its own, loaded again and used to label
features, and by turns refused for a broken request. All the while `gsmflow serve` answers under light load in another
process: every second it labels samples, lists its classes and refuses a request, and now and then learns a class.
After a warm-up neither memory nor file handles of either may grow: the slope of a line through what was held
after each run is compared with what is allowed.
"""

from __future__ import annotations

import argparse
import gc
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import keep, private_memory
from gsmflow import sources
from gsmflow.base.errors import InputError
from gsmflow.recipes.recipe import make_recipe
from gsmflow.runs.folder import Request, load_classifier
from gsmflow.runs.train import train

PROBLEM = "synthetic:n=3000,d=64,classes=24,unseen=6"
OVERRIDES = ("gsmflow.epochs=6", "gsmflow.hidden=256", "head.epochs=3", "selection.every=50")
WARM_UP = 0.25  # of the time: allocators and caches fill
MEMORY, HANDLES = 8.0, 0.5  # MiB and handles that a line may rise by in all
PAUSE = 1.0  # seconds between two rounds of requests
NEW_CLASSES = 30  # learned by the service, spread over the time; each makes its classifier a little larger
SAMPLES = 32  # labelled in a request


def held(pid: int | str = "self") -> tuple[float, int]:
    """MiB of private memory and open file handles of a process."""
    gc.collect()
    return 1024 * private_memory(pid), len(os.listdir(f"/proc/{pid}/fd"))


def make(folder: Path, seed: int) -> Path:
    """A run of the problem."""
    request = Request(PROBLEM, None, None, "validated", False, seed)
    recipe = make_recipe("gsmflow", "best", OVERRIDES)
    problem = sources.load(PROBLEM, data_root=folder)
    run_folder = folder / "run"
    train(request, problem, recipe, device=torch.device("cpu"), folder=run_folder, checkpoint_seconds=0.5)
    return run_folder


def once(folder: Path, seed: int) -> None:
    """A run from the problem to labels, and a request that is refused."""
    run_folder = make(folder, seed)
    load_classifier(run_folder).probabilities(sources.load(PROBLEM, data_root=folder).features)
    try:
        make(folder, seed)
    except InputError:
        return
    raise RuntimeError("a folder that holds a run was written to")


class Load:
    """Light load on a service, in a thread; `quiet` is held while a round of requests is on its way.

    Parameters
    ----------
    port: where it listens on loopback. seconds: over which the new classes are spread.
    """

    def __init__(self, port: int, samples: np.ndarray, semantics: np.ndarray, seconds: float) -> None:
        self.quiet, self.answers, self.failure = threading.Lock(), Counter[str](), ""
        self._port, self._samples, self._semantics, self._seconds = port, samples, semantics, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Let the round come to its end."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        begun, rng = time.monotonic(), np.random.default_rng(0)
        try:
            while not self._ended.wait(PAUSE):
                with self.quiet:
                    some = rng.integers(0, len(self._samples), SAMPLES)
                    self._ask("predict", 200, "/v1/predict", {"features": self._samples[some].tolist()})
                    self._ask("list", 200, "/v1/classes")
                    self._ask("metrics", 200, "/metrics")
                    self._ask("refused", 422, "/v1/predict", {"features": [[0.0]]})
                    known = self.answers["add"]
                    if known < NEW_CLASSES * min(1, (time.monotonic() - begun) / self._seconds):
                        self._ask("add", 201, "/v1/classes", self._new_class(known, rng))
        except Exception as error:
            self.failure = repr(error)

    def _new_class(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Somewhere between the classes that there are, so that it is like them and yet another one."""
        shares = rng.dirichlet(np.full(len(self._semantics), 0.3))
        return {"name": f"new {index}", "semantics": (shares @ self._semantics).tolist()}

    def _ask(self, what: str, expected: int, path: str, body: object = None) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        try:
            headers = {"Content-Type": "application/json", "Connection": "close"}
            text = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, text, headers)
            answer = connection.getresponse()
            told = answer.read()
        finally:
            connection.close()
        if answer.status != expected:
            raise RuntimeError(f"{what}: {answer.status} {told[:200]!r}, expected {expected}")
        self.answers[what] += 1


@contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A service of a run on a free port of loopback, in a process of its own."""
    command = [sys.executable, "-m", "gsmflow", "serve", str(folder), "--port", "0", "--device", "cpu"]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=alone) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            if "http://" not in line:
                raise RuntimeError(f"the service does not start: {line}")
            yield process, int(line.split("http://", 1)[1].split()[0].rpartition(":")[2])
        finally:
            process.terminate()


def rising(rows: list[dict[str, Any]], name: str) -> tuple[float, float]:
    """Growth of a value from one row to the next, of the line that fits best, and from the first to the last."""
    values = [row[name] for row in rows]
    return float(np.polyfit(np.arange(len(values)), values, 1)[0]), values[-1] - values[0]


def measured(minutes: float, folder: Path) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Train and serve: what both processes hold after each run, and how much was answered."""
    first_run, rows = make(folder, 0), list[dict[str, Any]]()
    problem = sources.load(PROBLEM, data_root=folder)
    with served(first_run) as (service, port):
        load = Load(port, problem.features, problem.semantics, 60 * minutes)
        begun = time.monotonic()
        try:
            while (passed := (time.monotonic() - begun) / 60) < minutes:
                with tempfile.TemporaryDirectory() as passing:
                    once(Path(passing), len(rows))
                with load.quiet:
                    (memory, handles), (its_memory, its_handles) = held(), held(service.pid)
                rows.append(
                    {
                        "minutes": round(passed, 2),
                        "trainer MiB": round(memory, 1),
                        "trainer handles": handles,
                        "service MiB": round(its_memory, 1),
                        "service handles": its_handles,
                        "answers": load.answers.total(),
                    }
                )
                if load.failure or service.poll() is not None:
                    raise SystemExit(f"the service failed: {load.failure or service.returncode}")
                if len(rows) % 20 == 1:
                    print(rows[-1], flush=True)
        finally:
            load.stop()
    return rows, load.answers


def main() -> None:
    """Measure, print, keep; exit code 1 where something grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    minutes = parser.parse_args().minutes
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows, answers = measured(minutes, Path(folder))
    steady = rows[int(WARM_UP * len(rows)) :]
    if len(steady) < 10:
        raise SystemExit(f"{len(steady)} runs after the warm-up are too few to tell; give it more minutes")
    growth, net, grows = {}, {}, []
    for name in ("trainer MiB", "trainer handles", "service MiB", "service handles"):
        growth[name], net[name] = rising(steady, name)
        if growth[name] * len(steady) > (MEMORY if name.endswith("MiB") else HANDLES):
            grows.append(name)
    print(
        f"{len(rows)} runs, answers {dict(answers)}; growth a run after the warm-up: {growth}, in all {net}"
    )
    keep(
        "soak",
        {
            "minutes": minutes,
            "runs": len(rows),
            "answers": dict(answers),
            "growth a run": growth,
            "growth in all": net,
            "rows": rows[:: len(rows) // 100 + 1],
        },
    )
    sys.exit(f"what grows: {', '.join(grows)}" if grows else 0)


if __name__ == "__main__":
    main()
