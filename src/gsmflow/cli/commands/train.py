"""``gsmflow train``: make a run, or one a seed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options

if TYPE_CHECKING:
    import torch

    from gsmflow.data.problem import Problem
    from gsmflow.recipes.recipe import Recipe
    from gsmflow.runs.folder import Request
    from gsmflow.studies.cells import Cell


@click.command()
@click.argument("problem")
@click.option("--method", default="gsmflow", show_default=True, help="One of `gsmflow methods`.")
@click.option("--preset", help="A preset's name or a .toml file.  [default: the problem's own, or 'best']")
@options.overrides
@click.option(
    "--project",
    type=click.IntRange(0),
    metavar="K",
    help="Work on K principal components of the training features; 0: on the features themselves.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1))
@click.option(
    "--seeds", metavar="A-B", help="Several runs, such as 0-4 or 0,3,7; prints the mean and its interval."
)
@click.option(
    "--protocol",
    type=click.Choice(["validated", "last", "oracle"]),
    default="validated",
    show_default=True,
    help="validated: choose on a validation problem; last: the whole budget, no choice; "
    "oracle: last, and beside it the best on the test set.",
)
@click.option("--oracle", is_flag=True, help="Also score the best on the test set, labelled as such.")
@click.option(
    "--features", metavar="NAME", help="Feature file NAME.mat (or .npz, .csv) instead of the usual one."
)
@click.option(
    "--semantics", metavar="NAME", help="Class embeddings NAME_splits.mat instead of att_splits.mat."
)
@click.option(
    "--backbone",
    metavar="NAME|FILE",
    help="PROBLEM is a folder with images/ (one folder a class): make features of them first, see `gsmflow extract`.",
)
@options.weights
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/PROBLEM-METHOD-...]"
)
@click.option("--resume", is_flag=True, help="Continue the interrupted run of the same command.")
@click.option(
    "--checkpoint-seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Between checkpoints.",
)
@click.option(
    "--tensorboard",
    is_flag=True,
    help="Write TensorBoard event files into the run folder, under tensorboard/.",
)
@click.option(
    "--keep-data",
    is_flag=True,
    help="Keep the features in the run folder, so that classes can be added where the data are not at hand.",
)
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: all; 1 for small features]")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Runs of --seeds at a time, each in a process of its own.  [default: as many as cores for small features, "
    "else 1]",
)
@options.data_root
@options.device
@options.as_json
def train(
    problem: str,
    method: str,
    preset: str | None,
    overrides: tuple[str, ...],
    project: int | None,
    seed: int,
    seeds: str | None,
    protocol: str,
    oracle: bool,
    features: str | None,
    semantics: str | None,
    backbone: str | None,
    weights: str,
    out: Path | None,
    resume: bool,
    checkpoint_seconds: float,
    tensorboard: bool,
    keep_data: bool,
    threads: int | None,
    jobs: int | None,
    data_root: Path,
    device: str,
    as_json: bool,
) -> int:
    """Train on PROBLEM, classify its test set, and keep the run.

    PROBLEM is a data set's name (see `gsmflow data`), a folder, `digits` or `synthetic`. Straight from images:
    a folder with classes.csv and images/ (one folder a class), and --backbone.
    """
    given = click.get_current_context().get_parameter_source("seed")
    if seeds and given is click.core.ParameterSource.COMMANDLINE:
        raise InputError(f"--seed {seed} and --seeds {seeds}: give one of them")
    chosen_seeds = options.parse_seeds(seeds) if seeds else [seed]

    # Late: loading torch takes over a second that --help need not wait for.
    from gsmflow import sources
    from gsmflow.cli.display import closing_table, seeds_table, tell_remarks
    from gsmflow.cli.many_runs import check_failures, run_cells
    from gsmflow.compute.devices import divide_cores, resolve_device, set_threads
    from gsmflow.recipes.recipe import make_recipe, preset_for
    from gsmflow.runs.folder import Request, new_folder
    from gsmflow.studies.cells import Cell, Variant

    where = resolve_device(device)
    processes = int(os.environ.get("WORLD_SIZE", "1"))  # that torchrun started
    first = int(os.environ.get("RANK", "0")) == 0  # of them, the one that speaks
    if processes > 1 and jobs and jobs > 1:
        raise InputError(f"--jobs {jobs}: torchrun divides every run among its processes; leave it out")
    if project is not None:
        overrides = (*overrides, f"features.project={project}", "features.project_at_most=0")
    recipe = make_recipe(method, preset_for(problem, preset, method), overrides)
    left_out = False
    if backbone:
        left_out = _extract_first(Path(problem), features, backbone, weights, where)
    elif weights:
        raise InputError(f"--weights {weights}: belongs to a --backbone; name that too")
    loaded = sources.load(problem, data_root=data_root, features=features, semantics=semantics)
    if first:
        tell_remarks(loaded)
    dims = recipe.features.out_dim(loaded)
    requests: dict[Path, Request] = {}
    for each in chosen_seeds:
        request = Request(
            problem=problem,
            features=features,
            semantics=semantics,
            protocol="last" if protocol == "oracle" else protocol,
            oracle=oracle or protocol == "oracle",
            seed=each,
        )
        folder = out or new_folder(Path("runs"), request, recipe, resume=resume)
        requests[out / f"seed{each}" if out and len(chosen_seeds) > 1 else folder] = request
    if jobs is None and (processes > 1 or where.type != "cpu"):
        jobs = 1
    jobs, each_threads = divide_cores(jobs, len(requests), threads, dims)
    found: dict[Cell, dict[str, Any] | None] = {}
    if jobs > 1:
        variant = Variant(method, method, recipe.preset, overrides)
        cells = [
            Cell(
                variant=variant,
                place=folder,
                data_root=data_root,
                device=device,
                resume=resume,
                checkpoint_seconds=checkpoint_seconds,
                keep_data=keep_data,
                tensorboard=tensorboard,
                **asdict(request),
            )
            for folder, request in requests.items()
        ]
        root, again = out or Path("runs"), "the same command with --resume"
        found = run_cells(cells, root, jobs, each_threads, continues=again)
        made = (m | {"run": str(cell.folder(root))} for cell, m in found.items() if m)
    else:
        set_threads(threads, dims)
        arguments = {"resume": resume, "checkpoint_seconds": checkpoint_seconds, "keep_data": keep_data}
        made = _in_turn(requests, loaded, recipe, where, tensorboard and first, arguments)
    results = []
    for metrics in made:
        results.append(metrics)
        if not as_json and first:
            closing_table(metrics)
    if not first:
        return 0
    if as_json:
        click.echo(json.dumps(results[0] if not seeds else {"runs": results}, allow_nan=False))
    elif len(results) > 1:
        seeds_table(results)
    check_failures(found)
    return 3 if left_out else 0


def _in_turn(
    requests: Mapping[Path, Request],
    problem: Problem,
    recipe: Recipe,
    device: torch.device,
    events: bool,
    arguments: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """Make one run after the other in this process, on the same loaded data: their metrics."""
    from gsmflow.cli.display import live_display
    from gsmflow.compute.data_parallel import joined
    from gsmflow.runs.stopping import stoppable
    from gsmflow.runs.tensorboard import event_files
    from gsmflow.runs.train import train

    for folder, request in requests.items():
        with ExitStack() as open_:
            open_.enter_context(joined(device))
            title = f"{problem.name}, {recipe.method.name}, seed {request.seed}"
            progress = open_.enter_context(live_display(title))
            if events:
                progress = open_.enter_context(event_files(folder / "tensorboard", progress))
            watch = open_.enter_context(stoppable())
            metrics = train(
                request,
                problem,
                recipe,
                device=device,
                folder=folder,
                progress=progress,
                on_recorder=watch,
                **arguments,
            )
        yield metrics | {"run": str(folder)}


def _extract_first(
    folder: Path, features: str | None, backbone: str, weights: str, device: torch.device
) -> bool:
    """Make the features of the images in a folder, unless they are there; whether images were left out."""
    from gsmflow.cli.display_images import counting, tell_passed_over, tell_unreadable, tell_without_images
    from gsmflow.images.backbone import BackboneSpec
    from gsmflow.images.extraction import extract
    from gsmflow.images.feature_table import unreadable_file
    from gsmflow.images.listing import list_labelled
    from gsmflow.images.opening import open_backbone
    from gsmflow.sources.table import images_of

    images = images_of(folder)
    if images is None:
        raise InputError(
            f"{folder}: has no images/ (one folder a class) and no images.csv to use --backbone {backbone} on; put "
            "the images there, or leave out --backbone"
        )
    listing = list_labelled(images)
    tell_passed_over(listing)
    out = folder / f"{features or 'features'}.npz"
    with counting("images") as told:
        made = extract(
            open_backbone(BackboneSpec.of(backbone, weights=weights), device), listing, out, told=told
        )
    tell_unreadable(made.unreadable, unreadable_file(out))
    tell_without_images(listing, made.unreadable)
    return bool(made.unreadable)
