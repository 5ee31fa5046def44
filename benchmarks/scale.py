"""Rates for the plan of ``docs/scale.md``: ``python -m benchmarks.scale``.

Measured: a training step and a head step as classes grow, and reading from a feature store, in order and by the
random batches of a training, with the file in the system's cache and (where that can be had) without. Steps are timed
by the processor's seconds with one thread, reading by the clock.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import keep, peak_memory
from gsmflow.files.feature_store import open_store, write_store
from gsmflow.learning.head_data import Pool
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.softmax import train_head
from gsmflow.learning.tensors import TrainingData, tensor_of
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner

DIM, ATTRIBUTES, GLOBAL, HIDDEN, BLOCKS, BATCH = 2048, 300, 1024, 2048, 5, 256
STORED = 100_000  # samples of the store: 0.8 GB
STEPS, LONGEST = 4, 60.0  # steps of a measurement, and the seconds after which no further one begins
DRAWN = 256  # seen classes of which a step computes the prototype loss, where it says so


def seconds(work: Callable[[], object], times: int = STEPS) -> float:
    """Least seconds of the processor for a piece of work, after one for warming up."""
    work()
    measured, start = [], time.perf_counter()
    while len(measured) < times and not (measured and time.perf_counter() - start > LONGEST):
        begun = time.process_time()
        work()
        measured.append(time.process_time() - begun)
    return min(measured)


def average(work: Callable[[], object], times: int) -> float:
    """Mean seconds of a piece of work that may have to wait for a disk."""
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times


def step(features: torch.Tensor, classes: int, prototypes: bool, drawn: int = 0) -> float:
    """Seconds of a training step with so many seen classes; drawn: those of the prototype loss, 0 for all."""
    generator = torch.Generator().manual_seed(0)
    data = TrainingData(
        features=features,
        labels=torch.arange(len(features)) % classes,
        semantics=torch.rand(classes + 50, ATTRIBUTES, generator=generator),
        seen=torch.arange(classes),
        unseen=torch.arange(classes, classes + 50),
    )
    options = GSMFlowOptions(
        blocks=BLOCKS,
        hidden=HIDDEN,
        global_semantic=GLOBAL,
        batch_size=BATCH,
        prototype_weight=1.0 if prototypes else 0.0,
        prototype_classes=drawn,
    )
    learner = GSMFlowLearner(data, options, seed=0)
    steps = iter(range(10_000))
    return seconds(lambda: float(learner.step(next(steps))["loss_flow"]))


def head_step(features: torch.Tensor, classes: int) -> float:
    """Seconds of a step of the head over so many classes."""
    steps = 8
    some = features[: BATCH * steps]
    pool = Pool(some, torch.arange(len(some)) % classes, len(some))
    options = HeadOptions(batch_size=BATCH, epochs=1)
    return seconds(lambda: list(train_head(pool, classes, options, 0)), 3) / steps


def reading(file: Path) -> dict[str, float]:
    """MB a second from a store."""
    mapped = open_store(file)
    tensor = tensor_of(mapped)
    order = iter(torch.randperm(STORED, generator=torch.Generator().manual_seed(0)).split(BATCH))
    size = BATCH * DIM * 4 / 1e6

    def forget() -> None:
        with open(file, "rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    measured = {"in order, cached": mapped.nbytes / 1e6 / seconds(lambda: float(tensor.sum()), 3)}
    measured["random batches, cached"] = size / average(lambda: tensor[next(order)], 100)
    del mapped, tensor
    forget()  # of no effect on file systems that live in memory
    tensor = tensor_of(open_store(file))
    measured["random batches, forgotten by the system"] = size / average(lambda: tensor[next(order)], 100)
    return measured


def main() -> None:
    """Measure, print, keep."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    measured: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "features.npy"
        begun = time.perf_counter()
        write_store(file, (generator.random((1000, DIM), dtype=np.float32) for _ in range(STORED // 1000)))
        measured["MB written a second"] = STORED * DIM * 4 / 1e6 / (time.perf_counter() - begun)
        measured["MB read a second"] = reading(file)
        features = tensor_of(open_store(file))
        measured["seconds a step, prototype loss over all seen classes"] = {
            classes: step(features, classes, True) for classes in (150, 1_000)
        }
        measured[f"seconds a step, prototype loss over {DRAWN} that are drawn"] = {
            classes: step(features, classes, True, DRAWN) for classes in (1_000, 21_000)
        }
        measured["seconds a step, no prototype loss"] = {
            classes: step(features, classes, False) for classes in (150, 21_000)
        }
        measured["seconds a head step"] = {
            classes: head_step(features, classes) for classes in (1_000, 21_000)
        }
    measured["peak memory, GiB"] = peak_memory()
    measured["load average at the end"] = os.getloadavg()[1]  # more than the cores: others were at work too
    for name, value in measured.items():
        print(name, value)
    keep("scale", measured)


if __name__ == "__main__":
    main()
