"""Files of tensors (safetensors) with a checksum of their own; nothing in them is ever executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.files.atomic import write_bytes


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Any = None) -> None:
    """Write tensors and JSON-able `meta` as one safetensors file, atomically."""
    from safetensors.torch import save

    plain: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        whole = tensor.detach().cpu().contiguous()
        memory = whole.untyped_storage().data_ptr()
        plain[name] = whole.clone() if memory in taken else whole  # the format does not allow shared memory
        taken.add(memory)
    text = json.dumps(meta)
    # A single entry: the format writes several in any order, so equal content could give different files.
    write_bytes(path, save(plain, metadata={"gsmflow": f"{digest_of_tensors(plain, text)} {text}"}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """The tensors and the meta of a safetensors file. Nothing in it is executed.

    Raises
    ------
    InputError
        The file is missing, unreadable, cut short, changed since it was written, or not a safetensors file
        (for example a pickle).
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
    """SHA-256 of the text and of the tensors' names, types, shapes and bytes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"|{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        flat = tensor.reshape(-1)
        if flat.stride(0) != 1:  # an empty array may have no view as bytes
            flat = flat.clone(memory_format=torch.contiguous_format)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
