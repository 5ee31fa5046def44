"""How a table of semantics was made, in a file beside it: ``text.origin.json`` beside ``text.csv``.

It holds the table's SHA-256, so that what is said is true of that very table, and for texts the encoder, the SHA-256 of
its weights and the templates. By it a program knows which tables are its own to make anew, and with which encoder a new
class is described as the others were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gsmflow.files.atomic import write_json
from gsmflow.files.checksums import digest_of

_TABLE = "table_sha256"


def origin_file(table: Path) -> Path:
    """The file beside a table."""
    return table.with_name(f"{table.stem}.origin.json")


def write_origin(table: Path, origin: Mapping[str, Any] | None) -> None:
    """Say how a table was made that has just been written; None removes what was said about an older one.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    if origin is None:
        origin_file(table).unlink(missing_ok=True)
        return
    write_json(origin_file(table), {**origin, _TABLE: digest_of(table)})


def read_origin(table: Path) -> dict[str, Any] | None:
    """What was said about a table; None where nothing was, or where it was changed since."""
    try:
        said = json.loads(origin_file(table).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(said, dict) or not table.exists() or said.pop(_TABLE, None) != digest_of(table):
        return None
    return said
