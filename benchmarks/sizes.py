"""Time a step and peak memory as one size grows at a time: ``python -m benchmarks.sizes``.

Each row is measured in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import keep, peak_memory
from gsmflow.methods.gsmflow import GSMFlowLearner, GSMFlowOptions
from gsmflow.training import TrainingData

BASE = {"dimensions": 256, "blocks": 3, "seen classes": 100, "unseen classes": 50, "features": 20_000}
GROWING = {
    "dimensions": (256, 512, 1024, 2048),
    "blocks": (1, 3, 5, 10),
    "seen classes": (100, 1_000),
    "unseen classes": (50, 1_000, 20_000),
    "features": (20_000, 200_000, 1_300_000),
}
ATTRIBUTES, HIDDEN, GLOBAL, BATCH = 300, 1024, 512, 256
STEPS, ROUNDS = 5, 5
_ENTRIES = 1 << 24  # of features written in one go


def one(sizes: dict[str, int], file: str) -> dict[str, float]:
    """Seconds a step (median) and peak memory with these sizes; features are mapped from the file."""
    generator = torch.Generator().manual_seed(0)
    count, dim, seen = sizes["features"], sizes["dimensions"], sizes["seen classes"]
    total = seen + sizes["unseen classes"]
    features = torch.from_file(file, shared=True, size=count * dim).view(count, dim)
    data = TrainingData(
        features=features,
        labels=torch.arange(count) % seen,
        semantics=torch.rand(total, ATTRIBUTES, generator=generator),
        seen=torch.arange(seen),
        unseen=torch.arange(seen, total),
    )
    options = GSMFlowOptions(blocks=sizes["blocks"], hidden=HIDDEN, global_semantic=GLOBAL, batch_size=BATCH)
    learner = GSMFlowLearner(data, options, seed=0)
    seconds = []
    for index in range(STEPS * (ROUNDS + 1)):
        begun = time.perf_counter()
        float(learner.step(index)["loss_flow"])
        seconds.append(time.perf_counter() - begun)
    return {"seconds": statistics.median(seconds[STEPS:]), "peak memory, GiB": peak_memory()}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(json.loads(arguments.one), arguments.file)))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "features.f32"
        largest = max(
            max(GROWING["features"]) * BASE["dimensions"], BASE["features"] * max(GROWING["dimensions"])
        )
        generator = np.random.default_rng(0)
        with file.open("wb") as out:
            for start in range(0, largest, _ENTRIES):
                generator.random(min(_ENTRIES, largest - start), dtype=np.float32).tofile(out)
        for grows, values in GROWING.items():
            for size in values:
                command = [sys.executable, "-m", "benchmarks.sizes", "--file", str(file)]
                command += ["--one", json.dumps(BASE | {grows: size})]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                rows.append({"grows": grows, "size": size} | json.loads(done.stdout.splitlines()[-1]))
                print(rows[-1])
    keep("sizes", {"base": BASE, "rows": rows})


if __name__ == "__main__":
    main()
