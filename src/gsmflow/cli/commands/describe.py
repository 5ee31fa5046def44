"""``gsmflow describe``: class semantics from attributes or from sentences."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options


@click.command()
@click.argument("classes", type=click.Path(path_type=Path))
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
    help="unit: every class's vector to length 1.  [default: unit for sentences, none for attributes]",
)
@click.option(
    "--encoder",
    metavar="FOLDER|NAME",
    help="Columns hold sentences: encode them by sentence-transformers or CLIP's text tower.",
)
@options.device_option
@options.as_json
def describe(
    classes: Path,
    out: Path,
    columns: str | None,
    scaling: str | None,
    norm: str | None,
    encoder: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Turn CLASSES, a CSV with a column name and columns that describe the classes, into semantics to train on.

    Columns are attributes (numbers), or with --encoder sentences; a class may then have several columns and rows,
    whose vectors are averaged. Put the result beside the features as classes.csv, or choose it by
    `gsmflow train FOLDER --semantics NAME`.
    """
    from gsmflow.base.suggest import listed
    from gsmflow.cli.display_concerns import tell_concerns
    from gsmflow.compute.devices import check_device, resolve_device
    from gsmflow.data.warnings import of_semantics
    from gsmflow.semantics.attributes import scaled, unit_length, varying
    from gsmflow.semantics.encoder import check_encoder, open_encoder
    from gsmflow.semantics.table import read_described, write_semantics

    if out.suffix != ".csv":
        raise InputError(f"{out}: expected a name ending in .csv")
    if out.exists() and classes.exists() and out.samefile(classes):
        raise InputError(f"--out {out}: is what is read; choose another name")
    if encoder and scaling:
        raise InputError(f"--scaling {scaling}: is for attributes, not for sentences; leave it out")
    if encoder and norm == "none":
        raise InputError("--norm none: sentences are averaged at unit length; leave it out")
    check_device(device)
    if encoder:
        check_encoder(encoder)
    chosen = tuple(part.strip() for part in columns.split(",")) if columns else ()
    described = read_described(classes, chosen, as_text=encoder is not None)
    if described.note:
        click.echo(f"{classes}: left out {described.note}", err=True)
    dropped: tuple[str, ...] = ()
    if described.attributes is not None:
        attributes, names = described.attributes, described.columns
        if scaling != "none" and len(described.names) > 1:
            chosen_columns = varying(attributes, names)
            dropped = tuple(name for d, name in enumerate(names) if d not in chosen_columns)
            attributes, names = attributes[:, chosen_columns], tuple(names[d] for d in chosen_columns)
        vectors = scaled(attributes, described.names, names, scaling or "minmax")
        if norm == "unit":
            vectors = unit_length(vectors, described.names)
    else:
        from gsmflow.semantics.sentences import averaged

        assert described.sentences is not None
        assert encoder is not None
        vectors = averaged(
            described.names, described.sentences, open_encoder(encoder, resolve_device(device))
        )
        names = tuple(f"d{index}" for index in range(vectors.shape[1]))
    write_semantics(out, described.names, names, vectors)
    if dropped:
        same = "has the same value" if len(dropped) == 1 else "have the same value"
        click.echo(f"left out, because it says nothing: {listed(dropped)} {same} for every class", err=True)
    concerns = of_semantics(vectors, described.names, names)
    tell_concerns(concerns)
    count, dims = vectors.shape
    if as_json:
        told = {"out": str(out), "classes": count, "dimensions": dims, "from": described.columns}
        told |= {"left_out": dropped, "warnings": [each.to_dict() for each in concerns]}
        click.echo(json.dumps(told))
    else:
        classes_said = "1 class" if count == 1 else f"{count} classes"
        click.echo(f"{out}: {classes_said} in {dims} dimensions", err=True)
