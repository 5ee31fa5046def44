"""Training and labelling for minutes on end, with an eye on memory and file handles: ``python -m benchmarks.soak``.

Whole runs are made one after the other in one process, each in a folder of its own, loaded again and used to label
features, and by turns refused for a broken request. After a warm-up neither memory nor file handles may grow:
the slope of a line through what was held after each run is compared with what is allowed.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import keep
from gsmflow import run, sources
from gsmflow.errors import InputError
from gsmflow.recipe import make_recipe

PROBLEM = "synthetic:n=3000,d=64,classes=24,unseen=6"
OVERRIDES = ("gsmflow.epochs=6", "gsmflow.hidden=256", "head.epochs=3", "selection.every=50")
WARM_UP = 0.25  # of the time: allocators and caches fill
MEMORY, HANDLES = 8.0, 0.5  # MiB and handles that the line may rise by in all


def held() -> tuple[float, int]:
    """MiB of private memory and open file handles of this process."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    anonymous = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
    return anonymous / 1024, len(os.listdir("/proc/self/fd"))


def once(folder: Path, seed: int) -> None:
    """A run from the problem to labels, and a request that is refused."""
    problem = sources.load(PROBLEM, data_root=folder)
    request = run.Request(PROBLEM, None, None, "validated", False, seed)
    recipe = make_recipe("gsmflow", "best", OVERRIDES)
    where = {"device": torch.device("cpu"), "folder": folder / "run"}
    run.train(request, problem, recipe, checkpoint_seconds=0.5, **where)
    run.load_classifier(folder / "run").probabilities(problem.features)
    try:
        run.train(request, problem, recipe, **where)
    except InputError:
        return
    raise RuntimeError("a folder that holds a run was written to")


def slope(values: list[float]) -> float:
    """Growth from one value to the next, of the line that fits best."""
    return float(np.polyfit(np.arange(len(values)), values, 1)[0])


def main() -> None:
    """Measure, print, keep; exit code 1 where something grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    minutes = parser.parse_args().minutes
    torch.set_num_threads(1)
    begun, rows = time.monotonic(), list[dict[str, Any]]()
    while (passed := (time.monotonic() - begun) / 60) < minutes:
        with tempfile.TemporaryDirectory() as folder:
            once(Path(folder), len(rows))
        memory, handles = held()
        rows.append({"minutes": round(passed, 2), "MiB": round(memory, 1), "handles": handles})
        if len(rows) % 20 == 1:
            print(rows[-1], flush=True)
    steady = rows[int(WARM_UP * len(rows)) :]
    if len(steady) < 10:
        raise SystemExit(f"{len(steady)} runs after the warm-up are too few to tell; give it more minutes")
    growth = {
        "MiB": slope([row["MiB"] for row in steady]),
        "handles": slope([row["handles"] for row in steady]),
    }
    net = {name: steady[-1][name] - steady[0][name] for name in growth}
    print(f"{len(rows)} runs; growth a run after the warm-up: {growth}, in all {net}")
    keep(
        "soak",
        {
            "runs": len(rows),
            "growth a run": growth,
            "growth in all": net,
            "rows": rows[:: len(rows) // 100 + 1],
        },
    )
    grows = growth["MiB"] * len(steady) > MEMORY or growth["handles"] * len(steady) > HANDLES
    sys.exit("something grows" if grows else 0)


if __name__ == "__main__":
    main()
