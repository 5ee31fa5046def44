"""``gsmflow data``: which data sets are known, which are here, and where to obtain the others."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options


@click.command()
@click.argument("problem", required=False)
@click.option("--features", metavar="NAME", help="Feature file, as for train.")
@click.option("--semantics", metavar="NAME", help="Class embeddings, as for train.")
@options.data_root
@options.as_json
def data(
    problem: str | None, features: str | None, semantics: str | None, data_root: Path, as_json: bool
) -> None:
    """List every known data set: whether it was found, its counts, where its files are expected.

    With PROBLEM (a name or a folder): read it, check it as `train` would, and say what was understood.
    """
    from gsmflow import sources

    if problem is not None:
        from gsmflow.cli.display import problem_table

        loaded = sources.load(problem, data_root=data_root, features=features, semantics=semantics)
        if as_json:
            click.echo(json.dumps(loaded.summary(), allow_nan=False))
        else:
            problem_table(loaded)
        return
    if features or semantics:
        raise InputError("--features and --semantics choose among the files of a PROBLEM; name one")
    known = sources.survey(data_root)
    if as_json:
        click.echo(
            json.dumps(
                {"data_root": str(data_root), "known": [dataclasses.asdict(k) for k in known]}, default=str
            )
        )
        return
    from gsmflow.cli.display import data_table

    data_table(known, data_root)
