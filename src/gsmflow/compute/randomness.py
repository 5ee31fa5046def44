"""Random numbers addressed by name, so that nothing about a run depends on what was drawn before.

Every draw has its own generator, seeded from a key such as ``(seed, "noise", step)``. A resumed
run therefore needs only the step number to draw what the uninterrupted run would have drawn.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def stream(device: torch.device | str, *key: int | str) -> torch.Generator:
    """A generator on `device` that depends on `key` alone.

    >>> torch.equal(*(torch.randn(3, generator=stream("cpu", 0, "noise", 7)) for _ in range(2)))
    True
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little") >> 1)


def normal(shape: tuple[int, ...], device: torch.device | str, *key: int | str) -> Tensor:
    """Standard normal float32 numbers, a tensor (*shape), determined by `key` and the kind of device."""
    return torch.randn(shape, device=device, generator=stream(device, *key))
