"""``gsmflow add-class``: teach a finished run new classes by their semantics alone."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options


@click.command("add-class")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the new class.")
@click.option(
    "--attributes",
    metavar="VALUES",
    help="Its semantics, all values in order, 1,0,0.5, or by name: legs=4,wings=0.",
)
@click.option(
    "--from",
    "table",
    type=click.Path(path_type=Path),
    help="Several classes from a table like classes.csv: name, then one column a dimension.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the new version.  [default: RUN-v2, -v3, ...]"
)
@options.data_root_option
@options.device_option
@options.as_json
def add_class(
    run: Path,
    name: str | None,
    attributes: str | None,
    table: Path | None,
    out: Path | None,
    data_root: Path,
    device: str,
    as_json: bool,
) -> None:
    """Add classes to RUN by their semantics alone, and keep the result as a new version of it.

    The generator stays as it is: features of the new class are synthesized and the head is fitted again.
    That needs the data RUN was trained on, or a run made with --keep-data.
    """
    if (table is None) == (name is None and attributes is None):
        raise InputError("add-class: give --name and --attributes, or --from with a table of classes")
    if table is None and (name is None or attributes is None):
        raise InputError("add-class: --name and --attributes go together")

    from gsmflow.compute.devices import check_device, resolve_device
    from gsmflow.files.class_table import read_class_table, read_classes
    from gsmflow.runs.folder import SEMANTICS, check_finished

    check_finished(run)
    check_device(device)
    if out and out.exists():
        raise InputError(f"{out}: is there already; choose another --out")
    dimensions = read_classes(run / SEMANTICS)[2]
    if table is not None:
        given = read_class_table(table, dimensions)
        names, vectors, columns = given.names, given.semantics, given.dimensions
        if given.note:
            click.echo(f"{table}: left out {given.note}", err=True)
        if sorted(columns) != sorted(dimensions):
            odd = sorted(set(columns) ^ set(dimensions))[0]
            raise InputError(
                f"{table}: column '{odd}' is not in both it and {run / SEMANTICS}; its columns must be the same"
            )
        semantics = [[float(row[columns.index(d)]) for d in dimensions] for row in vectors]
    else:
        assert name is not None
        assert attributes is not None
        names, semantics = (name,), [parse_attributes(attributes, dimensions)]

    from gsmflow.cli.display import addition_table  # late, as what follows loads torch
    from gsmflow.runs.add_classes import add_classes

    addition = add_classes(run, names, semantics, data_root=data_root, device=resolve_device(device), out=out)
    for note in addition.notes:
        click.echo(note, err=True)
    if as_json:
        click.echo(json.dumps(addition.to_dict(), allow_nan=False))
    else:
        addition_table(addition)


def parse_attributes(text: str, dimensions: tuple[str, ...]) -> list[float]:
    """The vector that `text` spells: values with commas between, in order or as name=value.

    >>> parse_attributes("4,0.5", ("legs", "wings")), parse_attributes("wings=0.5,legs=4", ("legs", "wings"))
    ([4.0, 0.5], [4.0, 0.5])
    """
    from gsmflow.runs.named_semantics import named_semantics

    parts = [part.strip() for part in text.split(",") if part.strip()]
    if "=" not in text:
        return [_number(part, part) for part in parts]
    given: dict[str, float] = {}
    for part in parts:
        key, equals, value = part.rpartition("=")
        if not equals:
            raise InputError(f"--attributes: '{part}' has no name; give all values by name or all in order")
        if key.strip() in given:
            raise InputError(f"--attributes: '{key.strip()}' is given twice")
        given[key.strip()] = _number(value, part)
    return named_semantics(dimensions, given)


def _number(text: str, part: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--attributes: '{part}' is not a number") from None
