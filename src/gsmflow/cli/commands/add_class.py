"""``gsmflow add-class``: teach a finished run new classes by their semantics alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.cli import options
from gsmflow.cli.saying import say

if TYPE_CHECKING:
    from gsmflow.runs.joined_semantics import Describer, TextVector


@click.command("add-class")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the new class.")
@click.option(
    "--attributes",
    metavar="VALUES",
    help="Its semantics: all values in order, such as 1,0,0.5, or by name, such as legs=4,wings=0.",
)
@click.option(
    "--text",
    multiple=True,
    metavar="SENTENCE",
    help="A sentence about it, if the classes are described by texts. Repeatable.  [default: its name in the run's "
    "templates]",
)
@click.option(
    "--from",
    "table",
    type=click.Path(path_type=Path),
    help="Several classes from a table like classes.csv: a column `name`, then one column a dimension. If the classes "
    "are described by texts: names, alone or with sentences.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the new version.  [default: RUN-v2, -v3, ...]"
)
@click.option("--encoder", metavar="FOLDER|NAME", help="The run's text encoder, if it was moved.")
@options.data_root_option
@options.device_option
@options.as_json
def add_class(
    run: Path,
    name: str | None,
    attributes: str | None,
    text: tuple[str, ...],
    table: Path | None,
    out: Path | None,
    encoder: str | None,
    data_root: Path,
    device: str,
    as_json: bool,
) -> None:
    """Add classes to RUN by their semantics alone, and write the result as a new version of the run.

    The generator is not trained again: it synthesizes features of the new class, and the head is fitted anew. This
    needs the data that RUN was trained on, or a run made with --keep-data. If the classes of RUN are described by
    texts, a name is enough. If they are described by attributes and texts, give --attributes too.
    """
    if (table is None) == (name is None and attributes is None and not text):
        raise InputError(
            "add-class: name the new class by --name, and describe it by --attributes unless its name or a --text is "
            "enough; or give several by --from, a table of classes"
        )
    if table is None and name is None:
        raise InputError("add-class: --name and --attributes go together, as --name and --text do")

    from gsmflow.compute.devices import check_device, resolve_device
    from gsmflow.files.atomic import check_writable
    from gsmflow.files.class_table import read_classes
    from gsmflow.runs.classes import check_new, class_names
    from gsmflow.runs.finished import check_finished
    from gsmflow.runs.folder import SEMANTICS, check_addable, read_config
    from gsmflow.runs.joined_semantics import Describer, check_text_encoders, text_vectors

    check_finished(run)
    check_device(device)
    if out and out.exists():
        raise InputError(f"{out}: is there already; choose another --out")
    if out:
        check_writable(out)
    config = read_config(run)
    check_addable(config)
    describer = Describer.of(run, config, read_classes(run / SEMANTICS)[2])
    if (text or encoder) and not describer.takes_text:
        raise InputError(
            f"{run}: its classes are described by attributes, not by texts; leave out --text and --encoder"
        )
    if table is not None:
        given = _classes_of(table, run, describer)
    else:
        assert name is not None
        dimensions = describer.by_hand or describer.dimensions
        values = parse_attributes(attributes, dimensions) if attributes else None
        if values is None and describer.by_hand:
            raise InputError(
                f"add-class: --name and --attributes go together; give {len(describer.by_hand)} values "
                f"({listed(describer.by_hand)})"
            )
        given = [Given(name, values, text)]
    check_new([each.name for each in given], class_names(run))
    if name and "," in name:
        say(f"'{name}' is one class; several are given by --from, a file with one name a line", indent=2)
    of_texts = describer.takes_text and any(not each.whole for each in given)
    semantics = [] if of_texts else _vectors(given, describer, lambda block, name, said: None)
    if of_texts:
        check_text_encoders(describer.blocks, encoder)

    from gsmflow.cli.display import addition_table  # late, as what follows loads torch
    from gsmflow.runs.add_classes import add_classes

    where = resolve_device(device)
    if of_texts:
        semantics = _vectors(given, describer, text_vectors(describer.blocks, encoder, where))
    names = tuple(each.name for each in given)
    addition = add_classes(run, names, semantics, data_root=data_root, device=where, out=out)
    for note in addition.notes:
        say(note, indent=2)
    if as_json:
        click.echo(json.dumps(addition.to_dict(), allow_nan=False))
    else:
        addition_table(addition)


@dataclass(frozen=True)
class Given:
    """What is said about a new class.

    Parameters
    ----------
    name : str
        Its name.
    values : list[float] | None
        Its attributes, in order; None where the classes have none.
    text : tuple[str, ...]
        Sentences about it.
    whole : bool
        Whether the values are its whole vector, so that no text is needed.
    """

    name: str
    values: list[float] | None
    text: tuple[str, ...] = ()
    whole: bool = False


def _vectors(given: Sequence[Given], describer: Describer, encode: TextVector) -> list[list[float]]:
    """The semantics of the new classes."""
    return [
        each.values
        if each.whole and each.values
        else describer.vector(each.name, each.values, lambda block, n, said=each.text: encode(block, n, said))
        for each in given
    ]


def _classes_of(table: Path, run: Path, describer: Describer) -> list[Given]:
    """The classes in a table: values by name, or sentences or nothing but names where texts describe the classes.

    Where a text describes a class, its vector as `gsmflow describe` writes it will do as well.
    """
    from gsmflow.files.class_table import read_class_table
    from gsmflow.files.feature_names import matched
    from gsmflow.runs.folder import SEMANTICS
    from gsmflow.semantics.description_table import read_described

    if describer.takes_text and not describer.by_hand:
        said = read_described(table)
        if said.attributes is None:
            texts = said.sentences or ((),) * len(said.names)
            return [Given(name, None, text) for name, text in zip(said.names, texts, strict=True)]
    given = read_class_table(table, describer.dimensions)
    whole = describer.takes_text and not describer.joined
    whole = whole and sorted(given.dimensions) == sorted(describer.dimensions)
    dimensions = describer.dimensions if whole else describer.by_hand
    if given.note:
        say(f"{table}: left out {given.note}", indent=2)
    places = {name: place for place, name in enumerate(given.dimensions)}
    order = matched(str(table), places, dimensions, what="semantic", of=str(run / SEMANTICS)).values()
    return [
        Given(name, [float(row[place]) for place in order], whole=whole)
        for name, row in zip(given.names, given.semantics, strict=True)
    ]


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
