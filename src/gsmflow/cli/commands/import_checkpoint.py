"""``gsmflow import``: a checkpoint of the authors' program becomes a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options


@click.command("import")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("problem")
@click.option(
    "--preset", help="For the features' scaling and the head.  [default: the problem's own, or 'best']"
)
@options.overrides
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Of the head.")
@click.option("--features", metavar="NAME", help="Feature file, as for train.")
@click.option("--semantics", metavar="NAME", help="Class embeddings, as for train.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/PROBLEM-gsmflow-...]"
)
@options.data_root
@options.device
@options.as_json
def import_checkpoint(
    checkpoint: Path,
    problem: str,
    preset: str | None,
    overrides: tuple[str, ...],
    seed: int,
    features: str | None,
    semantics: str | None,
    out: Path | None,
    data_root: Path,
    device: str,
    as_json: bool,
) -> None:
    """Score CHECKPOINT, a .tar of the authors' program, on PROBLEM, and keep it as a run.

    The file is read without running anything in it. Its flow synthesizes the unseen classes, a head is fitted
    and scored once. A Best_model_... was chosen on the test set when it was saved, so its scores are
    labelled oracle; those of an Iter_... are not.
    """
    import numpy as np

    from gsmflow import sources
    from gsmflow.cli.display import closing_table
    from gsmflow.compute.devices import resolve_device
    from gsmflow.methods.gsmflow import GSMFlowOptions
    from gsmflow.recipes.recipe import make_recipe, preset_for
    from gsmflow.runs.authors_checkpoint import read_checkpoint
    from gsmflow.runs.folder import Request, new_folder
    from gsmflow.runs.train import adopt

    kept = read_checkpoint(checkpoint)
    recipe = make_recipe("gsmflow", preset_for(problem, preset), overrides)
    assert isinstance(recipe.options, GSMFlowOptions)
    sizes = {
        "blocks": kept.sizes.blocks,
        "hidden": kept.sizes.hidden,
        "global_semantic": kept.sizes.global_semantic,
    }
    recipe = replace(recipe, options=replace(recipe.options, **sizes, clamp=1.0))
    loaded = sources.load(problem, data_root=data_root, features=features, semantics=semantics)
    for what, own, given in (
        ("feature", recipe.features.out_dim(loaded), kept.sizes.feature_dim),
        ("semantic", loaded.semantic_dim, kept.semantic_dim),
    ):
        if own != given:
            raise InputError(
                f"{checkpoint}: trained on {given} {what} dimensions, but {problem} has {own}; choose others "
                "with --features and --semantics"
            )
    anchors = kept.weights["positioning.anchors"].numpy()
    away = np.abs(loaded.semantics[:, None] - anchors[None]).max(axis=2).min(axis=0).max()
    if away > 1e-4:
        click.echo(
            f"{checkpoint}: its anchors are no class's semantics in {problem}, so it was trained with others",
            err=True,
        )
    request = Request(
        problem=problem,
        features=features,
        semantics=semantics,
        protocol="oracle" if kept.chosen_on_test else "last",
        oracle=False,
        seed=seed,
    )
    folder = out or new_folder(Path("runs"), request, recipe, resume=False)
    origin = {"file": str(checkpoint), "iteration": kept.iteration, "seed": kept.seed}
    metrics = adopt(
        request,
        loaded,
        recipe,
        kept.weights,
        steps=kept.iteration,
        origin=origin,
        device=resolve_device(device),
        folder=folder,
    )
    result = metrics | {"run": str(folder)}
    if as_json:
        click.echo(json.dumps(result, allow_nan=False))
    else:
        closing_table(result)
