"""The names of the classes of a run, from its ``classes.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.files.atomic import read_json
from gsmflow.files.checksums import check
from gsmflow.files.class_names import alike


def class_names(folder: Path) -> tuple[str, ...]:
    """The names of the classes of a run.

    Raises
    ------
    InputError
        There are none, or the file is damaged.
    """
    classes = read_json(check(folder / "classes.json"))
    try:
        return tuple(str(entry["name"]) for entry in classes)
    except (TypeError, KeyError):
        raise InputError(f"{folder / 'classes.json'}: expected a list of objects with a name") from None


def check_new(names: Sequence[str], classes: Sequence[str]) -> None:
    """Refuse names of new classes that mean a class that is there already.

    Raises
    ------
    InputError
        A name is that of a class, or differs from it only in case or in what separates its words.
    """
    known = {alike(name): name for name in classes}
    for name in names:
        other = known.get(alike(name))
        if other == name:
            raise InputError(f"class '{name}': there is a class of that name already; choose another name")
        if other is not None:
            raise InputError(f"class '{name}': there is a class '{other}' already; choose another name")
