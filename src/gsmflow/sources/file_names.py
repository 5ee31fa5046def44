"""The files in a folder."""

from __future__ import annotations

from pathlib import Path

from gsmflow.files.missing import unreadable


def file_names(folder: Path) -> list[str]:
    """Sorted names of everything in a folder.

    Raises
    ------
    InputError
        There is no such folder, it is a file, or it may not be read.
    """
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise unreadable(folder, error, "folder") from None
