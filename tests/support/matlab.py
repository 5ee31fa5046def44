"""MATLAB files of version 5 with what only MATLAB writes: its newer objects."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

# The last: someone's enum
OBJECTS = ("string", "table", "datetime", "containers.Map", "categorical", "Colour")


def element(kind: int, content: bytes) -> bytes:
    """A data element of a v5 file, filled up to eight bytes."""
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def opaque(name: str, kind: str, *, packed: bool) -> bytes:
    """A variable as MATLAB writes its newer objects: no dimensions, but a type system, a class and a reference."""
    numbers = np.array([0xDD000000, 2, 1, 1, 1, 1], "<u4")
    reference = (
        element(6, struct.pack("<II", 13, 0))
        + element(5, struct.pack("<ii", 6, 1))
        + element(1, b"")
        + element(6, numbers.tobytes())
    )
    content = (
        element(6, struct.pack("<II", 17, 0))
        + element(1, name.encode())
        + element(1, b"MCOS")
        + element(1, kind.encode())
        + element(14, reference)
    )
    if not packed:
        return element(14, content)
    small = zlib.compress(element(14, content))
    return struct.pack("<II", 15, len(small)) + small


def workspace() -> bytes:
    """The variable without a name that the values of objects are in."""
    return element(
        14,
        element(6, struct.pack("<II", 9, 0))
        + element(5, struct.pack("<ii", 1, 40))
        + element(1, b"")
        + element(2, bytes(40)),
    )


def with_objects(file: Path, *, packed: bool) -> None:
    """Put an object of each kind before and after the variables of a v5 file."""
    content = file.read_bytes()
    before, after = (
        b"".join(opaque(f"{place}{i}", kind, packed=packed) for i, kind in enumerate(OBJECTS))
        for place in ("before", "after")
    )
    file.write_bytes(content[:128] + before + content[128:] + after + workspace())
