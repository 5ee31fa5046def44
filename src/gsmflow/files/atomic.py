"""Files that are either the old one or the new one, whatever happens in between."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.files.checksums import CHECKSUMS, digest_of, line_of


def make_folder(path: Path) -> None:
    """Create a folder that can be written to.

    Raises
    ------
    InputError
        It cannot be created, is a file, or cannot be written to.
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
    InputError
        The disk is full or the folder cannot be written to; `path` is as it was.
    """
    write_file(path, lambda file: file.write(content))


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace `path` by what `write` puts into the file it is given, as
    [`write_bytes`][gsmflow.files.atomic.write_bytes] does.

    Raises
    ------
    InputError
        The disk is full or the folder cannot be written to; `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another --out"
        ) from None
    finally:
        with suppress(
            OSError
        ):  # a file system that can only be read says so even of files that are not there
            temporary.unlink(missing_ok=True)


def json_bytes(value: Any) -> bytes:
    """`value` as indented JSON; NaN is refused, use None."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN is refused, use None."""
    write_bytes(path, json_bytes(value))


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises
    ------
    InputError
        The file is missing, unreadable or not JSON.
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

    plain: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        whole = tensor.detach().cpu().contiguous()
        memory = whole.untyped_storage().data_ptr()
        plain[name] = whole.clone() if memory in taken else whole  # the format knows no shared memory
        taken.add(memory)
    text = json.dumps(meta)
    # A single entry: of several, the format writes one first or the other, and the same content would differ.
    write_bytes(path, save(plain, metadata={"gsmflow": f"{digest_of_tensors(plain, text)} {text}"}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """The tensors and the meta of a safetensors file; nothing in it is ever executed.

    Raises
    ------
    InputError
        The file is missing, unreadable, cut short, not as it was written, or no safetensors file (a pickle,
        say).
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            digest, _, text = (file.metadata() or {}).get("gsmflow", "").partition(" ")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if digest != digest_of_tensors(tensors, text):
                raise ValueError("its content does not match its checksum")
            return tensors, json.loads(text)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (SafetensorError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable safetensors file ({error}); it is damaged or of another format, and "
            "pickled checkpoints are not loaded"
        ) from None


def digest_of_tensors(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """SHA-256 over the text and over names, types, shapes and bytes of the tensors."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"|{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        flat = tensor.reshape(-1)
        if flat.stride(0) != 1:  # as an empty array may have it, which then has no view as bytes
            flat = flat.clone(memory_format=torch.contiguous_format)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_checksums(folder: Path, names: Iterable[str], coming: Mapping[str, bytes]) -> None:
    """Write the SHA-256 of files in `folder` and of others about to be written, for ``sha256sum -c``."""
    digits = {name: digest_of(folder / name) for name in names}
    digits |= {name: hashlib.sha256(content).hexdigest() for name, content in coming.items()}
    write_bytes(folder / CHECKSUMS, "".join(line_of(*pair[::-1]) for pair in digits.items()).encode())


def sweep(folder: Path) -> None:
    """Remove the temporary files of writers that were killed; for whoever alone may write there.

    Raises
    ------
    InputError
        One cannot be removed.
    """
    for left in (path for part in (folder, folder / "checkpoint") for path in part.glob(".*.tmp")):
        try:
            left.unlink()
        except OSError as error:
            raise InputError(f"{left}: cannot be removed ({error.strerror}); remove it") from None


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the system lets go of it however the process ends.

    Raises
    ------
    InputError
        Another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on this platform
        yield
        return
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{folder}: another process is writing there; wait, or choose another --out"
            ) from None
        yield
