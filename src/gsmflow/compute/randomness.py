"""Random numbers addressed by name, so that nothing about a run depends on what was drawn before.

Every draw has its own generator, seeded from a key such as ``(seed, "noise", step)``. A resumed
run therefore needs only the step number to draw what the uninterrupted run would have drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

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


def normals(draws: Sequence[tuple[int, tuple[int | str, ...]]], dim: int) -> Tensor:
    """Several draws of standard normal float32 numbers on the CPU, one below the other, on all of torch's threads.

    Each draw has a generator of its own, so the numbers do not depend on how many threads there are.

    Parameters
    ----------
    draws : Sequence[tuple[int, tuple[int | str, ...]]]
        The rows and the key of each draw.
    dim : int
        D, numbers in a row.

    Returns
    -------
    Tensor
        (N, D), where N is the number of rows of all draws.

    Examples
    --------
    >>> both = normals([(3, (0, "noise", 7)), (1, (0, "noise", 8))], 2)
    >>> torch.equal(both[:3], normal((3, 2), "cpu", 0, "noise", 7))
    True
    """
    out = torch.empty(sum(rows for rows, _ in draws), dim)

    def fill(part: Tensor, key: tuple[int | str, ...]) -> None:
        part.normal_(generator=stream("cpu", *key))

    parts, keys = out.split([rows for rows, _ in draws]), [key for _, key in draws]
    threads = min(torch.get_num_threads(), len(draws))
    if threads < 2:
        for part, key in zip(parts, keys, strict=True):
            fill(part, key)
        return out
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, parts, keys))
    return out
