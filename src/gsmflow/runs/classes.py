"""The names of the classes of a run, from its ``classes.json``."""

from __future__ import annotations

from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.files.atomic import read_json
from gsmflow.files.checksums import check


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
