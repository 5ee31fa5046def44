"""What ``--project K`` costs or gains in H, and its time: ``python -m benchmarks.projection --data-root DATA``.

The recommended recipe on FLO and AWA1 with K principal components: one `gsmflow bench` for each K, which continues
where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import keep
from benchmarks.methods import SETTINGS
from gsmflow.cli.options import parse_seeds
from gsmflow.comparison import SCORES

FEATURES = {"FLO": "mobilenetv2", "AWA1": "shallow"}
COMPONENTS = (64, 128, 256, 512)
REFERENCE = 256  # as the presets have it


def command(problem: str, components: int, seeds: str) -> list[str]:
    """The bench with so many components, without where its data lie and where its runs go."""
    words = ["bench", problem, "--features", FEATURES[problem], "--preset", "best", "--methods", "gsmflow"]
    return [*words, "--seeds", seeds, *SETTINGS, "--set", f"features.project={components}"]


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--components", type=int, nargs="+", default=COMPONENTS)
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("runs/projection"))
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for problem in FEATURES:
        for components in arguments.components:
            words = command(problem, components, arguments.seeds)
            print(f"gsmflow {' '.join(words)}", flush=True)
            out = arguments.out / str(components)
            places = ["--data-root", str(arguments.data_root), "--out", str(out)]
            subprocess.run([sys.executable, "-m", "gsmflow", *words, *places], check=True)
            for seed in parse_seeds(arguments.seeds):
                metrics = json.loads((out / problem / "gsmflow" / f"seed{seed}" / "metrics.json").read_text())
                rows.append(
                    {"problem": problem, "components": components, "seed": seed}
                    | {name: metrics[name] for name in SCORES}
                    | {"seconds": metrics["seconds"]["total"]}
                )
    keep("projection", {"rows": rows})


if __name__ == "__main__":
    main()
