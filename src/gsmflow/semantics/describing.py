"""From descriptions of classes to the table of their semantics, with a note beside it that says how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.semantics.attributes import scaled, unit_length, varying
from gsmflow.semantics.description_table import Described, read_described, write_semantics
from gsmflow.semantics.encoder import check_encoder, open_encoder, origin_of
from gsmflow.semantics.encoder_at_hand import encoder_at_hand
from gsmflow.semantics.names import TEMPLATES, check_templates, sentences_of, united
from gsmflow.semantics.sentences import averaged

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Texts:
    """Sentences about classes, and the encoder that turns them into vectors.

    Parameters
    ----------
    names : tuple[str, ...]
        C class names.
    sentences : tuple[tuple[str, ...], ...]
        The sentences about each class, at least one.
    encoder : str
        A folder, or the name of a published encoder.
    templates : tuple[str, ...]
        The templates of the sentences; empty if people wrote the sentences.
    note : dict[str, Any]
        Further entries for the note beside the table.
    given : tuple[str, ...]
        The columns with the sentences; empty for names.
    remark : str
        Which columns were left out, in words.
    """

    names: tuple[str, ...]
    sentences: tuple[tuple[str, ...], ...]
    encoder: str
    templates: tuple[str, ...] = ()
    note: dict[str, Any] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    remark: str = ""

    def origin(self) -> dict[str, Any]:
        """The note: the encoder, the SHA-256 of its weights, and the templates."""
        return {**origin_of(self.encoder), "templates": list(self.templates), **self.note}

    def write(self, out: Path, device: torch.device) -> NDArray[np.float32]:
        """Write the semantics as CSV, each of length 1, and return them (C, A).

        Raises
        ------
        InputError
            The encoder cannot be opened or returns values that are not finite; or two classes have the same vector.
        """
        vectors = averaged(self.names, self.sentences, open_encoder(self.encoder, device))
        write_semantics(out, self.names, self.dimensions(vectors.shape[1]), vectors, self.origin())
        return vectors

    @staticmethod
    def dimensions(count: int) -> tuple[str, ...]:
        """Names for the dimensions of a text encoder.

        >>> Texts.dimensions(2)
        ('d0', 'd1')
        """
        return tuple(f"d{index}" for index in range(count))


@dataclass(frozen=True)
class Attributes:
    """Attributes of classes, scaled.

    Parameters
    ----------
    names : tuple[str, ...]
        C class names.
    columns : tuple[str, ...]
        A names of attributes.
    vectors : NDArray[np.float32]
        (C, A).
    dropped : tuple[str, ...]
        Attributes that were left out because they have the same value for every class.
    note : dict[str, Any] | None
        The note beside the table.
    given : tuple[str, ...]
        The names of all attributes, including those left out.
    remark : str
        Which columns were left out, in words.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    vectors: NDArray[np.float32]
    dropped: tuple[str, ...] = ()
    note: dict[str, Any] | None = None
    given: tuple[str, ...] = ()
    remark: str = ""

    @staticmethod
    def of(
        names: tuple[str, ...],
        columns: tuple[str, ...],
        values: NDArray[np.float64],
        *,
        scaling: str = "minmax",
        unit: bool = False,
        note: dict[str, Any] | None = None,
    ) -> Attributes:
        """Scale attributes (C, A) column by column, and with `unit` also the vector of every class to length 1.

        Raises
        ------
        InputError
            An attribute cannot be scaled, a class is all zero, or every attribute has the same value for all classes.
        """
        dropped: tuple[str, ...] = ()
        if scaling != "none" and len(names) > 1:
            chosen = varying(values, columns)
            dropped = tuple(name for d, name in enumerate(columns) if d not in chosen)
            values, columns = values[:, chosen], tuple(columns[d] for d in chosen)
        vectors = scaled(values, names, columns, scaling)
        return Attributes(names, columns, unit_length(vectors, names) if unit else vectors, dropped, note)

    def write(self, out: Path) -> None:
        """Write the attributes as CSV.

        Raises
        ------
        InputError
            Two classes have the same vector.
        """
        write_semantics(out, self.names, self.columns, self.vectors, self.note)


def without_sentences(described: Described, names: Sequence[str]) -> tuple[str, ...]:
    """Of further classes those that have no sentence in a table of sentences; none if it has none."""
    if described.sentences is None:
        return ()
    return united(described.names, names)[len(united(described.names)) :]


def described_by(
    table: Path | None,
    names: Sequence[str] = (),
    *,
    columns: tuple[str, ...] = (),
    templates: tuple[str, ...] = (),
    encoder: str | None = None,
    scaling: str | None = None,
    unit: bool = False,
    near: Path = Path(),
) -> Texts | Attributes:
    """Read what a table, or names alone, say about classes. Writes nothing and loads no model.

    Parameters
    ----------
    table : Path | None
        A CSV as [`read_described`][gsmflow.semantics.description_table.read_described] reads it, or a .txt with one
        name a line.
    names : Sequence[str]
        Names of further classes, which are described by their names alone; not allowed with attributes.
    columns : tuple[str, ...]
        The columns of the table to use; empty: all.
    templates : tuple[str, ...]
        Templates for names; empty: the usual seven. Not allowed where every class has sentences.
    encoder : str | None
        Encodes sentences in the columns, or names. None: the columns are attributes, and names are encoded by an
        encoder that is found.
    scaling : str | None
        How attributes are scaled; None: ``minmax``.
    unit : bool
        Scale the attributes of every class to length 1.
    near : Path
        The folder in which an encoder is searched first.

    Raises
    ------
    InputError
        The table is missing or damaged, the arguments contradict each other, or there is no encoder.
    """
    check_templates(templates)
    if encoder:
        check_encoder(encoder)
    described = Described((), ())
    if table is not None:
        described = read_described(table, columns, as_text=encoder is not None)
    by_name = without_sentences(described, names)
    if described.columns and ((templates and not by_name) or (names and described.sentences is None)):
        what, parameter = (templates[0], "template") if templates else (names[0], "classes")
        raise InputError(
            f"{what}: goes with names alone, but {table} says more about classes; leave it out",
            parameter=parameter,
        )
    if described.attributes is not None:
        scaling = scaling or "minmax"
        of = Attributes.of(
            described.names, described.columns, described.attributes, scaling=scaling, unit=unit
        )
        return replace(of, given=described.columns, remark=described.note)
    if scaling:
        raise InputError(f"{scaling}: is for attributes, not for names; leave it out", parameter="scaling")
    if described.sentences is not None:
        assert encoder is not None
        templates = (templates or TEMPLATES) if by_name else ()
        return Texts(
            (*described.names, *by_name),
            (*described.sentences, *(sentences_of(name, templates) for name in by_name)),
            encoder,
            templates,
            given=described.columns,
            remark=described.note,
        )
    called, templates = united(described.names, names), templates or TEMPLATES
    if not called:
        raise InputError("nothing to describe: name a table, a folder of pictures, or classes by `classes`")
    encoder = encoder or encoder_at_hand(near).name
    return Texts(called, tuple(sentences_of(name, templates) for name in called), encoder, templates)
