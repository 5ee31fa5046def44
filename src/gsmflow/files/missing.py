"""What is said of a file or folder that is not there: what else lies there that may be meant."""

from __future__ import annotations

from itertools import islice
from os import scandir
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import nearest

_LOOKED_AT = 10_000  # entries of a folder in which a similar name is looked for


def no_such(path: str | Path, what: str = "file") -> str:
    """That there is no such file or folder, and what may be meant, as an end of a message.

    Parameters
    ----------
    path : str | Path
        What is not there.
    what : str
        ``file``, ``folder`` or ``file or folder``; a folder is suggested only where one may be meant, and so on.

    >>> no_such("nowhere/at all.csv")
    'no such file'
    """
    near = similar(path, what)
    return f"no such {what}" + (f"; did you mean '{near}'?" if near else "")


def similar(path: str | Path, what: str = "file") -> str | None:
    """The path beside one that is not there whose name is most like its; None if none is like it."""
    path = Path(path)
    try:
        with scandir(path.parent) as entries:
            there = [
                entry.name
                for entry in islice(entries, _LOOKED_AT)
                if ("folder" if entry.is_dir() else "file") in what and not entry.name.startswith(".")
            ]
    except (OSError, ValueError):
        return None
    of_kind = {Path(name).stem: name for name in there if Path(name).suffix.lower() == path.suffix.lower()}
    near = of_kind.get(nearest(path.stem, sorted(of_kind), 0.7) or "")
    near = near or next(
        (name for name in sorted(there) if Path(name).stem.lower() == path.stem.lower()), None
    )
    return None if near is None else str(path.with_name(near))


def unreadable(path: str | Path, error: OSError, what: str = "file") -> InputError:
    """The error for a file or folder that cannot be opened: it is not there, or why it cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: {no_such(path, what)}")
    as_folder = " as a folder" if what == "folder" else ""
    return InputError(f"{path}: cannot be read{as_folder} ({error.strerror or error})")
