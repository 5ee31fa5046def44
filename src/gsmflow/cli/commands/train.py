"""``gsmflow train``: make a run, or one a seed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options
from gsmflow.cli.grouping import grouped
from gsmflow.cli.options import DataOptions, PictureOptions
from gsmflow.cli.setting import BudgetOptions

if TYPE_CHECKING:
    import torch

    from gsmflow.data.problem import Problem
    from gsmflow.learning.journal import Recorder
    from gsmflow.recipes.recipe import Recipe
    from gsmflow.runs.folder import Request
    from gsmflow.studies.cells import Cell


_project = click.option(
    "--project",
    type=click.IntRange(0),
    metavar="K",
    help="Reduce the features to K principal components of the training features. 0: use the features themselves.",
)
_seeds = click.option(
    "--seeds",
    metavar="A-B",
    help="Make one run for each of these seeds, such as 0-4 or 0,3,7, and print the mean and its interval.",
)
_protocol = click.option(
    "--protocol",
    type=click.Choice(["validated", "last", "oracle"]),
    default="validated",
    show_default=True,
    help="validated: choose epochs and parameters on validation problems. last: train for the whole budget and choose "
    "nothing. oracle: as last, and also report the best choice on the test set.",
)
_oracle = click.option(
    "--oracle", is_flag=True, help="Also report the best choice on the test set, labelled oracle."
)
_out = click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/PROBLEM-METHOD-...]"
)
_resume = click.option("--resume", is_flag=True, help="Continue the interrupted run of the same command.")
_checkpoint_seconds = click.option(
    "--checkpoint-seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds between two checkpoints.",
)
_tensorboard = click.option(
    "--tensorboard",
    is_flag=True,
    help="Write TensorBoard event files into the run folder, under tensorboard/.",
)
_keep_data = click.option(
    "--keep-data",
    is_flag=True,
    help="Keep the features in the run folder. Classes can then be added on a machine without the data.",
)


@dataclass(frozen=True)
class RunOptions:
    """What is trained, how often, by which protocol, and where it is kept."""

    method: Annotated[str | None, options.method_or_recommended]
    project: Annotated[int | None, _project]
    seed: Annotated[int, options.seed_option]
    seeds: Annotated[str | None, _seeds]
    protocol: Annotated[str, _protocol]
    oracle: Annotated[bool, _oracle]
    out: Annotated[Path | None, _out]
    resume: Annotated[bool, _resume]
    checkpoint_seconds: Annotated[float, _checkpoint_seconds]
    tensorboard: Annotated[bool, _tensorboard]
    keep_data: Annotated[bool, _keep_data]

    def chosen_seeds(self) -> list[int]:
        """The seeds that are asked for.

        Raises
        ------
        InputError
            They are no seeds, or --seed is given beside --seeds.
        """
        given = click.get_current_context().get_parameter_source("seed")
        if self.seeds and given is click.core.ParameterSource.COMMANDLINE:
            raise InputError(f"--seed {self.seed} and --seeds {self.seeds}: give one of them")
        return options.parse_seeds(self.seeds) if self.seeds else [self.seed]

    def overrides(self, given: Sequence[str]) -> tuple[str, ...]:
        """Those given, and --project as overrides."""
        if self.project is None:
            return tuple(given)
        return (*given, f"features.project={self.project}", "features.project_at_most=0")

    def requests(self, data: DataOptions, recipe: Recipe, seeds: Sequence[int]) -> dict[Path, Request]:
        """A run folder and a request for each seed."""
        from gsmflow.runs.folder import Request, new_folder, refuse_taken

        requests: dict[Path, Request] = {}
        for seed in seeds:
            request = Request(
                problem=data.problem,
                features=data.features,
                semantics=data.semantics,
                protocol="last" if self.protocol == "oracle" else self.protocol,
                oracle=self.oracle or self.protocol == "oracle",
                seed=seed,
            )
            folder = self.out or new_folder(Path("runs"), request, recipe, resume=self.resume)
            folder = self.out / f"seed{seed}" if self.out and len(seeds) > 1 else folder
            if not self.resume:
                refuse_taken(folder)
            requests[folder] = request
        return requests


_threads = click.option(
    "--threads", type=click.IntRange(1), help="CPU threads.  [default: all; 1 for features of few dimensions]"
)
_jobs = click.option(
    "--jobs",
    type=click.IntRange(1),
    help="How many runs of --seeds go at the same time, each in its own process.  [default: as many as cores for "
    "features of few dimensions, else 1]",
)


@dataclass(frozen=True)
class MachineOptions:
    """What the runs are computed on."""

    threads: Annotated[int | None, _threads]
    jobs: Annotated[int | None, _jobs]
    device: Annotated[str, options.device_option]

    @property
    def processes(self) -> int:
        """Processes that torchrun started for every run."""
        return int(os.environ.get("WORLD_SIZE", "1"))

    @property
    def speaks(self) -> bool:
        """Whether this process is the one of them that speaks."""
        return int(os.environ.get("RANK", "0")) == 0

    def check(self) -> None:
        """Refuse what does not go together.

        Raises
        ------
        InputError
            Several runs at a time, each of them divided by torchrun.
        """
        if self.processes > 1 and self.jobs and self.jobs > 1:
            raise InputError(
                f"--jobs {self.jobs}: torchrun divides every run among its processes; leave it out"
            )

    def divided(self, runs: int, dims: int, device: torch.device) -> tuple[int, int]:
        """How many runs go at a time, and the threads of each."""
        from gsmflow.compute.devices import divide_cores

        jobs = self.jobs
        if jobs is None and (self.processes > 1 or device.type != "cpu"):
            jobs = 1
        return divide_cores(jobs, runs, self.threads, dims)


@click.command()
@grouped(
    data=DataOptions,
    preset=BudgetOptions,
    run=RunOptions,
    pictures=PictureOptions,
    machine=MachineOptions,
)
@options.as_json
def train(
    data: DataOptions,
    preset: BudgetOptions,
    run: RunOptions,
    pictures: PictureOptions,
    machine: MachineOptions,
    as_json: bool,
) -> int:
    """Train on PROBLEM, classify its test set, and keep the run.

    PROBLEM is the name of a data set (see `gsmflow data`), a folder, `digits` or `synthetic`. The folder may hold
    pictures: one folder a class, or train/ and test/ with those in them, or images/ with either. Then features and
    semantics are made first, and the separate commands that do the same are shown.
    """
    seeds = run.chosen_seeds()
    machine.check()

    # What is refused from here to the device's name is refused without torch, which takes over a second to load.
    from gsmflow.cli.display import closing_table, seeds_table
    from gsmflow.cli.display_concerns import tell_about, tell_concerns
    from gsmflow.cli.from_pictures import carry_out, planned, tell_next
    from gsmflow.cli.many_runs import check_failures
    from gsmflow.compute.devices import check_device, resolve_device, set_threads
    from gsmflow.data.feature_options import check_projection
    from gsmflow.data.warnings import recorded
    from gsmflow.recipes.preset import preset_for, recommended_method
    from gsmflow.recipes.recipe import make_recipe

    check_device(machine.device)
    method = run.method or recommended_method(data.problem, data.data_root, run.protocol)
    overrides = run.overrides(preset.of(method))
    recipe = make_recipe(method, preset_for(data.problem, preset.preset, method), overrides)
    requests = run.requests(data, recipe, seeds)
    chooses = run.protocol == "validated" and not recipe.method.untrained
    data, plan = planned(data, pictures, validated=chooses)
    if plan:
        requests = run.requests(data, recipe, seeds)  # with the semantics that are made now
    left_out = plan is not None and carry_out(plan, pictures, machine.device)
    problem = data.load()
    recipe.check(problem)
    check_projection(problem, recipe.features)
    dims = recipe.features.out_dim(problem)
    device = resolve_device(machine.device)
    jobs, threads = machine.divided(len(requests), dims, device)
    results: Mapping[Cell, dict[str, Any] | None] = {}
    if jobs > 1:
        tell_about(problem)
        results = _side_by_side(requests, recipe, overrides, data, run, machine.device, (jobs, threads))
        finished: Iterable[dict[str, Any]] = (
            metrics | {"run": str(cell.folder(Path()))} for cell, metrics in results.items() if metrics
        )
    else:
        lanes = set_threads(machine.threads, dims)
        finished = _in_turn(requests, problem, recipe, device, run, machine.speaks, lanes)
    shown = []
    for metrics in finished:
        shown.append(metrics)
        if not as_json and machine.speaks:
            closing_table(metrics)
        if machine.speaks:  # what was odd about the data was said before
            late = {"missed", "better"} if jobs > 1 else {"missed"}
            tell_concerns(each for each in recorded(metrics) if each.kind in late)
    if not machine.speaks:
        return 0
    if as_json:
        click.echo(json.dumps({"runs": shown} if run.seeds else shown[0], allow_nan=False))
    elif len(shown) > 1:
        seeds_table(shown)
    if shown and not as_json:
        tell_next(shown[0]["run"], data.problem, of_pictures=problem.backbone is not None)
    check_failures(results)
    return 3 if left_out else 0


def _side_by_side(
    requests: Mapping[Path, Request],
    recipe: Recipe,
    overrides: tuple[str, ...],
    data: DataOptions,
    run: RunOptions,
    device: str,
    divided: tuple[int, int],
) -> Mapping[Cell, dict[str, Any] | None]:
    """Make the runs in processes of their own, several at a time: their metrics."""
    from gsmflow.cli.many_runs import run_cells
    from gsmflow.studies.cells import Cell, Variant

    cells = [
        Cell(
            variant=Variant(recipe.method.name, recipe.method.name, recipe.preset, overrides),
            place=folder,
            data_root=data.data_root,
            device=device,
            resume=run.resume,
            checkpoint_seconds=run.checkpoint_seconds,
            keep_data=run.keep_data,
            tensorboard=run.tensorboard,
            **asdict(request),
        )
        for folder, request in requests.items()
    ]
    return run_cells(cells, run.out or Path("runs"), *divided, continues="the same command with --resume")


def _in_turn(
    requests: Mapping[Path, Request],
    problem: Problem,
    recipe: Recipe,
    device: torch.device,
    run: RunOptions,
    speaks: bool,
    lanes: int,
) -> Iterator[dict[str, Any]]:
    """Make one run after the other in this process, on the same loaded data: their metrics.

    Warnings about the data are printed once, by the process that prints, after all that can be refused.
    """
    from gsmflow.cli.display_concerns import told_about
    from gsmflow.cli.progress import Pace, live_display
    from gsmflow.compute.data_parallel import joined
    from gsmflow.runs.stopping import stoppable
    from gsmflow.runs.tensorboard import event_files
    from gsmflow.runs.train import train

    validated = any(request.protocol == "validated" for request in requests.values())
    stages = recipe.trained * (1 + (recipe.selection.problems if validated else 0))  # of a run, at most
    pace = Pace(stages * len(requests))
    for number, (folder, request) in enumerate(requests.items(), 1):
        with ExitStack() as open_:
            open_.enter_context(joined(device))
            title = f"{problem.name}, {recipe.method.name}, seed {request.seed}"
            progress = open_.enter_context(live_display(title, pace, number * stages))
            if run.tensorboard and speaks:
                progress = open_.enter_context(event_files(folder / "tensorboard", progress))
            watch = open_.enter_context(stoppable())
            said = told_about(problem) if speaks and number == 1 else []

            def begun(recorder: Recorder, watch: Any = watch, to: Any = progress, said: Any = said) -> None:
                watch(recorder)
                for text in said:
                    to.message(text)

            metrics = train(
                request,
                problem,
                recipe,
                device=device,
                folder=folder,
                resume=run.resume,
                checkpoint_seconds=run.checkpoint_seconds,
                keep_data=run.keep_data,
                progress=progress,
                on_recorder=begun,
                lanes=lanes,
            )
        yield metrics | {"run": str(folder)}
