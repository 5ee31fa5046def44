"""The training step at the paper's size against the same step the published program's way.

``python -m benchmarks.step`` prints the ratio first. D 2048, global semantic vector 1024, hidden 2048,
5 blocks, batch 256, 150 classes, prototype loss included. :mod:`benchmarks.gpu` does the same on a GPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.measure import in_turn, keep, machine, peak_memory, ratio
from benchmarks.published import PublishedTraining
from gsmflow.compute.devices import has_bfloat16
from gsmflow.flow import ConditionalFlow
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner

SAMPLES, DIM, ATTRIBUTES, SEEN, UNSEEN = 7057, 2048, 312, 150, 50
GLOBAL, HIDDEN, BLOCKS, BATCH = 1024, 2048, 5, 256
STEPS = 3  # timed together


def training_data(device: torch.device, samples: int = SAMPLES) -> TrainingData:
    """CUB's sizes, random values in the range of its scaled features."""
    generator = torch.Generator().manual_seed(0)
    return TrainingData(
        features=torch.rand(samples, DIM, generator=generator).to(device),
        labels=(torch.arange(samples) % SEEN).to(device),
        semantics=torch.rand(SEEN + UNSEEN, ATTRIBUTES, generator=generator).to(device),
        seen=torch.arange(SEEN, device=device),
        unseen=torch.arange(SEEN, SEEN + UNSEEN, device=device),
    )


def ours(data: TrainingData, precision: str) -> GSMFlowLearner:
    """This program's step in the given precision."""
    options = GSMFlowOptions(
        batch_size=BATCH,
        blocks=BLOCKS,
        hidden=HIDDEN,
        global_semantic=GLOBAL,
        perturbation=0.05,
        precision=precision,
    )
    return GSMFlowLearner(data, options, seed=0)


def steps_of(learner: GSMFlowLearner, steps: int = STEPS) -> Callable[[], None]:
    """A callable that does the next few steps, and looks at the loss of the last one."""
    done = 0

    def run() -> None:
        nonlocal done
        for index in range(done, done + steps - 1):
            learner.step(index)
        done += steps
        float(learner.step(done - 1)["loss_flow"])

    return run


def published_steps(data: TrainingData, steps: int = STEPS) -> Callable[[], None]:
    """The same of the published program's step."""
    published = PublishedTraining(data.features, data.labels, data.semantics[:SEEN], GLOBAL, HIDDEN, BLOCKS)
    generator = torch.Generator().manual_seed(1)

    def run() -> None:
        for _ in range(steps):
            published.step(torch.randperm(SAMPLES, generator=generator)[:BATCH].to(data.device))

    return run


def measure_steps(repeats: int) -> dict[str, Any]:
    """Seconds a step of every candidate, and the ratios that the targets are about."""
    device = torch.device("cpu")
    data = training_data(device)
    candidates = {"FrEIA 0.2, float32": published_steps(data), "float32": steps_of(ours(data, "float32"))}
    if has_bfloat16(device):
        candidates["bfloat16"] = steps_of(ours(data, "bfloat16"))
    measured = in_turn(candidates, repeats, steps=STEPS)
    ratios = {name: ratio(measured, "FrEIA 0.2, float32", name) for name in measured}
    return {"ratios": ratios, "seconds a step": measured}


def log_det_error() -> float:
    """Largest relative error of the bfloat16 flow's log-determinant against float64, after some training."""
    data = training_data(torch.device("cpu"), samples=512)
    learner = ours(data, "bfloat16")
    for index in range(40):
        learner.step(index)
    exact = ConditionalFlow(DIM, GLOBAL, blocks=BLOCKS, hidden=HIDDEN).double()
    weights = learner.weights()
    exact.load_state_dict({n.removeprefix("flow."): t for n, t in weights.items() if n.startswith("flow.")})
    with torch.no_grad():
        g = learner.model.positioning(learner.seen_semantics)
        rows, x = data.labels[:256], data.features[:256]
        _, measured = learner.model.flow(x, learner.model.flow.condition(g), rows)
        _, truth = exact(x.double(), exact.condition(g.double()), rows)
    return float(((measured - truth) / truth).abs().max())


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    measured: dict[str, Any] = {"cpu": measure_steps(repeats)}
    measured["peak memory, GiB, all candidates together"] = peak_memory()
    if has_bfloat16(torch.device("cpu")):
        measured["log-determinant in bfloat16, largest relative error"] = log_det_error()
    for name, times in measured["cpu"]["ratios"].items():
        seconds = measured["cpu"]["seconds a step"][name]["median"]
        print(f"{times:.2f} times as fast: {name}, {1000 * seconds:.0f} ms a step")
    if "log-determinant in bfloat16, largest relative error" in measured:
        error = measured["log-determinant in bfloat16, largest relative error"]
        print(f"log-determinant in bfloat16: off by {error:.1e} at most, relative to float64")
    print(machine())
    keep("step", measured)


if __name__ == "__main__":
    main()
