"""SHA-256 of files, in the form of ``sha256sum``: beside a run, and beside data whoever gave them summed up."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gsmflow.base.errors import InputError

CHECKSUMS = "checksums.txt"


def check(path: Path) -> Path:
    """The path, after comparing the file with the checksums beside it, where those name it.

    Raises
    ------
    InputError
        The file is not as it was written, or cannot be read.
    """
    listed = path.parent / CHECKSUMS
    try:
        lines = listed.read_bytes().decode("utf-8", "replace").splitlines() if listed.exists() else []
        pairs = (line.partition(" ") for line in lines)
        # sha256sum marks names read in binary mode by a star.
        known = {name.strip().removeprefix("*"): digest for digest, _, name in pairs}
        if path.name in known and known[path.name] != _digest(path):
            raise InputError(
                f"{path}: does not match its checksum in {CHECKSUMS}, so one of the two is damaged; "
                "restore it from a copy, or make it again"
            )
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    return path


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
