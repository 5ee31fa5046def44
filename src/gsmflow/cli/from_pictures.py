"""`gsmflow train` on a folder of pictures: what is printed while it becomes a problem, and the separate commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.cli.display_images import extract_shown
from gsmflow.cli.grouping import flags_of
from gsmflow.cli.saying import say, say_command

if TYPE_CHECKING:
    from gsmflow.cli.options import DataOptions, PictureOptions
    from gsmflow.images.extraction import Pictures
    from gsmflow.runs.pictures import Extracting, Plan

_ASIDE = ("classes", "template", "encoder")
_OF_PICTURES = (
    "backbone",
    "weights",
    "size",
    "crop",
    "interpolation",
    "normalization",
    "output",
    "batch_size",
)


def planned(
    data: DataOptions, pictures: PictureOptions, *, validated: bool
) -> tuple[DataOptions, Plan | None]:
    """The plan for a folder of pictures, and the options of the problem that it becomes.

    Raises
    ------
    InputError
        Options are about pictures where there are none, or something that is needed is not there.
    """
    from gsmflow.runs.pictures import folder_of_pictures, plan

    folder = folder_of_pictures(data.problem, data.data_root)
    if folder is None:
        _refuse_without_pictures(data.problem, pictures)
        return data, None
    steps = plan(folder, pictures.wanted(data.features), pictures.said(data.semantics), validated=validated)
    if steps is None:
        return data, None
    return replace(data, semantics=steps.descriptions.semantics), steps


def _refuse_without_pictures(problem: str, pictures: PictureOptions) -> None:
    if pictures.backbone and Path(problem).is_dir():
        raise InputError(
            f"{problem}: has no images/ (one folder a class) and no images.csv, so --backbone {pictures.backbone} "
            "has no pictures to work on; put images there, or leave out --backbone"
        )
    names = [name for name in (*_OF_PICTURES, *_ASIDE) if name != "batch_size"]
    given = {name: getattr(pictures, name) for name in names}
    for name, value in given.items():
        if value:
            said = value[0] if isinstance(value, tuple) else value
            raise InputError(
                f"{said}: is an option for pictures, but {problem} is no folder of pictures",
                parameter=name,
                remedy="leave it out, or name a folder with one folder of pictures a class",
            )


def carry_out(plan: Plan, pictures: PictureOptions, device: str) -> bool:
    """Print the plan and carry it out. Returns whether pictures were left out.

    Raises
    ------
    InputError
        A model cannot be opened, or a table cannot be made.
    """
    _tell(plan)

    def extract(extracting: Extracting) -> Pictures:
        make = partial(extracting.extract, batch_size=pictures.batch_size, device=device)
        return extract_shown(make, extracting.out)

    table = plan.carry_out(device, extract)
    return table is not None and bool(table.unreadable)


def _tell(plan: Plan) -> None:
    """Print the plan: pictures, backbone, descriptions, and the separate commands that do the same."""
    count, seen, unseen = len(plan.listing.names), plan.seen, plan.unseen
    said = f"{count} pictures, {len(seen)} classes to learn from"
    said += f", {len(unseen)} without: {listed(unseen)}" if unseen else ""
    _line("pictures", f"{plan.images}: {said}")
    if not unseen:
        _line("", "to recognise classes without pictures too, name them: --classes zebra,okapi")
    _line("features", plan.extracting.told if plan.extracting else f"{plan.features} (there already)")
    if plan.changed:
        _line("", f"made of other pictures: {plan.changed}; delete it to make a new one")
    describing, semantics = plan.descriptions.describing, plan.descriptions.semantics or "classes"
    there = " and ".join(f"{plan.folder / part.strip()}.csv" for part in semantics.split(","))
    _line("classes", describing.told if describing else f"{there} (there already)")
    steps = [spelled(step.command, step.argument, step.options) for step in plan.steps]
    if steps:
        steps.append(_training(plan))
        say(f"The same in {'two' if len(steps) == 2 else 'three'} commands:", indent=2)
        for step in steps:
            say_command(step)


def tell_next(run: str, problem: str, *, of_pictures: bool) -> None:
    """Print the commands that show a run, and that use it where it was trained on somebody's own data."""
    if of_pictures:
        say("Look at it; label new pictures; see how many are right of others, in one folder a class:")
    elif Path(problem).is_dir():
        say("Look at it; label new rows:")
    else:
        say("Look at it:")
    say_command(("gsmflow", "report", run))
    if of_pictures:
        say_command(("gsmflow", "predict", run, "NEW_PICTURES", "-o", "labels.csv"))
        say_command(("gsmflow", "evaluate", run, "CLASS_FOLDERS"))
    elif Path(problem).is_dir():
        say_command(("gsmflow", "predict", run, "NEW_ROWS.csv", "-o", "labels.csv"))


def _line(head: str, text: str) -> None:
    """Print a line with a word before it."""
    say(f"{head:<10}{text}", indent=10)


def spelled(command: str, argument: str, options: Mapping[str, Any]) -> list[str]:
    """The words of a command as they are typed.

    >>> spelled("extract", "my pictures", {"backbone": "resnet101", "weights": "", "out": "f.npz"})[2:]
    ['my pictures', '--backbone', 'resnet101', '--out', 'f.npz']
    """
    group = click.get_current_context(silent=True)
    known = group.find_root().command if group else None
    flags = flags_of(known.commands.get(command)) if isinstance(known, click.Group) else {}
    words = ["gsmflow", command, argument]
    for name, value in options.items():
        flag = flags.get(name, f"--{name.replace('_', '-')}")
        for each in value if isinstance(value, tuple | list) else (value,):
            if each is True:
                words.append(flag)
            elif each not in ("", None, False):
                words += [flag, str(each)]
    return words


def _training(plan: Plan) -> list[str]:
    """The training command that is left when the tables are there: without the options that made them."""
    context = click.get_current_context()
    typed = click.core.ParameterSource.COMMANDLINE
    given = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is typed and name not in (*_ASIDE, *_OF_PICTURES, "problem")
    }
    return spelled("train", str(plan.folder), {**given, "semantics": plan.descriptions.semantics})
