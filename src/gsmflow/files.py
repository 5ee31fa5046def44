"""Files that are either the old one or the new one, whatever happens in between."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from gsmflow.errors import InputError


def make_folder(path: Path) -> None:
    """Create a folder that can be written to.

    Raises
    ------
    InputError: it cannot be created, is a file, or cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot write there ({error.strerror}); choose another --out") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one atomic step, on disk before the name changes.

    Raises
    ------
    InputError: the disk is full or the folder cannot be written to; `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); free space or choose another --out"
        ) from None


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN is refused, use None."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises
    ------
    InputError: the file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Any = None) -> None:
    """Write tensors and JSON-able `meta` as one safetensors file, atomically."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(plain, metadata={"gsmflow": json.dumps(meta)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """The tensors and the meta of a safetensors file; nothing in it is ever executed.

    Raises
    ------
    InputError: the file is missing, unreadable, cut short, or no safetensors file (a pickle, say).
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {}).get("gsmflow", "null"))
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (SafetensorError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable safetensors file ({error}); it is damaged or of another format, and "
            "pickled checkpoints are not loaded"
        ) from None
