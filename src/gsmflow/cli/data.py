"""``gsmflow data``: which data sets are known, which are here, and where to obtain the others."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from gsmflow.cli import options


@click.command()
@options.data_root
@options.as_json
def data(data_root: Path, as_json: bool) -> None:
    """List every known data set: whether it was found, its counts, where its files are expected."""
    from gsmflow import sources

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
