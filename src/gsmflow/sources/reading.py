"""Opening files and folders, with the reason in one line where that fails."""

from __future__ import annotations

from pathlib import Path

from gsmflow.errors import InputError


def first_bytes(path: Path, count: int) -> bytes:
    """The first `count` bytes of a file, fewer where it is shorter.

    Raises
    ------
    InputError: there is no such file, it is a folder, or it may not be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(count)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise InputError(f"{path}: no such file") from None
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def file_names(folder: Path) -> list[str]:
    """Sorted names of what lies in a folder.

    Raises
    ------
    InputError: there is no such folder, it is a file, or it may not be read.
    """
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read as a folder ({error.strerror or error})") from None


def is_pickle(head: bytes) -> bool:
    """Whether a file that begins so looks like a Python pickle (protocol 2 and later)."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5
