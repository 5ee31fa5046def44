"""Every method on digits, FLO and AWA1, paired by seed: ``python -m benchmarks.methods --data-root DATA``.

Each has its recommended preset: the one of the data set, which gives methods without training all dimensions and grids
of their own. It is one `gsmflow bench` a problem. What every run scored is kept in ``results/methods.csv``, a line
each, so that seeds can be added later: runs that stand there are kept unless they are run again.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, keep_records, machine, records
from gsmflow.cli.options import parse_seeds
from gsmflow.methods import method_names
from gsmflow.runs.folder import METRICS, read_metrics
from gsmflow.studies.tables import SCORES

FILE = RESULTS / "methods.csv"
COLUMNS: tuple[str, ...] = ("problem", "method", "seed", *SCORES, "seconds", "date", "processor", "bfloat16")
REFERENCE = "gsmflow"
PROBLEMS = {
    "digits": [],
    "FLO": ["--features", "mobilenetv2", "--preset", "best"],
    "AWA1": ["--features", "shallow", "--preset", "best"],
}
SETTINGS = ["--no-oracle", "--threads", "1"]


def bench(problem: str, words: list[str], data_root: Path, out: Path) -> None:
    """Show and run `gsmflow bench` of a problem; runs that are finished in `out` are not run again."""
    words = ["bench", problem, *PROBLEMS[problem], *SETTINGS, *words]
    print(f"gsmflow {' '.join(words)}", flush=True)
    places = ["--data-root", str(data_root), "--out", str(out)]
    subprocess.run([sys.executable, "-m", "gsmflow", *words, *places], check=True)


def metrics_of(problem: str, method: str, seed: int, out: Path) -> dict[str, Any] | None:
    """The metrics of a run of such a bench, None where it is not finished."""
    folder = out / problem / method / f"seed{seed}"
    return read_metrics(folder) if (folder / METRICS).exists() else None


def kept() -> dict[tuple[str, str, int], dict[str, str]]:
    """The runs on record, by problem, method and seed."""
    return {(line["problem"], line["method"], int(line["seed"])): line for line in records(FILE)}


def keep_runs(problem: str, seeds: list[int], out: Path) -> int:
    """Put the finished runs of a bench on record; how many those are."""
    facts, lines, count = machine(), kept(), 0
    for method, seed in itertools.product(method_names(), seeds):
        metrics = metrics_of(problem, method, seed, out)
        if metrics is None:
            continue
        count += 1
        lines[problem, method, seed] = {
            "problem": problem,
            "method": method,
            "seed": str(seed),
            **{name: f"{metrics[name]:.5f}" for name in SCORES},
            "seconds": f"{metrics['seconds']['total']:.1f}",
            "date": facts["date"],
            "processor": facts["processor"],
            "bfloat16": "yes" if facts["bfloat16 hardware"] else "no",
        }
    problems, methods = list(PROBLEMS), method_names()
    keys = sorted(lines, key=lambda key: (problems.index(key[0]), methods.index(key[1]), key[2]))
    keep_records(FILE, COLUMNS, (lines[key] for key in keys))
    return count


def bench_parser(description: str | None, out: Path) -> argparse.ArgumentParser:
    """The arguments of every benchmark that consists of `gsmflow bench`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument(
        "--keep-only", action="store_true", help="run nothing, put on record what is finished"
    )
    return parser


def main() -> None:
    """Run, print, keep."""
    parser = bench_parser(__doc__, Path("runs/methods"))
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--methods", default="all", help="as of gsmflow bench")
    arguments = parser.parse_args()
    for problem in arguments.problems:
        if not arguments.keep_only:
            words = ["--methods", arguments.methods, "--seeds", arguments.seeds]
            bench(problem, words, arguments.data_root, arguments.out)
        count = keep_runs(problem, parse_seeds(arguments.seeds), arguments.out)
        print(f"{count} runs of {problem} on record in {FILE}")


if __name__ == "__main__":
    main()
