"""How a table of semantics was made, in a file beside it: ``text.origin.json`` beside ``text.csv``.

It holds the SHA-256 of the table, so that it is valid for exactly that table. For texts it also holds the encoder, the
SHA-256 of its weights and the templates. From it the program knows which tables it made and may make again, and which
encoder describes a new class in the same way as the others.
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
    """Record how the table that was just written was made; None removes the record of an older table.

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
    """The record of how a table was made; None if there is none, or if the table was changed since."""
    try:
        said = json.loads(origin_file(table).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(said, dict) or not table.exists() or said.pop(_TABLE, None) != digest_of(table):
        return None
    return said
