"""Every method at its best, in the same time for each: ``python -m benchmarks.fair --data-root DATA --seconds 60``.

On each problem each method is tuned on validation problems of seed 0: the options it declares a range for, the scaling
of features and the number of principal components, all of them among the choices. No trial begins after the given
seconds. A method that combines others, such as ``auto``, chooses by itself and is not tuned. What is found is then run
on all seeds by protocol ``validated``. Tuned presets and runs are continued where they were stopped; what is finished
goes into ``results/fair.csv``, a line a run.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.drawn import FEATURES, Drawn
from benchmarks.measure import RESULTS, keep_records, machine, records
from gsmflow import sources
from gsmflow.base.errors import InputError
from gsmflow.cli.options import parse_seeds
from gsmflow.data.feature_options import SCALINGS
from gsmflow.methods import find_method, method_names
from gsmflow.recipes.preset import preset_for
from gsmflow.recipes.recipe import make_recipe
from gsmflow.runs.folder import METRICS, read_metrics
from gsmflow.studies import tuning
from gsmflow.studies.search_space import Dimension, default_space
from gsmflow.studies.tables import SCORES

FILE = RESULTS / "fair.csv"
COLUMNS: tuple[str, ...] = (
    *("problem", "method", "seed", *SCORES, "seconds", "tuning_seconds", "trials", "components", "scaling"),
    *("date", "processor", "bfloat16"),
)

_COMPONENTS = (0, 512, 256, 128)


def tuned(problem: str, method: str, seconds: float, data_root: Path, out: Path) -> Path:
    """The preset that tuning a method for so many seconds finds; it is not tuned again."""
    preset = out / problem / f"{method}.toml"
    if preset.exists():
        return preset
    if find_method(method).members:
        recipe = make_recipe(method, preset_for(problem, "best", method))
        tuning.write_preset(preset, recipe, "0 seconds, 0 trials, chooses by itself")
        return preset
    data = sources.load(problem, data_root=data_root, features=FEATURES[problem])
    recommended = preset_for(problem, "best") if FEATURES[problem] else preset_for(problem)
    base = tuning.Search(method, recommended, (), ())
    components = [str(count) for count in _COMPONENTS if count < data.feature_dim]
    space = (
        *default_space(base.recipe()),
        Dimension("features.project", values=tuple(components)),
        Dimension("features.scaling", values=SCALINGS),
    )
    search = tuning.Search(method, base.preset, ("features.project_at_most=0",), space)
    study = tuning.tune(
        data,
        search,
        trials=1000,
        seconds=seconds,
        seed=0,
        device=torch.device("cpu"),
        storage=str(out / problem / f"{method}.log"),
        study_name=method,
    )
    recipe, value = tuning.best_recipe(study, search)
    spent = sum(trial.duration.total_seconds() for trial in study.trials if trial.duration)
    told = f"{spent:.0f} seconds, {len(study.trials)} trials, validation H {100 * value:.1f}"
    tuning.write_preset(preset, recipe, told)
    return preset


def finished_run(problem: str, method: str, seed: int, preset: Path, data_root: Path) -> Path:
    """The folder of the run with a tuned preset."""
    folder = preset.parent / method / f"seed{seed}"
    if not (folder / METRICS).exists():
        features = FEATURES[problem]
        words = ["train", problem, "--method", method, "--preset", str(preset), "--seed", str(seed)]
        words += ["--features", features] if features else []
        words += [
            "--data-root",
            str(data_root),
            "--threads",
            "1",
            "--resume",
            "--out",
            str(folder),
        ]
        subprocess.run([sys.executable, "-m", "gsmflow", *words], check=True, capture_output=True)
    return folder


def keep_runs(problems: Sequence[str], methods: Sequence[str], seeds: Sequence[int], out: Path) -> int:
    """Put the finished runs on record; how many those are."""
    facts, lines = machine(), kept()
    for problem, method, seed in itertools.product(problems, methods, seeds):
        folder = out / problem / method / f"seed{seed}"
        if not (folder / METRICS).exists():
            continue
        metrics, preset = read_metrics(folder), tomllib.loads((out / problem / f"{method}.toml").read_text())
        spent, trials, _ = str(preset["description"]).split(", ")
        lines[problem, method, str(seed)] = {
            **{"problem": problem, "method": method, "seed": str(seed)},
            **{name: f"{metrics[name]:.5f}" for name in SCORES},
            "seconds": f"{metrics['seconds']['total']:.1f}",
            "tuning_seconds": spent.split()[0],
            "trials": trials.split()[0],
            "components": str(preset["features"]["project"]),
            "scaling": str(preset["features"]["scaling"]),
            **{"date": facts["date"], "processor": facts["processor"]},
            "bfloat16": "yes" if facts["bfloat16 hardware"] else "no",
        }
    keep_records(FILE, COLUMNS, (lines[key] for key in sorted(lines)))
    return len(lines)


def kept() -> dict[tuple[str, str, str], dict[str, str]]:
    """The runs on record, by problem, method and seed."""
    return {(line["problem"], line["method"], line["seed"]): line for line in records(FILE)}


def main() -> None:
    """Tune, run, keep."""
    known = [name for name in method_names() if not find_method(name).upper_bound]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", nargs="+", choices=FEATURES, default=list(FEATURES))
    parser.add_argument("--methods", nargs="+", choices=known, default=known)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("runs/fair"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds, root, out = parse_seeds(arguments.seeds), arguments.data_root, arguments.out
    for problem, method in itertools.product(arguments.problems, arguments.methods):
        try:
            find_method(method).check(Drawn(problem).load(root, 0))
        except InputError as error:
            print(f"{problem}, {method}: left out, {error}", flush=True)
            continue
        preset = tuned(problem, method, arguments.seconds, root, out)
        for seed in seeds:
            metrics = read_metrics(finished_run(problem, method, seed, preset, root))
            print(f"{problem}, {method}, seed {seed}: H {100 * metrics['H']:.1f}", flush=True)
        keep_runs([problem], [method], seeds, out)


if __name__ == "__main__":
    main()
