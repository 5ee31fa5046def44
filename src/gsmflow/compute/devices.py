"""Which device and which precision to compute on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from gsmflow.base.errors import InputError

if TYPE_CHECKING:
    import torch

DIVIDED = 128  # dimensions from which a step is worth dividing among threads


def check_device(name: str) -> None:
    """Refuse a text that is not the name of a device, without loading torch.

    Raises
    ------
    InputError
        It is not auto, cpu, cuda or cuda:N.
    """
    if not re.fullmatch(r"auto|cpu(:\d{1,3})?|cuda(:\d{1,3})?", name):
        raise InputError(f"device '{name}': expected auto, cpu or cuda")


def resolve_device(name: str) -> torch.device:
    """The device that a name stands for: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` for a GPU if there is one.

    A GPU that is named by number becomes torch's current one.

    Raises
    ------
    InputError
        No device has that name, or this machine has no such device.
    """
    check_device(name)
    import torch  # late: it takes over a second, and a refusal does not need it

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device '{name}': torch finds no such GPU here", remedy="use `device` cpu")
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # streams and recordings belong to the current one
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 run on hardware of their own (AMX, AVX512-BF16, GPU)."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # torch has only private functions for this; without them float32 is used.
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def has_eight_bit(device: torch.device) -> bool:
    """Whether matrix products of 8-bit numbers run on hardware of their own (AVX512-VNNI, AMX) that torch can use."""
    import torch

    # torch has only private functions for this; without them the products are not used.
    hardware = getattr(torch.cpu, "_is_vnni_supported", lambda: False)()
    return device.type == "cpu" and hardware and _eight_bit_as_expected()


@cache
def _eight_bit_as_expected() -> bool:
    """Whether this torch has the private functions for products of 8-bit numbers, and they compute what is expected."""
    import torch

    x, weight = torch.arange(8).view(2, 4) - 3, torch.arange(12).view(3, 4) - 5
    try:
        plain = torch._int_mm(x.to(torch.int8), weight.to(torch.int8).T)  # pyright: ignore[reportPrivateImportUsage]
        packed = torch.ops.onednn.qlinear_prepack(weight.to(torch.int8), [2, 4])
        steps, zeros = torch.full((3,), 0.5), torch.zeros(3, dtype=torch.int64)
        given = (x + 3).to(torch.uint8), 2.0, 3, packed, steps, zeros, torch.full((3,), -4.0)
        leaky = torch.ops.onednn.qlinear_pointwise(*given, 1.0, 0, torch.float32, "leaky_relu", [0.5], "")
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):
        return False
    exact = x @ weight.T
    return torch.equal(plain.long(), exact) and torch.allclose(
        leaky, torch.nn.functional.leaky_relu(exact.float() - 4, 0.5)
    )


def set_threads(wanted: int | None, dims: int) -> int:
    """Set the number of CPU threads; by default torch's choice, or one thread for features of few dimensions.

    Returns how many trainings of a run may go on at a time, each with one thread: as many as there are threads for it,
    by default as many as there are cores.

    Steps of a small flow are too short to divide. On two cores `digits` (64 dimensions) takes as long with
    one thread as with two; beside another busy program two threads wait for each other and take ten times as
    long as one.

    Parameters
    ----------
    wanted : int | None
        CPU threads, at least 1; None for the default.
    dims : int
        Dimensions of the training features.
    """
    import torch

    lanes = wanted or cores()
    if wanted is None and dims < DIVIDED:
        wanted = 1
    if wanted is not None:
        torch.set_num_threads(wanted)
    return lanes


@contextmanager
def one_thread(wanted: bool) -> Iterator[None]:
    """In this context, compute with one CPU thread if that is wanted, else with as many as before."""
    import torch

    before = torch.get_num_threads()
    if wanted and before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if wanted and before > 1:
            torch.set_num_threads(before)


@contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """In this context, NumPy and SciPy compute matrix products with so many threads, at least 1.

    Their library has one pool of threads for the whole process, which several callers would wait for.
    """
    import scipy.linalg  # noqa: F401  # its library is limited only once it is loaded
    from threadpoolctl import threadpool_limits  # late: it looks at every loaded library

    with threadpool_limits(count, user_api="blas"):
        yield


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def divide_cores(jobs: int | None, runs: int, threads: int | None, dims: int) -> tuple[int, int]:
    """How many of several runs to start at a time on a CPU, and the threads of each.

    Runs that use one thread (see [`set_threads`][gsmflow.compute.devices.set_threads]) run side by side,
    larger ones one after the other. Measured on two cores: two runs of `digits` side by side take 0.69 times as
    long as one after the other, two runs of FLO at 256 dimensions 1.4 times as long.

    Parameters
    ----------
    jobs : int | None
        Runs at a time, if the user gave a number.
    runs : int
        How many runs there are.
    threads : int | None
        Threads of each run, if the user gave a number.
    dims : int
        Dimensions of the training features.
    """
    small = dims < DIVIDED
    if jobs is None:
        jobs = cores() if small and threads is None else 1
    jobs = min(jobs, runs)
    return jobs, threads or (1 if small else max(1, cores() // jobs))


def describe(device: torch.device) -> str:
    """The device in words, for the record of a run."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"
