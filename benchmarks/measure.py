"""Timing candidates in turn, so that all are disturbed alike; and facts about the machine."""

from __future__ import annotations

import csv
import json
import platform
import resource
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

from gsmflow import __version__
from gsmflow.compute.devices import cores, has_bfloat16

RESULTS = Path(__file__).parent / "results"
NOT_MEASURED = "not measured"


def in_turn(
    candidates: Mapping[str, Callable[[], object]],
    repeats: int,
    warm_up: int = 2,
    steps: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Seconds of each candidate: median, least and most over `repeats` rounds in which each runs once.

    steps: of which a run consists; seconds are those of one.
    clock: with ``time.process_time`` seconds are the processor's, which other programs change far less if there is a
    single thread.
    """
    for _ in range(warm_up):
        for run in candidates.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            synchronize()
            begun = clock()
            run()
            synchronize()
            seconds[name].append((clock() - begun) / steps)
    return {
        name: {"median": statistics.median(times), "least": min(times), "most": max(times)}
        for name, times in seconds.items()
    }


def records(file: Path) -> list[dict[str, str]]:
    """The lines of a table of results, none where there is no such file."""
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def where_measured(lines: Iterable[Mapping[str, str]]) -> str:
    """Processors and days of these lines, each once."""
    return "; ".join(sorted({f"{line['processor']}, {line['date']}" for line in lines}))


def keep_records(file: Path, columns: Sequence[str], lines: Iterable[Mapping[str, str]]) -> None:
    """Write a table of results."""
    with file.open("w", newline="") as stream:
        table = csv.DictWriter(stream, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(lines)


def synchronize() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ratio(times: Mapping[str, Any], of: str, over: str) -> float:
    """Median of one candidate over that of another."""
    return times[of]["median"] / times[over]["median"]


def peak_memory() -> float:
    """GiB that this process has held at most so far.

    Where /proc says so: what ``getrusage`` says of a process starts at what its parent held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return _kibibytes(status, "VmHWM") / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def private_memory(pid: int | str = "self") -> float:
    """GiB that a process holds for itself now: without the pages of mapped files."""
    return _kibibytes(Path(f"/proc/{pid}/status"), "RssAnon") / 2**20


def _kibibytes(status: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name))


class PrivateMemory:
    """Watches :func:`private_memory` of this process."""

    def __init__(self) -> None:
        self.peak = 0.0  # the most it has held so far, as seen a hundred times a second
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, private_memory())
            time.sleep(0.01)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    facts: dict[str, Any] = {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "bfloat16 hardware": has_bfloat16(torch.device("cpu")),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gsmflow": __version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    return facts


def keep(name: str, measured: Mapping[str, Any]) -> None:
    """Write the result of a benchmark with the facts of the machine."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps({"machine": machine(), **measured}, indent=2) + "\n")
    print(f"written to {file}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
