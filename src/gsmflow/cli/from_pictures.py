"""What a person sees of a folder of pictures on its way to a problem, and the commands that it stands for."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.cli.display_images import extract_shown
from gsmflow.cli.grouping import flags_of

if TYPE_CHECKING:
    from gsmflow.cli.options import DataOptions, PictureOptions
    from gsmflow.runs.pictures import Plan

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
    """What has to be made of a folder of pictures, and the options of the problem that it becomes.

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
    found = plan(folder, pictures.wanted(data.features), pictures.said(data.semantics), validated=validated)
    return (data, None) if found is None else (replace(data, semantics=found.descriptions.semantics), found)


def _refuse_without_pictures(problem: str, pictures: PictureOptions) -> None:
    if pictures.backbone and Path(problem).is_dir():
        raise InputError(
            f"{problem}: has no images/ (one folder a class) and no images.csv to use --backbone {pictures.backbone} "
            "on; put the images there, or leave out --backbone"
        )
    names = [name for name in (*_OF_PICTURES, *_ASIDE) if name != "batch_size"]
    given = {name: getattr(pictures, name) for name in names}
    for name, value in given.items():
        if value:
            said = value[0] if isinstance(value, tuple) else value
            raise InputError(
                f"{said}: is about pictures, and {problem} is no folder of them",
                parameter=name,
                remedy="leave it out, or name a folder with one folder of pictures a class",
            )


def carry_out(plan: Plan, pictures: PictureOptions, device: str) -> bool:
    """Say what is done and by which commands, and do it; whether pictures were left out.

    Raises
    ------
    InputError
        A model cannot be opened, or a table cannot be made.
    """
    _tell(plan)
    describing = plan.descriptions.describing
    if describing:
        from gsmflow.compute.devices import resolve_device

        describing.write(resolve_device(device))
    if plan.extracting is None:
        return False
    make = partial(plan.extracting.extract, batch_size=pictures.batch_size, device=device)
    return bool(extract_shown(make, plan.extracting.out).unreadable)


def _tell(plan: Plan) -> None:
    """What was found: pictures, backbone, descriptions; and the commands that the request stands for."""
    count, seen, unseen = len(plan.listing.names), plan.seen, plan.unseen
    said = f"{count} pictures, {len(seen)} classes to learn from"
    said += f", {len(unseen)} without: {listed(unseen)}" if unseen else ""
    _line("pictures", f"{plan.images}: {said}")
    if not unseen:
        _line("", "to recognise classes without pictures too, name them: --classes zebra,okapi")
    _line("features", plan.extracting.told if plan.extracting else f"{plan.features} (there already)")
    if plan.changed:
        _line("", f"made of other pictures: {plan.changed}; delete it to make it anew")
    describing, semantics = plan.descriptions.describing, plan.descriptions.semantics or "classes"
    there = " and ".join(f"{plan.folder / part.strip()}.csv" for part in semantics.split(","))
    _line("classes", describing.told if describing else f"{there} (there already)")
    steps = [spelled(step.command, step.argument, step.options) for step in plan.steps]
    if steps:
        steps.append(_training(plan))
        click.echo(f"The same in {'two' if len(steps) == 2 else 'three'} commands:", err=True)
        for step in steps:
            click.echo(_continued(step), err=True)


def tell_next(run: str) -> None:
    """How new pictures are labelled by a run."""
    _line("next", f"gsmflow predict {shlex.quote(run)} NEW_PICTURES -o labels.csv")


def _continued(command: str) -> str:
    """A command that a person can copy, on several lines where a terminal is not as wide."""
    console = Console(stderr=True)
    if not console.is_terminal or len(command) + 2 <= console.width:
        return f"  {command}"
    lines = textwrap.wrap(
        command,
        console.width - 2,
        initial_indent="  ",
        subsequent_indent=" " * 6,
        break_long_words=False,
        break_on_hyphens=False,
    )
    whole = " \\\n".join(lines)
    return whole if shlex.split(whole) == shlex.split(command) else f"  {command}"  # a space within quotes


def _line(head: str, text: str) -> None:
    """A line with a word before it, wrapped between words in a terminal."""
    console = Console(stderr=True)
    line = f"{head:<10}{text}"
    wide = console.width if console.is_terminal else len(line)
    for each in textwrap.wrap(
        line, wide, subsequent_indent=" " * 10, break_long_words=False, break_on_hyphens=False
    ):
        click.echo(each, err=True)


def spelled(command: str, argument: str, options: Mapping[str, Any]) -> str:
    """A command as one types it.

    >>> spelled("extract", "my pictures", {"backbone": "resnet101", "weights": "", "out": "f.npz"})
    "gsmflow extract 'my pictures' --backbone resnet101 --out f.npz"
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
    return shlex.join(words)


def _training(plan: Plan) -> str:
    """The command that is left when the tables are there: the one that was given, without what they were made by."""
    context = click.get_current_context()
    typed = click.core.ParameterSource.COMMANDLINE
    given = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is typed and name not in (*_ASIDE, *_OF_PICTURES, "problem")
    }
    return spelled("train", str(plan.folder), {**given, "semantics": plan.descriptions.semantics})
