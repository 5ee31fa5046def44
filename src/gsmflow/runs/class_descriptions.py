"""Descriptions of the classes of a folder of pictures: an existing table, or texts to encode.

The first of these is used: a file or names from the user; ``classes.csv`` or ``classes.txt`` in the folder; the names
of the class folders. Nothing is written and no model is loaded before
[`Describing.write`][gsmflow.runs.class_descriptions.Describing.write].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import instead_of
from gsmflow.data.checks import check_semantics
from gsmflow.files.checksums import digest_of
from gsmflow.files.class_names import alike
from gsmflow.files.class_table import read_class_table, read_classes
from gsmflow.files.hub_cache import AtHand
from gsmflow.files.semantic_origin import read_origin
from gsmflow.runs.pictured_names import check_pictured, refuse_misspelt
from gsmflow.runs.steps import Step
from gsmflow.semantics.describing import Attributes, Texts, without_sentences
from gsmflow.semantics.description_table import Described, read_described, source_of
from gsmflow.semantics.encoder import check_encoder, remembered
from gsmflow.semantics.encoder_at_hand import encoder_at_hand
from gsmflow.semantics.names import (
    TEMPLATES,
    check_templates,
    sentences_of,
    united,
)

if TYPE_CHECKING:
    import torch

TEXT, ATTRIBUTES = "text", "attributes"  # semantics that are made here
_CLASSES = "classes"
_SOURCE = "source_sha256"


@dataclass(frozen=True)
class Said:
    """The options that describe the classes.

    Parameters
    ----------
    classes : str | None
        Names with commas between them, or a file: names alone, sentences or attributes.
    templates : tuple[str, ...]
        Templates for names; empty: the usual ones.
    encoder : str | None
        The text encoder; None: one that is found.
    semantics : str | None
        Names of tables of semantics, with commas between them; None: the existing one.
    of_backbone : str | None
        The encoder to use if the user names none: the text tower of the model that computes the features.
    """

    classes: str | None = None
    templates: tuple[str, ...] = ()
    encoder: str | None = None
    semantics: str | None = None
    of_backbone: str | None = None

    @property
    def anything(self) -> bool:
        """Whether any option was given that only descriptions need."""
        return bool(self.classes or self.templates or self.encoder)


@dataclass(frozen=True)
class Describing:
    """A table of semantics that has to be made.

    Parameters
    ----------
    out : Path
        The table.
    content : Texts | Attributes
        What it is made from.
    step : Step
        The command that makes the same table.
    told : str
        A message about it.
    """

    out: Path
    content: Texts | Attributes
    step: Step
    told: str

    def write(self, device: torch.device) -> None:
        """Make the table.

        Raises
        ------
        InputError
            The encoder cannot be opened, or two classes have the same description.
        """
        if isinstance(self.content, Texts):
            self.content.write(self.out, device)
        else:
            self.content.write(self.out)


@dataclass(frozen=True)
class Descriptions:
    """The descriptions of the classes.

    Parameters
    ----------
    names : tuple[str, ...]
        All classes.
    semantics : str | None
        The value of `semantics` to train on.
    describing : Describing | None
        The table to make first; None if all are there.
    """

    names: tuple[str, ...]
    semantics: str | None
    describing: Describing | None = None


def descriptions_for(folder: Path, images: Path, pictured: Sequence[str], said: Said) -> Descriptions:
    """Find the descriptions of the classes of pictures.

    Parameters
    ----------
    folder : Path
        Where tables are searched and made.
    images : Path
        The folder or the CSV of the pictures.
    pictured : Sequence[str]
        The classes that have a folder, with pictures or without.
    said : Said
        The options.

    Raises
    ------
    InputError
        A file is missing or damaged, a class with pictures is not described, a table that no command
        wrote would be overwritten, or there is no text encoder.
    """
    check_templates(said.templates)
    file, given = _source(folder, said.classes)
    table = None if file is None else read_described(file)
    asked = [part.strip() for part in said.semantics.split(",")] if said.semantics else None
    of_texts = bool(given or said.templates or said.encoder)
    if asked is None and table is not None and table.attributes is not None and not of_texts:
        check_pictured(images, pictured, table.names, str(file))
        if file is not None and file == folder / f"{_CLASSES}.csv":
            usable = read_class_table(file)  # refused now rather than after the pictures have been read
            vectors = usable.semantics.astype(np.float32)
            check_semantics(vectors, usable.names, usable.dimensions, lambda _: str(file))
            return Descriptions(table.names, None)
        return _of_attributes(folder, file, table)
    for part in asked or ():
        if part != TEXT and not (folder / f"{part}.csv").exists():
            there = {each.stem for each in folder.glob("*.csv") if ".unreadable" not in each.name}
            raise InputError(
                f"{folder / part}.csv: no such file; {instead_of(part, sorted({*there, TEXT}))}",
                parameter="semantics",
            )
    semantics = said.semantics if asked else TEXT
    if asked and TEXT not in asked:
        if said.anything:
            raise InputError(
                f"{said.semantics}: what is said about names is for the semantics '{TEXT}'",
                parameter="semantics",
                remedy=f"leave it out, or add {TEXT}",
            )
        names = read_classes(folder / f"{asked[0]}.csv")[0]
        check_pictured(images, pictured, names, f"{folder / asked[0]}.csv")
        return Descriptions(names, semantics)
    if asked and len(asked) > 1:  # every class needs a row in each
        other = folder / f"{next(part for part in asked if part != TEXT)}.csv"
        names = read_classes(other)[0]
        check_pictured(images, (*pictured, *given), names, str(other))
        if table is None or table.sentences is None:
            table, file, given = Described(names, ()), other, ()
        pictured = ()
    return replace(_of_texts(folder, images, pictured, given, file, table, said), semantics=semantics)


def names_there(folder: Path) -> tuple[str, ...]:
    """The classes that a file in a folder of pictures names; none if there is no such file.

    Raises
    ------
    InputError
        The file is damaged.
    """
    file, _ = _source(folder, None)
    return () if file is None else read_described(file).names


def _source(folder: Path, classes: str | None) -> tuple[Path | None, tuple[str, ...]]:
    """The file that describes classes, and the names that the user gave in addition."""
    if classes is None:
        usual = (folder / f"{_CLASSES}.csv", folder / f"{_CLASSES}.txt")
        return next((file for file in usual if file.exists()), None), ()
    file, names = source_of(classes)
    if file is not None:
        return file, ()
    own = folder / f"{_CLASSES}.txt"
    return (own if own.exists() else None), names


def _of_attributes(folder: Path, file: Path | None, table: Described) -> Descriptions:
    """Scaled semantics from a table of attributes elsewhere, written as `attributes.csv` in the folder."""
    assert file is not None
    assert table.attributes is not None
    out, source = folder / f"{ATTRIBUTES}.csv", digest_of(file)
    there = read_origin(out)
    if there is not None and there.get(_SOURCE) == source:
        return Descriptions(table.names, ATTRIBUTES)
    _refuse_own(out, there)
    try:
        content = Attributes.of(table.names, table.columns, table.attributes, note={_SOURCE: source})
    except InputError as error:
        other = f"gsmflow describe {file} --scaling standard -o {folder / _CLASSES}.csv"
        raise InputError(f"{file}: {error.message}", remedy=f"scale them another way: {other}") from None
    step = Step("describe", str(file), {"out": out})
    told = f"{len(content.columns)} attributes of {file}, each scaled to [0, 1]"
    return Descriptions(table.names, ATTRIBUTES, Describing(out, content, step, told))


def _of_texts(
    folder: Path,
    images: Path,
    pictured: Sequence[str],
    given: tuple[str, ...],
    file: Path | None,
    table: Described | None,
    said: Said,
) -> Descriptions:
    """Semantics from sentences in a file, or from names by templates, written as `text.csv` in the folder."""
    out = folder / f"{TEXT}.csv"
    sentences = table.sentences if table else None
    by_name: tuple[str, ...] = ()
    if table is not None and sentences is not None:
        by_name = without_sentences(table, (*pictured, *given))
        if said.templates and not by_name:
            raise InputError(
                f"'{said.templates[0]}': {file} has sentences, and templates are for names alone; leave it out",
                parameter="template",
            )
        names = (*table.names, *by_name)
        refuse_misspelt(images, by_name, table.names, (*pictured, *given), str(file))
    else:
        names = united(table.names if table else (), pictured, given)
    source = {_SOURCE: digest_of(file)} if file is not None and sentences is not None else {}
    there = read_origin(out)
    if out.exists():
        written = read_classes(out)[0]
        if there is None and not said.anything:  # somebody's own
            check_pictured(images, pictured, written, str(out))
            return Descriptions(written, TEXT)
        _refuse_own(out, there)
        if _as_wanted(there or {}, said, source, bool(sentences)) and _enough(
            written, names, exact=bool(given)
        ):
            return Descriptions(written, TEXT)
    if said.encoder or said.of_backbone:
        why = "as named" if said.encoder else "of the model that makes the features"
        encoder = AtHand(said.encoder or said.of_backbone or "", why)
    else:
        encoder = encoder_at_hand(folder)
    check_encoder(encoder.name)
    written = sentences or ()
    templates = () if sentences and not by_name else said.templates or TEMPLATES
    spoken = (*written, *(sentences_of(name, templates) for name in names[len(written) :]))
    listed_in = said.classes or (str(file) if file else "")
    whole = bool(sentences) and not by_name
    options = {"classes": "" if whole else listed_in, "template": said.templates}
    step = Step("describe", str(file if whole else images), {**options, "encoder": encoder.name, "out": out})
    first = list(spoken[0])
    count = f"{len(first)} sentences a class" if len(first) > 1 else "1 sentence a class"
    if sentences and by_name:
        count = f"sentences of {file} for {len(written)} of {len(names)} classes, and the names of the others"
    told = f"{encoder.name} ({encoder.why}): {count}, such as '{first[0]}'"
    content = Texts(names, spoken, encoder.name, templates, source)
    return Descriptions(names, TEXT, Describing(out, content, step, told))


def _refuse_own(out: Path, origin: object) -> None:
    """Refuse to overwrite a table that no command wrote, or that was changed afterwards."""
    if out.exists() and origin is None:
        raise InputError(
            f"{out}: is there already and was not written by gsmflow; move it elsewhere, or use it by leaving out "
            "the options that describe the classes"
        )


def _as_wanted(there: dict[str, object], said: Said, source: dict[str, str], sentences: bool) -> bool:
    """Whether an existing table was made with the same options."""
    encoder = said.encoder or said.of_backbone
    if encoder and there.get("encoder") != remembered(encoder):
        return False
    if sentences or _SOURCE in there:
        return there.get(_SOURCE) == source.get(_SOURCE)
    return not said.templates or there.get("templates") == list(said.templates)


def _enough(written: Sequence[str], names: Sequence[str], *, exact: bool) -> bool:
    """Whether an existing table has all classes that are wanted and, with `exact`, no others."""
    there, wanted = {alike(name) for name in written}, {alike(name) for name in names}
    return there == wanted if exact else there >= wanted
