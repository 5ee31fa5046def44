"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path

import click

data_root = click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    default=Path("data"),
    envvar="GSMFLOW_DATA",
    show_default=True,
    show_envvar=True,
    help="Folder that holds the named data sets.",
)
device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead.")
