"""The header of a safetensors file, checked without loading torch or a tensor."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from gsmflow.base.errors import InputError
from gsmflow.files.guard import first_bytes

_LONGEST = 100_000_000  # bytes of a header, as the format has it


def check_tensor_file(path: Path) -> None:
    """Refuse a file that is no safetensors file, or ends before its tensors do. Its content is not compared.

    Raises
    ------
    InputError
        The file is missing, unreadable, cut short or of another format.
    """
    start = first_bytes(path, 8)
    try:
        size = path.stat().st_size
        (length,) = struct.unpack("<Q", start)
        if not 2 <= length <= min(_LONGEST, size - 8):
            raise ValueError("no header")
        with open(path, "rb") as file:
            file.seek(8)
            header: Any = json.loads(file.read(length))
        ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        if 8 + length + max(ends, default=0) != size:
            raise ValueError(f"{size} bytes, the header says {8 + length + max(ends, default=0)}")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (struct.error, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path}: not a readable safetensors file ({str(error)[:120]}); it is damaged or of another format, and "
            "pickled checkpoints are not loaded"
        ) from None
