"""A validated run as a whole: side by side, in turn, and its final training alone, paired.

``python -m benchmarks.validated`` prints how many times as long as a run under ``last`` a validated run takes, with
trainings side by side (the default of small features) and in turn. Every way is a command of its own; the ways take
turns in rounds, and a ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import keep
from gsmflow.runs.folder import read_metrics

WAYS = {
    "final training alone": ("--protocol", "last", "--threads", "1"),
    "side by side": (),
    "in turn": ("--threads", "1"),
}


def timed(problem: str, words: tuple[str, ...]) -> tuple[float, float]:
    """Seconds from the start of the command to its end, and H."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [
            sys.executable,
            "-m",
            "gsmflow",
            "train",
            problem,
            "--method",
            "gsmflow",
            *words,
            "--out",
            str(out),
        ]
        begun = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        return time.perf_counter() - begun, read_metrics(out)["H"]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--problems", nargs="+", default=["digits", "synthetic:n=7000,d=100,classes=60,unseen=12,a=40"]
    )
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for problem in arguments.problems:
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        scores: dict[str, set[float]] = {way: set() for way in WAYS}
        for _ in range(arguments.rounds):
            for way, words in WAYS.items():
                spent, harmonic = timed(problem, words)
                seconds[way].append(spent)
                scores[way].add(harmonic)
        assert scores["side by side"] == scores["in turn"]
        alone, beside, in_turn = seconds.values()
        row = {
            "problem": problem,
            "seconds": seconds,
            "in turn over side by side": median_ratio(in_turn, beside),
            "side by side over the final training": median_ratio(beside, alone),
            "in turn over the final training": median_ratio(in_turn, alone),
        }
        print(row, flush=True)
        rows.append(row)
    keep("validated", {"rows": rows})


def median_ratio(of: list[float], over: list[float]) -> float:
    """The median over rounds of how many times as long one way took as another."""
    return statistics.median(one / other for one, other in zip(of, over, strict=True))


if __name__ == "__main__":
    main()
