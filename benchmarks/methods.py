"""Every method on digits, FLO and AWA1, paired by seed: ``python -m benchmarks.methods --data-root DATA``.

It is one `gsmflow bench` a problem. What every run scored is kept in ``results/methods.csv``, a line each, so that
seeds can be added later: runs that stand there are kept unless they are run again.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, machine
from gsmflow.bench import Variant, cells_of
from gsmflow.cli.options import parse_seeds
from gsmflow.comparison import SCORES
from gsmflow.methods import method_names

FILE = RESULTS / "methods.csv"
COLUMNS: tuple[str, ...] = ("problem", "method", "seed", *SCORES, "seconds", "date", "processor", "bfloat16")
REFERENCE = "gsmflow"
PROBLEMS = {"digits": [], "FLO": ["--features", "mobilenetv2"], "AWA1": ["--features", "shallow"]}
# One validation problem instead of three: peers with a critic take minutes to train.
SETTINGS = ["--no-oracle", "--set", "selection.problems=1", "--threads", "1"]


def command(problem: str, seeds: str) -> list[str]:
    """The bench of a problem, without where its data lie and where its runs go."""
    words = ["bench", problem, *PROBLEMS[problem], "--methods", "all", "--against", REFERENCE]
    words += [] if problem == "digits" else ["--preset", "best"]
    return [*words, "--seeds", seeds, *SETTINGS]


def kept() -> dict[tuple[str, str, int], dict[str, str]]:
    """The runs on record, by problem, method and seed."""
    if not FILE.exists():
        return {}
    with FILE.open(newline="") as file:
        return {(r["problem"], r["method"], int(r["seed"])): r for r in csv.DictReader(file)}


def keep_runs(problem: str, seeds: str, out: Path) -> int:
    """Put the finished runs of a bench on record; how many those are."""
    cells = cells_of(
        [problem],
        [Variant(name, name) for name in method_names()],
        parse_seeds(seeds),
        features={},
        semantics={},
        presets={},
        protocol="validated",
        oracle=False,
        data_root=Path(),
    )
    facts, records, found = machine(), kept(), 0
    for cell in cells:
        file = cell.folder(out) / "metrics.json"
        if not file.exists():
            continue
        metrics: dict[str, Any] = json.loads(file.read_text())
        found += 1
        records[cell.problem, cell.variant.label, cell.seed] = {
            "problem": cell.problem,
            "method": cell.variant.label,
            "seed": str(cell.seed),
            **{name: f"{metrics[name]:.5f}" for name in SCORES},
            "seconds": f"{metrics['seconds']['total']:.1f}",
            "date": facts["date"],
            "processor": facts["processor"],
            "bfloat16": "yes" if facts["bfloat16 hardware"] else "no",
        }
    order = list(PROBLEMS), method_names()
    with FILE.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(
            records[key]
            for key in sorted(records, key=lambda k: (order[0].index(k[0]), order[1].index(k[1]), k[2]))
        )
    return found


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("runs/methods"))
    parser.add_argument(
        "--keep-only", action="store_true", help="run nothing, put on record what is finished"
    )
    arguments = parser.parse_args()
    for problem in arguments.problems:
        words = command(problem, arguments.seeds)
        print(f"gsmflow {' '.join(words)}", flush=True)
        if not arguments.keep_only:
            places = ["--data-root", str(arguments.data_root), "--out", str(arguments.out)]
            subprocess.run([sys.executable, "-m", "gsmflow", *words, *places], check=True)
        print(f"{keep_runs(problem, arguments.seeds, arguments.out)} runs of {problem} on record in {FILE}")


if __name__ == "__main__":
    main()
