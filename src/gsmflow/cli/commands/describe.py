"""``gsmflow describe``: class semantics from attributes or from sentences."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options
from gsmflow.cli.saying import say


@click.command()
@click.argument("source", metavar="CLASSES", type=click.Path(path_type=Path), required=False)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("semantics.csv"),
    show_default=True,
    help="CSV to write.",
)
@click.option("--columns", metavar="A,B", help="Columns of CLASSES to use.  [default: all but name]")
@click.option(
    "--scaling",
    type=click.Choice(["none", "minmax", "standard"]),
    help="Of attributes. minmax: each to [0, 1]; standard: each to mean 0, variance 1.  [default: minmax]",
)
@click.option(
    "--norm",
    type=click.Choice(["unit", "none"]),
    help="unit: every class's vector to length 1.  [default: unit for texts, none for attributes]",
)
@click.option(
    "--classes",
    metavar="NAMES|FILE",
    help="More classes by name alone: zebra,okapi, a .txt file with one name a line, or a CSV.",
)
@options.template_option
@click.option(
    "--encoder",
    metavar="FOLDER|NAME",
    help="The text encoder for names and sentences: a model of sentence-transformers, or CLIP's text tower.  [default "
    "for names: one in the cache, else all-MiniLM-L6-v2, downloaded]",
)
@options.device_option
@options.as_json
def describe(
    source: Path | None,
    out: Path,
    columns: str | None,
    scaling: str | None,
    norm: str | None,
    classes: str | None,
    template: tuple[str, ...],
    encoder: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Turn what CLASSES says about classes into semantics to train on.

    CLASSES is a CSV with a column `name` and columns of attributes (numbers) or of sentences (with --encoder). A class
    may have sentences in several columns and rows; their vectors are averaged. Or CLASSES gives names alone: a CSV, a
    .txt file with one name a line, or a folder with one folder of pictures a class. Put the result beside the features
    as classes.csv, or choose it by `gsmflow train FOLDER --semantics NAME`.
    """
    from gsmflow.base.suggest import listed
    from gsmflow.cli.display_concerns import tell_concerns
    from gsmflow.compute.devices import check_device, resolve_device
    from gsmflow.data.warnings import of_semantics
    from gsmflow.files.atomic import check_writable
    from gsmflow.semantics.describing import Texts, described_by
    from gsmflow.semantics.description_table import names_in, source_of
    from gsmflow.semantics.names import united

    if out.suffix != ".csv":
        raise InputError(f"{out}: expected a name ending in .csv")
    if source and out.exists() and source.exists() and out.samefile(source):
        raise InputError(f"--out {out}: is what is read; choose another name")
    check_writable(out.parent)
    if encoder and scaling:
        raise InputError(f"--scaling {scaling}: is for attributes, not for sentences; leave it out")
    if encoder and norm == "none":
        raise InputError("--norm none: sentences are averaged at unit length; leave it out")
    check_device(device)
    chosen = tuple(part.strip() for part in columns.split(",")) if columns else ()
    names: tuple[str, ...] = ()
    if source and source.is_dir():
        from gsmflow.images.listing import list_labelled

        listing = list_labelled(source)
        names = tuple(sorted({*(listing.labels or ()), *listing.empty}))
    table = None if source is None or names else source
    file, given = source_of(classes) if classes else (None, ())
    if file and table is None:  # it may say more than names
        table = file
    elif file:
        given = names_in(str(file))
    content = described_by(
        table,
        united(names, given),
        columns=chosen,
        templates=template,
        encoder=encoder,
        scaling=scaling,
        unit=norm == "unit",
        near=source if source and names else (table or out).parent,
    )
    if content.remark:
        say(f"{source}: left out {content.remark}", indent=2)
    dropped: tuple[str, ...] = ()
    if isinstance(content, Texts):
        vectors = content.write(out, resolve_device(device))
        dimensions = content.dimensions(vectors.shape[1])
    else:
        content.write(out)
        vectors, dimensions, dropped = content.vectors, content.columns, content.dropped
    if dropped:
        same = "has the same value" if len(dropped) == 1 else "have the same value"
        say(f"left out, because it says nothing: {listed(dropped)} {same} for every class", indent=2)
    concerns = of_semantics(vectors, content.names, dimensions)
    tell_concerns(concerns)
    count, dims = vectors.shape
    if as_json:
        told = {"out": str(out), "classes": count, "dimensions": dims, "from": content.given}
        told |= {"left_out": dropped, "warnings": [each.to_dict() for each in concerns]}
        click.echo(json.dumps(told))
    else:
        classes_said = "1 class" if count == 1 else f"{count} classes"
        say(f"{out}: {classes_said} in {dims} dimensions", indent=2)
