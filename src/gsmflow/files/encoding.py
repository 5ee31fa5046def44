"""A CSV file as text: its encoding, and what comes before its header."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.files.guard import first_bytes, is_pickle, other_kind

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8 with BOM"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32 LE"),  # begins as UTF-16 LE does
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32 BE"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16 LE"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16 BE"),
)
_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")
_SEP = re.compile(r'"?sep=(.)"?[\s,;]*', re.IGNORECASE)
_HEAD = 1 << 16  # bytes in which a header is looked for


@dataclass(frozen=True)
class Text:
    """A CSV file as text.

    Parameters
    ----------
    path : Path
        The file.
    body : str
        The text from the header on.
    encoding : str
        Name of the encoding that it was decoded with.
    header_line : int
        The line, from 1, that the header is on.
    separator : str | None
        The separator that a ``sep=`` line names; None without such a line.
    comments : tuple[tuple[int, str], ...]
        Each comment line before the header: its number, and the file from there on.
    passed_ends : frozenset[str]
        How the lines before the header end.
    """

    path: Path
    body: str
    encoding: str
    header_line: int
    separator: str | None
    comments: tuple[tuple[int, str], ...] = ()
    passed_ends: frozenset[str] = frozenset()


def read_text(path: Path, content: bytes, *, whole: bool = True) -> Text:
    """Decode a CSV file and pass over what comes before its header.

    Parameters
    ----------
    path : Path
        The file, for messages.
    content : bytes
        Its bytes, or the bytes of its beginning.
    whole : bool
        False for the beginning of a file, which may end within a character.

    Raises
    ------
    InputError
        The file is not text, or holds nothing but blank lines and comments.
    """
    text, encoding = _decoded(path, content, whole)
    start, line = 0, 1
    separator: str | None = None
    comments: list[tuple[int, str]] = []
    ends: set[str] = set()
    while start < len(text):
        match = _LINE.match(text, start)
        assert match is not None
        said = match[1].strip()
        if named := _SEP.fullmatch(match[1]):
            separator = named[1]
            if separator not in SEPARATORS:
                raise InputError(
                    f"{path}: line {line} names '{separator}' as separator, expected one of , ; | or a tab"
                )
        elif said.startswith("#"):
            comments.append((line, text[start:]))
        elif said.strip(",;|"):
            return Text(path, text[start:], encoding, line, separator, tuple(comments), frozenset(ends))
        if said.endswith("\\"):
            raise InputError(
                f"{path}: line {line} comes before the header and ends in a backslash; remove it"
            )
        ends.add(match[2])
        start, line = match.end(), line + 1
    raise InputError(f"{path}: is empty, expected a header line")


def _decoded(path: Path, content: bytes, whole: bool) -> tuple[str, str]:
    if is_pickle(content[:2]):
        raise InputError(f"{path}: a Python pickle, which is never loaded; save it as CSV in UTF-8")
    if other := other_kind(content):
        raise InputError(f"{path}: no CSV but {other[0]}; {other[1]}")
    codec, name = "utf-8", "UTF-8"
    for mark, with_mark, called in _BOMS:
        if content.startswith(mark):
            codec, name, content = with_mark, called, content[len(mark) :]
            break
    else:
        head = content[:400]
        if head[1::2].count(0) > len(head) // 4 > head[::2].count(0):
            codec, name = "utf-16-le", "UTF-16 LE without BOM"
        elif head[::2].count(0) > len(head) // 4 > head[1::2].count(0):
            codec, name = "utf-16-be", "UTF-16 BE without BOM"
    try:
        text = content.decode(codec) if whole else codecs.getincrementaldecoder(codec)().decode(content)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(codec, "replace")
        line = 1 + len(re.findall("\r\n|\r|\n", before))
        raise InputError(
            f"{path}: line {line} is not {name.split()[0]} (byte 0x{content[error.start]:02x}); save it as CSV in "
            "UTF-8 (Excel: Save as, CSV UTF-8)"
        ) from None
    if "\0" in text:
        line = 1 + len(re.findall("\r\n|\r|\n", text[: text.index("\0")]))
        raise InputError(f"{path}: line {line} is not text (it holds a zero byte); save it as CSV in UTF-8")
    return text, name


def header_words(path: Path) -> set[str]:
    """Possible column names of a CSV file with any separator, in lower case; only its beginning is read.

    Raises
    ------
    InputError
        There is no such file, or it may not be read.
    """
    try:
        head = read_text(path, first_bytes(path, _HEAD), whole=False).body
    except InputError:
        first_bytes(path, 1)
        return set()
    line = re.split(r"[\r\n]", head, maxsplit=1)[0]
    return {word.strip(" \"'").casefold() for word in re.split(r"[,;|\t]", line)}
