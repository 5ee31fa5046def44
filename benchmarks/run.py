"""Synthesis and head at AWA2's size against a plain loop, and a whole run: seconds and peak memory.

``python -m benchmarks.run`` prints the ratio first. 10 unseen classes with 50,000 synthetic features each,
23,527 real ones, 2048 dimensions, 50 classes, 30 epochs of the head. The ratio is measured on a tenth of
the synthetic features, in turn; time and peak memory of the full size in processes of their own. Seconds are those of
the processor with one thread, which other programs change little; with ``--threads N`` those of the clock.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import in_turn, keep, peak_memory, ratio
from benchmarks.published import PublishedTraining, synthesize, train_head
from gsmflow.learning import softmax
from gsmflow.learning.head_data import Pool
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner
from gsmflow.runs.folder import read_metrics

REAL, DIM, ATTRIBUTES, SEEN, UNSEEN = 23_527, 2048, 85, 40, 10
GLOBAL, HIDDEN, BLOCKS = 1024, 2048, 3
PER_CLASS, EPOCHS, BATCH, RATE = 50_000, 30, 1200, 0.001
EPOCHS_OF_TRAINING = 500 // 50


def training_data() -> TrainingData:
    """AWA2's sizes, random values in the range of its scaled features."""
    generator = torch.Generator().manual_seed(0)
    return TrainingData(
        features=torch.rand(REAL, DIM, generator=generator),
        labels=torch.arange(REAL) % SEEN,
        semantics=torch.rand(SEEN + UNSEEN, ATTRIBUTES, generator=generator),
        seen=torch.arange(SEEN),
        unseen=torch.arange(SEEN, SEEN + UNSEEN),
    )


def ours(data: TrainingData, per_class: int) -> Callable[[], object]:
    """Synthesis and head of this program."""
    options = GSMFlowOptions(blocks=BLOCKS, hidden=HIDDEN, global_semantic=GLOBAL)
    learner = GSMFlowLearner(data, options, seed=0)
    settings = softmax.HeadOptions(
        synthetic_per_class=per_class, learning_rate=RATE, epochs=EPOCHS, batch_size=BATCH
    )

    def run() -> None:
        pool = Pool.synthesize(learner, data, per_class, seed=0)
        for _ in softmax.train_head(pool, SEEN + UNSEEN, settings, 0, "head"):
            pass

    return run


def published(data: TrainingData, per_class: int) -> Callable[[], object]:
    """The same with FrEIA, a linear layer and log-softmax in float32, features in memory."""
    trained = PublishedTraining(data.features, data.labels, data.semantics[:SEEN], GLOBAL, HIDDEN, BLOCKS)

    def run() -> None:
        with torch.no_grad():
            g = trained.position(data.semantics[data.unseen])
        synthetic = synthesize(trained.flow, g, DIM, per_class)
        features = torch.cat((data.features, synthetic))
        labels = torch.cat((data.labels, data.unseen.repeat_interleave(per_class)))
        for _ in train_head(features, labels, SEEN + UNSEEN, EPOCHS, BATCH, RATE):
            pass

    return run


WAYS = {"published way, float32": published, "this program": ours}


def alone(way: str, per_class: int, threads: int) -> dict[str, float]:
    """Seconds and peak memory of one candidate in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.run", "--alone", way]
    command += ["--per-class", str(per_class), "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def train_awa2(*words: str) -> tuple[float, dict[str, Any]]:
    """Seconds and metrics of `gsmflow train` on synthetic data of AWA2's sizes with the paper's preset."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "gsmflow", "train", "synthetic:AWA2", "--preset", "AWA2"]
        command += ["--protocol", "last", "--out", str(out), *words]
        begun = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        return time.perf_counter() - begun, read_metrics(out)


def whole_run() -> dict[str, float]:
    """`gsmflow train` on synthetic data of AWA2's sizes with the paper's preset and a 50th of its epochs."""
    seconds, metrics = train_awa2("--set", f"gsmflow.epochs={EPOCHS_OF_TRAINING}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {"seconds": seconds, "peak memory, GiB": peak, "parts": metrics["seconds"]}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--per-class", type=int, default=PER_CLASS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--full", nargs="*", choices=WAYS, default=list(WAYS), help="ways to measure at full size"
    )
    parser.add_argument("--no-whole", action="store_true", help="leave out the whole run")
    parser.add_argument("--alone", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    data = training_data()
    if arguments.alone:
        run = WAYS[arguments.alone](data, arguments.per_class)
        begun = clock()
        run()
        print(json.dumps({"seconds": clock() - begun, "peak memory, GiB": peak_memory()}))
        return
    measured: dict[str, Any] = {}
    if not arguments.no_whole:  # first, so that it is the largest of the children so far
        measured["whole run, 1/50 of the epochs"] = whole = whole_run()
        print(f"whole run: {whole['seconds']:.0f} s, peak {whole['peak memory, GiB']:.2f} GiB")
    tenth = {way: make(data, arguments.per_class // 10) for way, make in WAYS.items()}
    in_rounds = in_turn(tenth, arguments.repeats, warm_up=0, clock=clock)
    times = ratio(in_rounds, "published way, float32", "this program")
    print(f"{times:.2f} times as fast: synthesis and head, a tenth of AWA2's synthetic features")
    measured |= {
        "ratio": times,
        "of": "the processor" if arguments.threads == 1 else "the clock",
        "a tenth of the synthetic features, seconds": in_rounds,
        "full size": {
            way: alone(way, arguments.per_class, arguments.threads) for way in arguments.full or ()
        },
    }
    for way, facts in measured["full size"].items():
        print(f"full size, {way}: {facts['seconds']:.0f} s, peak {facts['peak memory, GiB']:.2f} GiB")
    keep("run", measured)


if __name__ == "__main__":
    main()
