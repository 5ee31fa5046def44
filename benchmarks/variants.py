"""What one option costs or gains in H, and its time: ``python -m benchmarks.variants projection --data-root DATA``.

The recommended recipe with each value of the option, paired by seed: one `gsmflow bench` for each value, which
continues where it was stopped. ``projection``: K principal components; ``precision``: of the flow's matrix products.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import keep
from benchmarks.methods import PROBLEMS, bench, bench_parser, metrics_of
from gsmflow.cli.options import parse_seeds
from gsmflow.studies.tables import SCORES


@dataclass(frozen=True)
class Option:
    """An option, its values, the one that the others are compared with, and the problems it is varied on."""

    name: str
    values: tuple[str, ...]
    reference: str
    problems: tuple[str, ...]


OPTIONS = {
    "projection": Option("features.project", ("64", "128", "256", "512"), "256", ("FLO", "AWA1")),
    "precision": Option("gsmflow.precision", ("float32", "bfloat16"), "float32", tuple(PROBLEMS)),
}


def main() -> None:
    """Run, print, keep."""
    parser = bench_parser(__doc__, Path("runs/variants"))
    parser.add_argument("option", choices=OPTIONS)
    arguments = parser.parse_args()
    option = OPTIONS[arguments.option]
    rows: list[dict[str, Any]] = []
    for problem, value in itertools.product(option.problems, option.values):
        out = arguments.out / arguments.option / value
        if not arguments.keep_only:
            words = ["--methods", "gsmflow", "--seeds", arguments.seeds, "--set", f"{option.name}={value}"]
            bench(problem, words, arguments.data_root, out)
        for seed in parse_seeds(arguments.seeds):
            metrics = metrics_of(problem, "gsmflow", seed, out)
            if metrics is not None:
                rows.append(
                    {"problem": problem, "value": value, "seed": seed}
                    | {name: metrics[name] for name in SCORES}
                    | {"seconds": metrics["seconds"]["total"]}
                )
    keep(arguments.option, {"rows": rows})


if __name__ == "__main__":
    main()
