"""``gsmflow tune``: good options for a problem, found on validation problems."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click

from gsmflow.cli import options
from gsmflow.cli.grouping import grouped
from gsmflow.cli.options import DataOptions
from gsmflow.cli.saying import say
from gsmflow.cli.setting import SettingOptions

_vary = click.option(
    "--vary",
    multiple=True,
    metavar="KEY=RANGE",
    help="An option to search and its range: LOW:HIGH, LOW:HIGH:log or A,B,C. Repeatable.  [default: the ranges that "
    "the method and the head propose]",
)
_trials = click.option(
    "--trials",
    default=30,
    show_default=True,
    type=click.IntRange(1),
    help="Number of trials. Those that earlier commands finished count.",
)
_seconds = click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    help="Begin no new trial once the finished ones together took this long.  [default: no bound]",
)
_score = click.option(
    "--score",
    type=click.Choice(["H", "AUSUC"]),
    default="H",
    show_default=True,
    help="The score on validation problems to maximize.",
)
_trust_validation = click.option(
    "--trust-validation",
    type=click.Choice(["yes", "no"]),
    default="yes",
    show_default=True,
    help="no: choose by held-out samples of the seen classes alone. Use it where the backbone was trained with the "
    "labels of all seen classes, which makes validation problems too easy.",
)


@dataclass(frozen=True)
class SearchOptions:
    """What is looked for, where, and for how long."""

    method: Annotated[str, options.method_option]
    vary: Annotated[tuple[str, ...], _vary]
    trials: Annotated[int, _trials]
    seconds: Annotated[float | None, _seconds]
    score: Annotated[str, _score]
    trust_validation: Annotated[str, _trust_validation]
    seed: Annotated[int, options.seed_option]

    def told(self) -> str:
        """The score in words."""
        return self.score if self.trust_validation == "yes" else "S on held-out samples"


_storage = click.option(
    "--storage",
    metavar="FILE|URL",
    help="Where Optuna stores the study. Several commands may share it.  [default: runs/tune-PROBLEM-METHOD.log]",
)
_study_name = click.option(
    "--study", "study_name", help="Name of the study in the storage.  [default: PROBLEM-METHOD]"
)
_out = click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Preset file to write.  [default: PROBLEM-METHOD-tuned.toml]",
)


@dataclass(frozen=True)
class KeptOptions:
    """Where the study and its result are kept."""

    storage: Annotated[str | None, _storage]
    study_name: Annotated[str | None, _study_name]
    out: Annotated[Path | None, _out]


_threads = click.option(
    "--threads", type=click.IntRange(1), help="CPU threads.  [default: all; 1 for features of few dimensions]"
)


@dataclass(frozen=True)
class TrialOptions:
    """What the trials are computed on."""

    on: Annotated[str | None, options.on_option]
    threads: Annotated[int | None, _threads]
    device: Annotated[str, options.device_option]


@click.command()
@grouped(
    data=DataOptions, preset=SettingOptions, wanted=SearchOptions, place=KeptOptions, machine=TrialOptions
)
@options.as_json
def tune(
    data: DataOptions,
    preset: SettingOptions,
    wanted: SearchOptions,
    place: KeptOptions,
    machine: TrialOptions,
    as_json: bool,
) -> None:
    """Search for good options on PROBLEM with Optuna, and write a preset for `gsmflow train --preset`.

    Options are judged on validation problems cut from the training data, never on the test set. Stop it at any
    moment; the same command continues. Several such commands with the same --storage share the work.
    """
    from gsmflow.compute.devices import check_device, resolve_device, set_threads
    from gsmflow.compute.ray import parse_place
    from gsmflow.files.atomic import check_writable
    from gsmflow.recipes.preset import preset_for
    from gsmflow.studies import tuning
    from gsmflow.studies.search_space import default_space, parse_dimension, without_fixed

    check_device(machine.device)
    address = parse_place(machine.on)
    name, method, shown = Path(data.problem).name.replace(":", "-"), wanted.method, wanted.told()
    chosen_preset = preset_for(data.problem, preset.preset, method)
    settings = (
        *preset.of(method),
        f"selection.score={wanted.score}",
        f"selection.trust_validation={wanted.trust_validation}",
    )
    search = tuning.Search(method, chosen_preset, settings, ())
    # --vary is searched whatever --set says, whose value is then tried first.
    space = [parse_dimension(text) for text in wanted.vary]
    if not space:
        base = search.recipe()
        space, fixed = without_fixed(default_space(base), base, preset.of(method))
        if fixed:
            say(f"not searched, because --set fixes them: {', '.join(fixed)}", indent=2)
    search = tuning.Search(method, chosen_preset, settings, tuple(space))
    path = place.out or Path(f"{name}-{method}-tuned.toml")
    tuning.check(search, address)
    check_writable(path.parent)
    problem = data.load()
    set_threads(machine.threads, search.recipe().features.out_dim(problem))

    def told(trial) -> None:
        value = "failed" if trial.value is None else f"{shown} {100 * trial.value:.1f}"
        said = ", ".join(
            f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in trial.params.items()
        )
        say(f"trial {trial.number}: {value} ({said})", indent=2)

    study = tuning.tune(
        problem,
        search,
        trials=wanted.trials,
        seconds=wanted.seconds or float("inf"),
        seed=wanted.seed,
        device=resolve_device(machine.device),
        address=address,
        storage=place.storage or f"runs/tune-{name}-{method}.log",
        study_name=place.study_name or f"{name}-{method}",
        told=told,
    )
    recipe, value = tuning.best_recipe(study, search)
    start = tuning.value_of_start(study)
    finished = sum(trial.state.is_finished() for trial in study.trials)
    tuning.write_preset(
        path,
        recipe,
        f"{method} tuned on validation problems of {name}: {shown} {100 * value:.1f}, {finished} trials",
    )
    if as_json:
        best = {"preset": str(path), "score": shown, "validation": value, "trials": finished}
        click.echo(json.dumps(best | {"parameters": study.best_params}))
    else:
        begun = "" if start is None else f" ({100 * start:.1f} with the settings it started from)"
        say(
            f"best of {finished} trials: {shown} {100 * value:.1f} on validation{begun}; preset in {path}",
            err=False,
        )
