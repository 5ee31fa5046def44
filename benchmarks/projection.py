"""What ``--project K`` costs or gains in H, and its time: ``python -m benchmarks.projection --data-root DATA``.

The recommended recipe on FLO and AWA1 with K principal components: one `gsmflow bench` for each K, which continues
where it was stopped.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

from benchmarks.measure import keep
from benchmarks.methods import bench, metrics_of
from gsmflow.cli.options import parse_seeds
from gsmflow.comparison import SCORES

PROBLEMS = ("FLO", "AWA1")
COMPONENTS = (64, 128, 256, 512)
REFERENCE = 256  # as the presets have it


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--components", type=int, nargs="+", default=COMPONENTS)
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("runs/projection"))
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for problem, components in itertools.product(PROBLEMS, arguments.components):
        out = arguments.out / str(components)
        words = ["--methods", "gsmflow", "--seeds", arguments.seeds]
        words += ["--set", f"features.project={components}"]
        bench(problem, words, arguments.data_root, out)
        for seed in parse_seeds(arguments.seeds):
            metrics = metrics_of(problem, "gsmflow", seed, out)
            assert metrics is not None  # otherwise the bench has failed
            rows.append(
                {"problem": problem, "components": components, "seed": seed}
                | {name: metrics[name] for name in SCORES}
                | {"seconds": metrics["seconds"]["total"]}
            )
    keep("projection", {"rows": rows})


if __name__ == "__main__":
    main()
