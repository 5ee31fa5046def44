"""Which device and which precision to compute on."""

from __future__ import annotations

import torch

from gsmflow.errors import InputError


def resolve_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one; ``cpu``, ``cuda``, ``cuda:1`` are taken at their word.

    Raises
    ------
    InputError: the name is no device, or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device '{name}': expected auto, cpu or cuda") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device '{name}': expected auto, cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device '{name}': torch finds no such GPU here; use --device cpu")
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 run on hardware of their own (AMX, AVX512-BF16, GPU)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # Private names, so asked for with care: a torch without them computes in float32.
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def describe(device: torch.device) -> str:
    """The device in words, for the record of a run."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"
