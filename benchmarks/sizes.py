"""Time a step and peak memory as one size grows at a time: ``python -m benchmarks.sizes``.

And of synthesis and one epoch of the head as unseen classes grow, with as many synthetic features in all. Each row
is measured in a process of its own. Memory is what the process holds for itself: pages of the mapped file, which the
system takes back whenever it needs to, are not counted. Beside the seconds on the clock there are the processor's:
with one thread (``OMP_NUM_THREADS=1``) other programs change them far less.
"""

from __future__ import annotations

import argparse
import itertools
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

from benchmarks.measure import PrivateMemory, keep
from gsmflow.learning.head_data import Pool, Stream
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.softmax import train_head
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner

BASE = {
    "dimensions": 256,
    "blocks": 3,
    "seen classes": 100,
    "unseen classes": 50,
    "features": 20_000,
    "prototypes": 0,
}
DRAWN = 256  # seen classes of which a step computes the prototype loss, in the rows that say so
GROWING: dict[str, tuple[int, ...]] = {
    "dimensions": (256, 512, 1024, 2048, 4096, 8192),
    "blocks": (1, 3, 5, 10),
    "seen classes": (100, 1_000, 21_000),
    f"seen classes, prototype loss of {DRAWN}": (1_000, 21_000),
    "unseen classes": (50, 1_000, 20_000),
    "features": (20_000, 200_000, 1_300_000, 14_000_000),
}
ATTRIBUTES, HIDDEN, GLOBAL, BATCH = 300, 1024, 512, 256
STEPS, LONGEST = 12, 45.0  # steps of a row, and the seconds after which no further one begins
WARM_UP = 3
STREAMED = {"features": 14_000_000, "unseen classes": 4_200}  # sizes of a stream of shards
PER_CLASS, SHARDS = 300, 3  # its synthetic features of each unseen class, and the shards that are measured
SYNTHETIC = 200_000  # in all, of however many unseen classes
_ENTRIES = 1 << 24  # of features written in one go


def learner_of(sizes: dict[str, int], file: str) -> tuple[TrainingData, GSMFlowLearner]:
    """A problem of these sizes and a learner of it; features are mapped from the file."""
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
    options = GSMFlowOptions(
        blocks=sizes["blocks"],
        hidden=HIDDEN,
        global_semantic=GLOBAL,
        batch_size=BATCH,
        prototype_classes=sizes["prototypes"],
    )
    return data, GSMFlowLearner(data, options, seed=0)


def synthesis_and_head(sizes: dict[str, int], file: str) -> dict[str, float]:
    """Seconds and peak memory of synthesis and an epoch of the head."""
    memory = PrivateMemory()
    data, learner = learner_of(sizes, file)
    each = SYNTHETIC // sizes["unseen classes"]
    options = HeadOptions(epochs=1, batch_size=BATCH)
    clock = Clock()
    pool = Pool.synthesize(learner, data, each, seed=0)
    for _ in train_head(pool, sizes["seen classes"] + sizes["unseen classes"], options, 0, "head"):
        pass
    return clock.read() | {"peak memory, GiB": memory.peak}


def shards(sizes: dict[str, int], file: str) -> dict[str, float]:
    """Seconds a shard of a stream (the least of some): real features read, others synthesized, a pass of the head."""
    memory = PrivateMemory()
    data, learner = learner_of(sizes, file)
    stream = Stream(learner, data, PER_CLASS, seed=0)
    options, measured = HeadOptions(epochs=1, batch_size=BATCH), []
    begun, rows = Clock(), 0
    for shard in itertools.islice(stream.shards("pass"), SHARDS):
        for _ in train_head(shard, sizes["seen classes"] + sizes["unseen classes"], options, 0, "head"):
            pass
        measured.append(begun.read())
        begun, rows = Clock(), len(shard.labels)
    total = sizes["features"] + PER_CLASS * sizes["unseen classes"]
    return {
        **{name: min(one[name] for one in measured) for name in measured[0]},
        "shards": round(total / rows),
        "features in all": total,
        "peak memory, GiB": memory.peak,
    }


class Clock:
    """Seconds since it was made, on the clock and of the processor."""

    def __init__(self) -> None:
        self.begun = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Both seconds."""
        wall, processor = self.begun
        return {"seconds": time.perf_counter() - wall, "processor seconds": time.process_time() - processor}


def steps(sizes: dict[str, int], file: str) -> dict[str, float]:
    """Seconds a step (medians), seconds until the first one begins, and peak memory."""
    memory, start = PrivateMemory(), Clock()
    _, learner = learner_of(sizes, file)
    begun = start.read()
    whole, measured = Clock(), []
    for index in range(WARM_UP + STEPS):
        step = Clock()
        float(learner.step(index)["loss_flow"])
        measured.append(step.read())
        if index and whole.read()["seconds"] > LONGEST:
            break
    timed = measured[min(WARM_UP, len(measured) // 2) :]
    return {
        **{name: statistics.median(one[name] for one in timed) for name in timed[0]},
        "steps": len(timed),
        "start, processor seconds": begun["processor seconds"],
        "peak memory, GiB": memory.peak,
    }


def grown(what: str, size: int) -> dict[str, int]:
    """The sizes of a row."""
    sizes = BASE | {what.partition(",")[0]: size}
    if "," in what:
        sizes["prototypes"] = DRAWN
    return sizes | {"features": max(sizes["features"], 2 * sizes["seen classes"])}  # every class has some


MEASURED = {"steps": steps, "synthesis and head": synthesis_and_head, "shards": shards}


def alone(what: str, sizes: dict[str, int], file: Path) -> dict[str, float]:
    """A measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sizes", "--file", str(file)]
    command += ["--what", what, "--sizes", json.dumps(sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", help="where to put the file of features, 14 GB (the system's place)")
    parser.add_argument("--what", choices=MEASURED, help=argparse.SUPPRESS)
    parser.add_argument("--sizes", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.what:
        print(json.dumps(MEASURED[arguments.what](arguments.sizes, arguments.file)))
        return
    rows: list[dict[str, Any]] = []
    heads: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
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
                rows.append({"grows": grows, "size": size} | alone("steps", grown(grows, size), file))
                print(rows[-1], flush=True)
        for size in GROWING["unseen classes"]:
            heads.append({"size": size} | alone("synthesis and head", BASE | {"unseen classes": size}, file))
            print(heads[-1], flush=True)
        streamed = alone("shards", BASE | STREAMED, file)
        print(streamed)
    keep("sizes", {"base": BASE, "rows": rows, "synthesis and head": heads, "stream": streamed})


if __name__ == "__main__":
    main()
