"""How long the program takes to answer: refusals, lists, ten rows to label, the first page of the service.

``python -m benchmarks.answers`` starts each command as a person does, in turn, several times, and writes the medians to
``benchmarks/results/answers.json`` with what they may take.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measure import in_turn, keep, machine

AT_ONCE, LABELLED, SERVED = 0.7, 2.5, 3.0  # seconds that answers may take
REFUSED: Mapping[str, list[str]] = {
    "train nosuch": ["train", "nosuch"],
    "train digits --method nosuch": ["train", "digits", "--method", "nosuch"],
    "train digits --preset nosuch": ["train", "digits", "--preset", "nosuch"],
    "train digits --set nosuch=1": ["train", "digits", "--set", "nosuch=1"],
    "train digits --device nosuch": ["train", "digits", "--device", "nosuch"],
    "train synthetic --out RUN": ["train", "synthetic", "--out", "run"],
    "bench nosuch": ["bench", "nosuch"],
    "tune digits --vary nosuch=1:2": ["tune", "digits", "--vary", "nosuch=1:2"],
    "extract nosuch": ["extract", "nosuch", "--backbone", "resnet101"],
    "predict nosuch": ["predict", "nosuch", "new.csv"],
    "report nosuch": ["report", "nosuch"],
    "serve nosuch": ["serve", "nosuch"],
}
LISTED: Mapping[str, list[str]] = {
    "--help": ["--help"],
    "train --help": ["train", "--help"],
    "methods": ["methods"],
    "data": ["data"],
    "describe, 30 classes": ["describe", "classes.csv", "--out", "semantics.csv"],
    "runs": ["runs", "."],
}
LABELS = "predict, ten rows"
SERVICE = "serve, first answer"


def command(folder: Path, words: list[str], code: int) -> None:
    """Run the program there; its exit code has to be `code`."""
    done = subprocess.run(
        [sys.executable, "-m", "gsmflow", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != code:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr[-300:]}")


def first_answer(folder: Path) -> None:
    """Start the service of the run, ask it for its page, stop it."""
    words = [sys.executable, "-m", "gsmflow", "serve", "run", "--port", "0", "--device", "cpu"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout
            address = process.stdout.readline().split(" on ", 1)[1].split()[0]
            with urllib.request.urlopen(address) as answer:
                answer.read()
        finally:
            process.kill()  # at once: how long it takes to end is not what is measured


def prepared(folder: Path) -> None:
    """A run, ten rows to label, and thirty classes to describe."""
    command(folder, ["train", "synthetic", "--method", "lda", "--out", "run"], 0)
    dims = 32
    random = np.random.default_rng(0)
    rows = random.normal(size=(10, dims))
    lines = [",".join(f"x{index}" for index in range(dims)), *(",".join(map(str, row)) for row in rows)]
    (folder / "new.csv").write_text("\n".join(lines) + "\n")
    described = [
        f"class{index},{','.join(map(str, values))}" for index, values in enumerate(random.random((30, 8)))
    ]
    header = "name," + ",".join(f"a{index}" for index in range(8))
    (folder / "classes.csv").write_text("\n".join([header, *described]) + "\n")


def candidates(folder: Path) -> dict[str, Callable[[], object]]:
    """Everything that is measured, by name."""
    measured: dict[str, Callable[[], object]] = {}
    for name, words in REFUSED.items():
        measured[name] = partial(command, folder, words, 2)
    for name, words in LISTED.items():
        measured[name] = partial(command, folder, words, 0)
    measured[LABELS] = partial(command, folder, ["predict", "run", "new.csv", "--device", "cpu"], 0)
    measured[SERVICE] = partial(first_answer, folder)
    loading = [sys.executable, "-c", "import torch"]
    measured["python, import torch"] = partial(subprocess.run, loading, check=True)
    measured["python"] = partial(subprocess.run, [sys.executable, "-c", "pass"], check=True)
    return measured


def allowed(name: str) -> float | None:
    """Seconds that an answer may take."""
    if name in REFUSED or name in LISTED:
        return AT_ONCE
    return {LABELS: LABELLED, SERVICE: SERVED}.get(name)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepared(folder)
        load = os.getloadavg()[0]
        begun = time.perf_counter()
        times = in_turn(candidates(folder), arguments.repeats, warm_up=1)
    for name, seconds in times.items():
        limit = allowed(name)
        seconds["allowed"] = limit
        verdict = (
            "" if limit is None else f"of {limit}" + ("" if seconds["median"] <= limit else "  TOO LONG")
        )
        print(f"{name:32} {seconds['median']:6.2f} s {verdict}")
    keep(
        "answers",
        {
            "seconds": times,
            "load before": round(load, 2),
            "measured for": round(time.perf_counter() - begun),
        },
    )


if __name__ == "__main__":
    main()
