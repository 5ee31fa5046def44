"""One training divided among processes that ``torchrun`` started: each takes its share of every batch.

Every process draws the whole batch and its noise, as a single process would, and computes with its share.
Gradients are averaged one weight at a time, when the optimizer asks for them. No process ever holds the
gradients of a whole model, so `torch.nn.parallel.DistributedDataParallel` has nothing to hook into. Heads,
scores and choices are computed by every process alike.
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
    """In this context, this process works with the others that torchrun started; without torchrun, alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not dist.is_available():
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def size() -> int:
    """Number of processes that train together; 1 outside of [`joined`][gsmflow.compute.data_parallel.joined]."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0. Process 0 writes the run; the others write nothing."""
    return dist.get_rank() if size() > 1 else 0


def share(count: int) -> slice:
    """This process's share of a batch of `count` samples. Shares differ by one sample at most."""
    return slice(rank() * count // size(), (rank() + 1) * count // size())


def averaged(gradients: Iterable[tuple[Parameter, Tensor]]) -> Iterator[tuple[Parameter, Tensor]]:
    """Each gradient averaged over all processes, of the same shape (...). All must give theirs in the same order."""
    for parameter, gradient in gradients:
        if size() > 1:
            dist.all_reduce(gradient)
            gradient /= size()
        yield parameter, gradient


def mean(value: Tensor) -> Tensor:
    """The mean of a tensor (...) over all processes, entry by entry."""
    if size() == 1:
        return value
    value = value.clone()
    dist.all_reduce(value)
    return value / size()


def anywhere(flag: bool, device: torch.device) -> bool:
    """Whether `flag` is true in any process, so that all stop after the same step and none waits for ever."""
    return flag if size() == 1 else bool(mean(torch.tensor(float(flag), device=device)) > 0)


def together() -> None:
    """Wait until all processes are here."""
    if size() > 1:
        dist.barrier()
