"""``gsmflow import``: a checkpoint of the authors' program becomes a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options
from gsmflow.cli.grouping import grouped
from gsmflow.cli.options import DataOptions, PresetOptions
from gsmflow.cli.saying import say


@click.command("import")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@grouped(data=DataOptions, preset=PresetOptions)
@options.seed_option
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/PROBLEM-gsmflow-...]"
)
@options.device_option
@options.as_json
def import_checkpoint(
    checkpoint: Path,
    data: DataOptions,
    preset: PresetOptions,
    seed: int,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Score CHECKPOINT, a .tar file of the authors' program, on PROBLEM, and write it as a run.

    Nothing in the file is executed. Its flow synthesizes the unseen classes, and a head is fitted and scored once. A
    Best_model_... file was chosen on the test set when it was saved, so its scores are labelled oracle; those of an
    Iter_... file are not.
    """
    import numpy as np

    from gsmflow.cli.display import closing_table
    from gsmflow.compute.devices import check_device, resolve_device
    from gsmflow.data.lending import Setting
    from gsmflow.files.guard import first_bytes
    from gsmflow.files.missing import no_such
    from gsmflow.methods.gsmflow import GSMFlowOptions
    from gsmflow.recipes.preset import preset_for
    from gsmflow.recipes.recipe import make_recipe
    from gsmflow.runs.checkpoint_pickle import look_over
    from gsmflow.runs.folder import Request, new_folder, refuse_taken

    recipe = make_recipe("gsmflow", preset_for(data.problem, preset.preset), preset.overrides)
    assert isinstance(recipe.options, GSMFlowOptions)
    if recipe.setting is not Setting.INDUCTIVE:
        raise InputError("gsmflow.transductive: the published program is inductive; leave it out")
    if out:
        refuse_taken(out)
    if not checkpoint.is_file():
        raise InputError(f"{checkpoint}: {no_such(checkpoint)}")
    check_device(device)
    if not first_bytes(checkpoint, 2).startswith((b"PK", b"\x80")):
        raise InputError(
            f"{checkpoint}: damaged, or no checkpoint of the published program: neither an archive nor a pickle"
        )
    look_over(checkpoint)
    problem = data.load()

    from gsmflow.runs.authors_checkpoint import read_checkpoint  # late, as what follows loads torch
    from gsmflow.runs.train import adopt

    saved = read_checkpoint(checkpoint)
    sizes = {
        "blocks": saved.sizes.blocks,
        "hidden": saved.sizes.hidden,
        "global_semantic": saved.sizes.global_semantic,
    }
    recipe = replace(
        recipe,
        options=replace(recipe.options, **sizes, clamp=1.0, residual=False),
        semantics=replace(recipe.semantics, scaling="none"),  # the published program takes them as they are
    )
    for what, own, given in (
        ("feature", recipe.features.out_dim(problem), saved.sizes.feature_dim),
        ("semantic", problem.semantic_dim, saved.semantic_dim),
    ):
        if own != given:
            raise InputError(
                f"{checkpoint}: trained on {given} {what} dimensions, but {data.problem} has {own}; choose others "
                "with --features and --semantics"
            )
    anchors = saved.weights["positioning.anchors"].numpy()
    away = np.abs(problem.semantics[:, None] - anchors[None]).max(axis=2).min(axis=0).max()
    if away > 1e-4:
        say(
            f"{checkpoint}: its anchors are no class's semantics in {data.problem}, so it was trained with others",
            indent=2,
        )
    request = Request(
        problem=data.problem,
        features=data.features,
        semantics=data.semantics,
        protocol="oracle" if saved.chosen_on_test else "last",
        oracle=False,
        seed=seed,
    )
    folder = out or new_folder(Path("runs"), request, recipe, resume=False)
    origin = {"file": str(checkpoint), "iteration": saved.iteration, "seed": saved.seed}
    metrics = adopt(
        request,
        problem,
        recipe,
        saved.weights,
        steps=saved.iteration,
        origin=origin,
        device=resolve_device(device),
        folder=folder,
    )
    result = metrics | {"run": str(folder)}
    if as_json:
        click.echo(json.dumps(result, allow_nan=False))
    else:
        closing_table(result)
