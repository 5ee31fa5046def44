"""The training step on a GPU next to what the hardware allows, and a whole run: ``python -m benchmarks.gpu``.

The step has the sizes of :mod:`benchmarks.step`. Its floors, as it is laid out: the floating-point operations of its
products over the rate of a large product on this GPU, and the bytes that it moves at least over the rate of a large
copy. Those are, for every weight: master and two moments read and written, the gradient written and read, the weight
read by four products (samples and prototypes, there and back; those of semantics by two), and in bfloat16 written.
The whole run is `gsmflow train` on synthetic data of AWA2's sizes with the paper's preset: 45,500 steps, synthesis,
head, scores.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from benchmarks.measure import NOT_MEASURED, in_turn, keep, machine, ratio
from benchmarks.run import train_awa2
from benchmarks.step import (
    BATCH,
    BLOCKS,
    GLOBAL,
    HIDDEN,
    SEEN,
    ours,
    published_steps,
    steps_of,
    training_data,
)
from gsmflow.compute import fusion
from gsmflow.compute.cuda_graphs import Beside

STEPS = 20  # timed together
SEMANTICS = 2 * BLOCKS * HIDDEN * GLOBAL  # weights that semantics and not features go through
PUBLISHED = "FrEIA 0.2"
WAYS = ("float32", "tf32", "bfloat16")
BYTES = {"float32": 4, "tf32": 4, "bfloat16": 2}  # of a weight as products read it


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--no-run", action="store_true", help="the step alone")
    parser.add_argument("--profile", action="store_true", help="show the kernels of a step in bfloat16")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"gpu: {NOT_MEASURED}")
        return
    measured = measure_steps(arguments.repeats)
    for name, seconds in measured["seconds a step"].items():
        print(
            f"{measured['ratios'][name]:.2f} times as fast: {name}, {1000 * seconds['median']:.2f} ms a step"
        )
    for way, floor in measured["floors"].items():
        print(f"{way}: {floor['times the larger floor']:.2f} times the larger floor: {floor}")
    print(measured["rates"])
    if arguments.profile:
        profile()
    if not arguments.no_run:
        measured["whole run"] = whole_run()
        print(f"whole run: {measured['whole run']}")
    print(machine())
    keep("gpu", measured)


def measure_steps(repeats: int) -> dict[str, Any]:
    """Seconds a step of every candidate, ratios to the published way, rates of the GPU and floors."""
    data = training_data(torch.device("cuda"))
    candidates: dict[str, Callable[[], object]] = {}
    for way in ("float32", "tf32"):
        candidates[f"{PUBLISHED}, {way}"] = _with(way, published_steps(data, STEPS))
    learners = {way: ours(data, "bfloat16" if way == "bfloat16" else "float32") for way in WAYS}
    for way, learner in learners.items():
        candidates[way] = _with(way, steps_of(learner, STEPS))
    launched = ours(data, "bfloat16")
    launched.recording = None
    candidates["bfloat16, as several processes do it"] = steps_of(launched, STEPS)
    one_by_one = ours(data, "bfloat16")
    one_by_one.prototypes = Beside(torch.device("cpu"))  # as on the CPU: nothing runs beside
    candidates["bfloat16, prototypes after samples"] = steps_of(one_by_one, STEPS)
    late = ours(data, "bfloat16")
    late._updates = lambda rate: nullcontext()  # type: ignore[method-assign]
    candidates["bfloat16, weights updated after the backward pass"] = steps_of(late, STEPS)
    candidates["bfloat16, element-wise work not compiled"] = _uncompiled(
        steps_of(ours(data, "bfloat16"), STEPS)
    )
    measured = in_turn(candidates, repeats, steps=STEPS)
    rates = {
        "bytes a second": copy_rate(),
        **{f"{way} operations a second": product_rate(way) for way in WAYS},
    }
    weights = sum(p.numel() for p in learners["float32"].model.flow.parameters())
    floors: dict[str, Any] = {}
    for way in WAYS:
        arithmetic = operations(weights) / rates[f"{way} operations a second"]
        size = BYTES[way]
        # A float32 weight is its own master and is written with it.
        written = 2 if way == "bfloat16" else 0
        memory = weights * (6 * 4 + 2 * size + written + 4 * size) - 2 * size * SEMANTICS
        memory /= rates["bytes a second"]
        floors[way] = {
            "arithmetic, seconds": arithmetic,
            "memory, seconds": memory,
            "times the larger floor": measured[way]["median"] / max(arithmetic, memory),
        }
    ratios = {name: ratio(measured, f"{PUBLISHED}, float32", name) for name in measured}
    return {"ratios": ratios, "seconds a step": measured, "rates": rates, "floors": floors}


def operations(weights: int) -> float:
    """Floating-point operations of a step's products.

    Samples and prototypes go through the weights of features and outputs, forward, back and for the weights' own
    gradient; classes through those of the semantics, forward and twice back.
    """
    return 6.0 * ((BATCH + SEEN) * (weights - SEMANTICS) + SEEN * SEMANTICS)


def product_rate(way: str, size: int = 8192) -> float:
    """Operations a second of a large matrix product of random numbers."""
    dtype = torch.bfloat16 if way == "bfloat16" else torch.float32
    left, right = (torch.randn(size, size, device="cuda", dtype=dtype) for _ in range(2))
    return 2 * size**3 / _median_seconds(_with(way, lambda: left @ right))


def copy_rate(size: int = 1 << 32) -> float:
    """Bytes read and written a second by a large copy."""
    source = torch.empty(size, dtype=torch.uint8, device="cuda").random_(0, 255)
    goal = torch.empty_like(source)
    return 2 * size / _median_seconds(lambda: goal.copy_(source))


def whole_run() -> dict[str, Any]:
    """`gsmflow train` on synthetic data of AWA2's sizes with the paper's preset."""
    seconds, metrics = train_awa2("--device", "cuda")
    return {"seconds": seconds, "parts": metrics["seconds"], "H": metrics["H"]}


def profile() -> None:
    """Print the kernels of some steps in bfloat16, those that take longest first."""
    run = steps_of(ours(training_data(torch.device("cuda")), "bfloat16"), STEPS)
    run()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        run()
        torch.cuda.synchronize()
    print(seen.key_averages().table(sort_by="self_cuda_time_total", row_limit=30, max_name_column_width=70))


def _with(way: str, run: Callable[[], object]) -> Callable[[], object]:
    """Run with float32 products by the matrix units' tf32, or as exact as they come."""

    def inside() -> object:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if way == "tf32" else "highest")
        try:
            return run()
        finally:
            torch.set_float32_matmul_precision(before)

    return inside


def _uncompiled(run: Callable[[], object]) -> Callable[[], object]:
    def inside() -> object:
        before = fusion.PAYS_FROM
        fusion.PAYS_FROM = 1 << 62
        try:
            return run()
        finally:
            fusion.PAYS_FROM = before

    return inside


def _median_seconds(run: Callable[[], object], repeats: int = 10) -> float:
    times = []
    for index in range(repeats + 3):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        if index >= 3:
            times.append(begin.elapsed_time(end) / 1000)
    return statistics.median(times)


if __name__ == "__main__":
    main()
