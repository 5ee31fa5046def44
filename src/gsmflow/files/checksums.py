"""Checksums of files: those in a run folder, and lists that come with data.

[`LISTS`][gsmflow.files.checksums.LISTS] has the names of such lists. Every line of a list is understood or
refused: ``<digits>  name`` as ``sha256sum`` writes it, and ``SHA256 (name) = <digits>`` as BSD and
``sha256sum --tag`` do.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import unicodedata
from functools import lru_cache
from os.path import exists
from pathlib import Path

from gsmflow.base.errors import InputError

CHECKSUMS = "checksums.txt"
LISTS = (CHECKSUMS, "SHA256SUMS", "SHA256SUMS.txt", "sha256sums.txt", "sha256sum.txt")
"""Names of files that hold checksums of the files beside them."""

_KINDS = {
    32: "md5",
    40: "sha1",
    56: "sha224",
    64: "sha256",
    96: "sha384",
    128: "sha512",
}  # by number of digits
_PLAIN = re.compile(r"(?P<escaped>\\?)(?P<digits>[0-9A-Fa-f]+)\s[\s*]?(?P<name>.+)")
_TAGGED = re.compile(
    r"(?P<escaped>\\?)(?P<kind>[A-Za-z0-9/-]+) ?\((?P<name>.+)\) ?= ?(?P<digits>[0-9A-Fa-f]+)"
)
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", codecs.BOM_UTF8: "utf-8-sig"}


def check(path: Path) -> Path:
    """Compare a file with the list of checksums beside it, if a list names it, and return its path.

    Raises
    ------
    InputError
        The file does not match its checksum or cannot be read; or a list of checksums beside it has a line that
        is not a checksum, or names no file of the folder.
    """
    for name in LISTS:
        place = path.parent / name
        try:
            state = os.stat(place)
        except OSError:  # usually there is no list
            continue
        listed = _read(place, state.st_mtime_ns, state.st_size)
        for wanted in listed.get(_normal(path.name), ()):
            if digest_of(path, _KINDS[len(wanted)]) != wanted:
                raise InputError(
                    f"{path}: does not match its checksum in {name}, so one of the two is damaged; "
                    "restore it from a copy, or make it again"
                )
    return path


def digest_of(path: Path, kind: str = "sha256") -> str:
    """SHA-256 (or the digest named `kind`) of a file, in lower-case hexadecimal digits.

    Raises
    ------
    InputError
        It is missing or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, kind).hexdigest()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def line_of(digits: str, name: str) -> str:
    """A line of a list of checksums, as ``sha256sum`` writes it."""
    return f"{digits}  {name}\n"


@lru_cache(maxsize=4)  # the shards of one table read the same list one after the other
def _read(place: Path, changed: int, size: int) -> dict[str, list[str]]:
    """The digits by file name of a list. `changed` and `size` identify a state of the list."""
    listed: dict[str, list[str]] = {}
    first = None
    for number, line in enumerate(_text(place).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _TAGGED.fullmatch(line.strip()) or _PLAIN.fullmatch(line.strip())
        kind = _KINDS.get(len(match["digits"])) if match else None
        said = match.groupdict().get("kind") if match else None
        if (
            match is None
            or kind is None
            or kind != (said or kind).lower().replace("sha2-", "sha").replace("-", "")
        ):
            raise InputError(
                f"{place}: line {number} is no checksum ('{line.strip()[:40]}'); expected '<64 hexadecimal digits>  "
                "name' as sha256sum writes it; correct it, or put # before the line"
            )
        name = match["name"]
        if match["escaped"]:
            name = name.replace(r"\n", "\n").replace(r"\\", "\\")
        first = first or name
        listed.setdefault(_normal(name), []).append(match["digits"].lower())
    if first is None:
        raise InputError(f"{place}: lists no checksum; make it anew, or remove it")
    # os.path.exists, unlike Path.exists, takes names that no file can have.
    if not any(exists(place.parent / name) for name in listed) and not _there(place.parent, listed):
        raise InputError(
            f"{place}: names no file that is in its folder (the first is '{first}'); make it in there with "
            f"`sha256sum * > {CHECKSUMS}`, or remove it"
        )
    return listed


def _there(folder: Path, listed: dict[str, list[str]]) -> bool:
    """Whether a file of the folder is listed, possibly in another Unicode form."""
    return any(_normal(name) in listed for name in os.listdir(folder))


def _normal(name: str) -> str:
    """A name in the form in which names are compared: without a leading ``./`` or ``.\\``, in one Unicode form."""
    return unicodedata.normalize("NFC", os.path.normpath(name.removeprefix(".\\")))


def _text(place: Path) -> str:
    try:
        content = place.read_bytes()
    except OSError as error:
        raise InputError(f"{place}: cannot be read ({error.strerror or error})") from None
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise InputError(f"{place}: is not UTF-8 or UTF-16; save it as UTF-8") from None
