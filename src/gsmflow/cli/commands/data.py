"""``gsmflow data``: which data sets are known, which are here, and where to obtain the others."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options
from gsmflow.cli.completion import complete_problems
from gsmflow.cli.grouping import grouped
from gsmflow.cli.options import DataOptions

_problem = click.argument("problem", required=False, default="", shell_complete=complete_problems)


@dataclasses.dataclass(frozen=True)
class KnownDataOptions(DataOptions):
    """A problem, or none for all that are known."""

    problem: Annotated[str, _problem]


@click.command()
@grouped(data=KnownDataOptions)
@options.as_json
def data(data: KnownDataOptions, as_json: bool) -> None:
    """Say what is in PROBLEM, a folder or a name, or list the known data sets.

    PROBLEM is read and checked as by `train`, and what was understood is shown: classes, samples, columns. In a folder
    of pictures those of each class are counted. Without PROBLEM: which data sets are there, their sizes, and where
    their files are expected.
    """
    from gsmflow import sources

    if data.problem:
        from gsmflow.runs.pictures import folder_of_pictures, has_features

        folder = folder_of_pictures(data.problem, data.data_root)
        if folder and not has_features(folder, data.features):
            _pictures(folder, as_json)
            return
        from gsmflow.cli.display import problem_table
        from gsmflow.cli.display_concerns import tell_concerns
        from gsmflow.data.warnings import of_problem

        problem = data.load()
        concerns = of_problem(problem)
        if as_json:
            warned = {"warnings": [each.to_dict() for each in concerns]}
            click.echo(json.dumps(problem.summary() | warned, allow_nan=False))
        else:
            problem_table(problem)
        tell_concerns(concerns)
        return
    if data.features or data.semantics:
        raise InputError("--features and --semantics choose among the files of a PROBLEM; name one")
    known = sources.survey(data.data_root)
    if as_json:
        click.echo(
            json.dumps(
                {"data_root": str(data.data_root), "known": [dataclasses.asdict(k) for k in known]},
                default=str,
            )
        )
        return
    from gsmflow.cli.display import data_table

    data_table(known, data.data_root)


def _pictures(folder: Path, as_json: bool) -> None:
    """Say what `train` would learn from in a folder of pictures of which no features have been made."""
    from gsmflow.cli.display_images import pictures_table, tell_passed_over
    from gsmflow.images.listing import list_labelled
    from gsmflow.runs.class_descriptions import names_there
    from gsmflow.sources.table import images_of

    listing = list_labelled(images_of(folder) or folder)
    tell_passed_over(listing)
    counts = listing.counts()
    without = sorted({*listing.empty, *names_there(folder)} - {*counts})
    if as_json:
        summary = {"name": folder.resolve().name, "pictures": len(listing.names), "pictures_of": counts}
        click.echo(json.dumps({**summary, "classes_without_pictures": without}))
    else:
        pictures_table(folder, listing, without)
