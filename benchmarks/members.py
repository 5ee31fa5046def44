"""`auto` with its members side by side and in turn, paired: ``python -m benchmarks.members --data-root DATA``.

The problem is of a size that people bring: 24 seen classes of FLO with 37 images each, 1,280 dimensions. Every way is a
whole validated run in this process; the ways take turns in rounds, and a ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from benchmarks.drawn import Drawn
from benchmarks.measure import keep
from benchmarks.validated import median_ratio
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.fitting import run
from gsmflow.recipes.recipe import make_recipe

DRAWN = Drawn("FLO", 24, 37)
WAYS = {  # lanes, processor threads
    "side by side, one thread each": (2, 2),
    "in turn, one thread": (1, 1),
    "in turn, two threads": (1, 2),
}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    arguments = parser.parse_args()
    problem, recipe = DRAWN.load(arguments.data_root, 3), make_recipe("auto", "best")
    wall: dict[str, list[float]] = {way: [] for way in WAYS}
    processor: dict[str, list[float]] = {way: [] for way in WAYS}
    scores: dict[str, float] = {}
    for _ in range(arguments.rounds):
        for way, (lanes, threads) in WAYS.items():
            torch.set_num_threads(threads)
            begun = time.perf_counter(), time.process_time()
            outcome = run(
                problem,
                recipe,
                protocol="validated",
                oracle=False,
                seed=0,
                device=torch.device("cpu"),
                recorder=Recorder(),
                lanes=lanes,
            )
            wall[way].append(time.perf_counter() - begun[0])
            processor[way].append(time.process_time() - begun[1])
            scores[way] = outcome.scores.H
            print(f"{way}: {wall[way][-1]:.1f} s, {processor[way][-1]:.1f} of processor time", flush=True)
    first, *others = WAYS
    assert scores[first] == scores[others[0]]  # bit for bit
    keep(
        "members",
        {
            "samples": len(problem.train),
            "dimensions": problem.feature_dim,
            "seconds": wall,
            "processor seconds": processor,
            "H": scores,
            "over side by side": {way: median_ratio(wall[way], wall[first]) for way in others},
        },
    )


if __name__ == "__main__":
    main()
