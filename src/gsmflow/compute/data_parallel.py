"""One training divided among processes that ``torchrun`` started: each takes its share of every batch.

The gradients are averaged where the optimizer asks for them, one weight after the other: no process ever holds the
gradients of a whole model, so there is nothing for `torch.nn.parallel.DistributedDataParallel` to hook
into. Every process draws the batch and its noise as a single one would and keeps its share, so that the sum of what
all do is what one would have done. Heads, scores and choices are the same computation everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Parameter


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Belong to the processes that torchrun started together with this one; nothing where it did not."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not dist.is_available():
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def size() -> int:
    """Processes that train together; 1 outside of [`joined`][gsmflow.compute.data_parallel.joined]."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0. The first keeps the run, the others write nothing."""
    return dist.get_rank() if size() > 1 else 0


def share(count: int) -> slice:
    """This process's part of a batch of `count` samples, as even as can be."""
    return slice(rank() * count // size(), (rank() + 1) * count // size())


def averaged(gradients: Iterable[tuple[Parameter, Tensor]]) -> Iterator[tuple[Parameter, Tensor]]:
    """Each gradient as the mean over all processes, which must come to them in the same order."""
    for parameter, gradient in gradients:
        if size() > 1:
            dist.all_reduce(gradient)
            gradient /= size()
        yield parameter, gradient


def mean(value: Tensor) -> Tensor:
    """The mean of a tensor over all processes."""
    if size() == 1:
        return value
    value = value.clone()
    dist.all_reduce(value)
    return value / size()


def anywhere(flag: bool, device: torch.device) -> bool:
    """Whether it is so in any of the processes: all stop after the same step, or all would wait for ever."""
    return flag if size() == 1 else bool(mean(torch.tensor(float(flag), device=device)) > 0)


def together() -> None:
    """Wait until all processes are here."""
    if size() > 1:
        dist.barrier()
