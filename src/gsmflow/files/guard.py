"""Checks before a file is read: whether it can be opened, what it is, and how much it unpacks to."""

from __future__ import annotations

from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.files.missing import unreadable

_ALWAYS = 1 << 30  # every file may unpack to that many bytes
_TIMES = 100  # times the file's size; features compress to a third, so more means a damaged or hostile file
_LARGEST = 64 << 30  # no file may unpack to more bytes; larger features belong in a feature store


def first_bytes(path: Path, count: int) -> bytes:
    """The first `count` bytes of a file, or all of a shorter file.

    Raises
    ------
    InputError
        There is no such file, it is a folder, or it may not be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(count)
    except OSError as error:
        raise unreadable(path, error) from None


def literal(path: Path) -> Path:
    """A path that polars opens literally with ``glob=False``; otherwise it would expand a leading ``~`` or
    ``file:``.
    """
    return path.absolute()


_SAVE = "open it in the spreadsheet program and save it as CSV"
_KINDS = (
    (b"PK\x03\x04", "a zip archive or a workbook (.xlsx, .ods)", _SAVE),
    (b"\xd0\xcf\x11\xe0", "a workbook (.xls)", _SAVE),
    (b"\x1f\x8b", "packed by gzip", "unpack it"),
    (b"BZh91AY&SY", "packed by bzip2", "unpack it"),
    (b"\xfd7zXZ", "packed by xz", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "packed by Zstandard", "unpack it"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it"),
    (b"ARROW1\x00\x00", "an Arrow (Feather) file", "save it as Parquet"),
    (b"\x89HDF", "an HDF5 file", "save its arrays as .npz or as CSV"),
    (b"PAR1", "a Parquet file", "name it .parquet"),
    (b"\x93NUMPY", "a NumPy array", "name it .npy"),
    (b"MATLAB ", "a MATLAB file", "name it .mat"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "fetch it with `git lfs pull`"),
    (b"<!doctype html", "a web page, perhaps of an error or a login", "download the file itself"),
    (b"<html", "a web page, perhaps of an error or a login", "download the file itself"),
    (b"%pdf-", "a PDF document", "export the table itself as CSV"),
)


def other_kind(head: bytes) -> tuple[str, str] | None:
    """What a file of an unexpected kind is, by how it begins, and what to do with it; None if that is not known."""
    start = head[:64].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    return next(((what, remedy) for mark, what, remedy in _KINDS if start.startswith(mark.lower())), None)


def is_pickle(head: bytes) -> bool:
    """Whether a file with this beginning looks like a Python pickle (protocol 2 and later)."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5


def check_unpacked(path: Path, size: int) -> None:
    """Refuse a file whose header says it unpacks to too many bytes, before memory is allocated for them.

    Allowed are 1 GiB, or 100 times the size of the file where that is more, and 64 GiB at most.

    Raises
    ------
    InputError
        The size is beyond the limit, or the file cannot be read.
    """
    try:
        packed = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    allowed = min(_LARGEST, max(_ALWAYS, _TIMES * packed))
    if size > allowed:
        raise InputError(
            f"{path}: {packed / 2**20:.1f} MiB that unpack to {size / 2**30:.1f} GiB, more than the "
            f"{allowed / 2**30:.1f} GiB allowed for its size; save it uncompressed, or as a feature store"
        )
