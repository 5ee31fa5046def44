"""``gsmflow tune``: good options for a problem, found on validation problems."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gsmflow.cli import options


@click.command()
@click.argument("problem")
@click.option("--method", default="gsmflow", show_default=True, help="One of `gsmflow methods`.")
@click.option("--preset", help="Where to start from.  [default: the problem's own, or 'best']")
@options.overrides
@click.option(
    "--vary",
    multiple=True,
    metavar="KEY=RANGE",
    help="LOW:HIGH, LOW:HIGH:log or A,B,C; repeatable.  [default: what the method and the head propose]",
)
@click.option(
    "--trials", default=30, show_default=True, type=click.IntRange(1), help="Finished trials in the study."
)
@click.option(
    "--score",
    type=click.Choice(["H", "AUSUC"]),
    default="H",
    show_default=True,
    help="What is to be highest.",
)
@click.option(
    "--trust-validation",
    type=click.Choice(["yes", "no"]),
    default="yes",
    show_default=True,
    help="no: the features were learned with labels of all seen classes; judge by held-out samples of those.",
)
@click.option(
    "--storage",
    metavar="FILE|URL",
    help="Where the study is kept; several commands may share it.  [default: runs/tune-PROBLEM-METHOD.log]",
)
@click.option("--study", help="Name of the study there.  [default: PROBLEM-METHOD]")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Preset to write.  [default: PROBLEM-METHOD-tuned.toml]"
)
@click.option("--features", metavar="NAME", help="Feature file, as for train.")
@click.option("--semantics", metavar="NAME", help="Class embeddings, as for train.")
@options.on
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: all; 1 for small features]")
@options.data_root
@options.device
@options.as_json
def tune(
    problem: str,
    method: str,
    preset: str | None,
    overrides: tuple[str, ...],
    vary: tuple[str, ...],
    trials: int,
    score: str,
    trust_validation: str,
    storage: str | None,
    study: str | None,
    seed: int,
    out: Path | None,
    features: str | None,
    semantics: str | None,
    on: str | None,
    threads: int | None,
    data_root: Path,
    device: str,
    as_json: bool,
) -> None:
    """Search options for PROBLEM with Optuna and write them as a preset for `gsmflow train --preset`.

    Only validation problems cut from the training data are looked at, never the test set. Stop it at any
    moment; the same command continues. Several of them with one --storage share the work.
    """
    from gsmflow import sources
    from gsmflow.compute.devices import resolve_device, set_threads
    from gsmflow.compute.ray import parse_place
    from gsmflow.recipes.recipe import preset_for
    from gsmflow.studies import tuning

    name = Path(problem).name.replace(":", "-")
    settings = (*overrides, f"selection.score={score}", f"selection.trust_validation={trust_validation}")
    search = tuning.Search(method, preset_for(problem, preset, method), settings, ())
    space = [tuning.parse_dimension(text) for text in vary] or tuning.default_space(search.recipe())
    search = tuning.Search(method, search.preset, settings, tuple(space))
    loaded = sources.load(problem, data_root=data_root, features=features, semantics=semantics)
    set_threads(threads, search.recipe().features.out_dim(loaded))
    shown = score if trust_validation == "yes" else "S on held-out samples"

    def told(trial) -> None:
        value = "failed" if trial.value is None else f"{shown} {100 * trial.value:.1f}"
        said = ", ".join(
            f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in trial.params.items()
        )
        click.echo(f"trial {trial.number}: {value} ({said})", err=True)

    found = tuning.tune(
        loaded,
        search,
        trials=trials,
        seed=seed,
        device=resolve_device(device),
        address=parse_place(on),
        storage=storage or f"runs/tune-{name}-{method}.log",
        study_name=study or f"{name}-{method}",
        told=told,
    )
    recipe, value = tuning.best_recipe(found, search)
    path = out or Path(f"{name}-{method}-tuned.toml")
    finished = sum(trial.state.is_finished() for trial in found.trials)
    tuning.write_preset(
        path,
        recipe,
        f"{method} tuned on validation problems of {name}: {shown} {100 * value:.1f}, {finished} trials",
    )
    if as_json:
        best = {"preset": str(path), "score": shown, "validation": value, "trials": finished}
        click.echo(json.dumps(best | {"parameters": found.best_params}))
    else:
        click.echo(f"best of {finished} trials: {shown} {100 * value:.1f} on validation; preset in {path}")
