"""Whether a table describes the classes that there are pictures of, which may be written otherwise in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import instead_of, listed, nearest
from gsmflow.files.class_names import alike


def check_pictured(images: Path, pictured: Sequence[str], names: Sequence[str], of: str) -> None:
    """Refuse classes with pictures that a table has no row for.

    Parameters
    ----------
    images : Path
        The folder or the CSV of the pictures.
    pictured : Sequence[str]
        The classes with pictures.
    names : Sequence[str]
        The classes of the table.
    of : str
        The table, for messages.

    Raises
    ------
    InputError
        There are such; all are named, each with the row that is probably meant.
    """
    known = {alike(name) for name in names}
    missing = [name for name in pictured if alike(name) not in known]
    if missing:
        there = set(map(alike, pictured))
        free = [name for name in names if alike(name) not in there]
        likely = [nearest(name, free) for name in missing]
        told = [_with_likely(name, other) for name, other in zip(missing, likely, strict=True)]
        hint = (
            "write them alike where they are one class; otherwise add a row"
            if any(likely)
            else f"add a row, or leave the pictures out; {instead_of('', names)}"
        )
        raise InputError(f"{images}: {_have(missing)} no row in {of}: {listed(told)}; {hint}")


def _have(names: Sequence[str]) -> str:
    return "1 class has" if len(names) == 1 else f"{len(names)} classes have"


def _with_likely(name: str, other: str | None) -> str:
    """A name with the one that is probably meant."""
    return f"'{name}'" if other is None else f"'{name}' (there is '{other}')"


def refuse_misspelt(
    images: Path, by_name: Sequence[str], described: Sequence[str], others: Sequence[str], of: str
) -> None:
    """Refuse classes without sentences that are written nearly like one with sentences and without pictures.

    Parameters
    ----------
    images : Path
        The folder or the CSV of the pictures.
    by_name : Sequence[str]
        The classes that their names alone describe.
    described : Sequence[str]
        The classes with sentences.
    others : Sequence[str]
        The classes with pictures.
    of : str
        The table of sentences, for messages.

    Raises
    ------
    InputError
        There are such: they are probably meant to be the same class.
    """
    there = {alike(name) for name in others}
    alone = [name for name in described if alike(name) not in there]
    misspelt = {}
    for name in by_name:
        numbers = re.findall(r"\d+", name)  # digit 1 is not a misspelt digit 7
        if meant := nearest(name, (each for each in alone if re.findall(r"\d+", each) == numbers), 0.85):
            misspelt[name] = meant
    if misspelt:
        told = [_with_likely(name, meant) for name, meant in misspelt.items()]
        raise InputError(
            f"{images}: {_have(told)} no row in {of}: {listed(told)}; write them alike where they are one class; "
            "otherwise give both a row"
        )
