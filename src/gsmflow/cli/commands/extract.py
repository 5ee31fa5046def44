"""``gsmflow extract``: images in, a table of features out."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from gsmflow.cli import options
from gsmflow.cli.grouping import grouped
from gsmflow.cli.options import BackboneOptions, WorkerOptions
from gsmflow.cli.saying import say


@click.command()
@click.argument("images", type=click.Path(path_type=Path))
@grouped(pictures=BackboneOptions)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("features.npz"),
    show_default=True,
    help="Table to write.",
)
@options.root_option
@grouped(workers=WorkerOptions)
@options.as_json
def extract(
    images: Path,
    pictures: BackboneOptions,
    out: Path,
    root: Path | None,
    workers: WorkerOptions,
    as_json: bool,
) -> int:
    """Turn IMAGES into a table of features to train on.

    IMAGES is a folder with one folder a class (or train/ and test/ with those in them), or a CSV with columns path,
    label and optionally split. If it is interrupted, even by kill -9, the same command continues. Images that cannot
    be read are left out and listed in NAME.unreadable.csv beside OUT; the exit code is then 3.
    """
    from gsmflow.cli.display_images import classes_of, extract_shown
    from gsmflow.compute.devices import check_device
    from gsmflow.images.extraction import extract_images

    check_device(workers.device)
    make = partial(
        extract_images,
        images,
        pictures.spec(),
        out,
        root=root,
        batch_size=pictures.batch_size,
        cluster=workers.cluster(),
        device=workers.device,
    )
    table = extract_shown(make, out)
    count, dims = table.shape
    if as_json:
        told = {
            "out": str(out),
            "images": len(table.listing.names),
            "features": [count, dims],
            "classes": len(classes_of(table.listing, table.unreadable)),
            "unreadable": [{"path": each.name, "reason": each.reason} for each in table.unreadable],
            "backbone": table.spec.to_dict(),
        }
        click.echo(json.dumps(told))
    else:
        state = (
            "were there already, made of these images by this backbone" if table.there_already else "written"
        )
        say(f"{out}: {count} features of {dims} dimensions {state}", indent=2)
    return 3 if table.unreadable else 0
