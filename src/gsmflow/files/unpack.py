"""Safe unpacking of zip archives from others: no files outside the folder, no links, no zip bombs."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from gsmflow.base.errors import InputError
from gsmflow.files.guard import check_unpacked

_MEMBERS = 10_000
_CHUNK = 1 << 20


def members_of(path: Path) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The files of an archive by their paths in it; only its directory is read.

    Raises
    ------
    InputError
        The file is not a zip archive, is damaged or encrypted; holds more than 10,000 files, a link, a path that leads
        outside, or the same path twice; or unpacks to too much (see
        [`check_unpacked`][gsmflow.files.guard.check_unpacked]).
    """
    with _opened(path) as archive:
        infos = archive.infolist()
    if len(infos) > _MEMBERS:
        raise InputError(f"{path}: holds {len(infos)} files, more than the {_MEMBERS} allowed")
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in infos:
        place = PurePosixPath(info.filename)
        shown = ascii(info.filename)[1:61]
        if place.is_absolute() or ".." in place.parts or "\\" in info.filename or ":" in info.filename:
            raise InputError(f"{path}: holds '{shown}', a path that leads outside; it is not unpacked")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise InputError(f"{path}: holds '{shown}', a link or device; it is not unpacked")
        if info.is_dir():
            continue
        if info.flag_bits & 1:
            raise InputError(f"{path}: '{shown}' is encrypted; unpack it by other means")
        if place in members:
            raise InputError(f"{path}: holds '{shown}' twice; it is not unpacked")
        members[place] = info
    check_unpacked(path, sum(info.file_size for info in members.values()))
    return members


def unpack(path: Path, places: Iterable[PurePosixPath], into: Path) -> None:
    """Write some files of an archive into a folder, without their folders in the archive; each is checked by its CRC.

    Raises
    ------
    InputError
        [`members_of`][gsmflow.files.unpack.members_of] refuses the archive; or a file is damaged, exists already, or
        cannot be written.
    """
    members = members_of(path)
    with _opened(path) as archive:
        for place in places:
            try:
                with archive.open(members[place]) as source, open(into / place.name, "xb") as target:
                    while chunk := source.read(_CHUNK):
                        target.write(chunk)
                    target.flush()
                    os.fsync(target.fileno())
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                raise InputError(f"{path}: '{place}' is damaged ({error})", remedy="bring it again") from None
            except OSError as error:
                raise InputError(
                    f"{into / place.name}: cannot be written ({error.strerror or error})", remedy="free space"
                ) from None


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        with open(path, "rb") as file:
            page = file.read(512).lstrip().lower().startswith((b"<!doctype", b"<html"))
        what = "a web page, not" if page else "not a readable"
        raise InputError(
            f"{path}: {what} zip archive ({error})" if not page else f"{path}: {what} a zip archive",
            remedy="bring it again, or fetch it by other means and name the file",
        ) from None
    with archive:
        yield archive
