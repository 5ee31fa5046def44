"""Element-wise operations of large flows, compiled into few passes over GPU memory.

Between two matrix products of a coupling there are a dozen element-wise operations, and each reads and writes
whole activations; Adam on bfloat16 weights passes over all weights three times. On a GPU both take as long as
their memory traffic. `torch.compile` turns each into one kernel. Compiling takes seconds, so only large flows
ask for it. If something that the compiler needs is missing, the operations run one by one, as on the CPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from types import FunctionType
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

_P = ParamSpec("_P")
_R = TypeVar("_R")

PAYS_FROM = 1 << 20  # size of a weight from which its kernels take longer than their launches


def pays(weight: Tensor) -> bool:
    """Whether the element-wise work of training steps with this weight is worth compiling."""
    return weight.is_cuda and weight.numel() >= PAYS_FROM


def fused(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """`function` compiled for tensors on a GPU; the function itself where it cannot be compiled.

    It is compiled once for every combination of shapes, strides, dtypes and other arguments; a training step
    has two or three. All arguments are positional.
    """
    compiled: dict[object, Callable[_P, _R]] = {}
    broken = False

    @wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        assert not kwargs
        nonlocal broken
        key = tuple(_kind(value) for value in args)
        if key in compiled:
            return compiled[key](*args, **kwargs)
        if broken or find_spec("triton") is None:
            return function(*args, **kwargs)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the compiler's remarks about itself
                candidate = torch.compile(_copy(function), fullgraph=True, dynamic=False)
                result = candidate(*args, **kwargs)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # the machine's compilers may raise anything
            # Nothing has run yet: a function is compiled as a whole before its first kernel.
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            broken = True
            warnings.warn(f"torch.compile: {reason}; continuing without, more slowly", stacklevel=2)
            return function(*args, **kwargs)
        compiled[key] = candidate
        return result

    return call


def _kind(value: object) -> object:
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device, value.requires_grad
    return value


def _copy(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The same function as a new code object: torch compiles one code object eight times at most."""
    assert isinstance(function, FunctionType)
    return FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


LARGE = 1 << 18  # size of a weight from which memory traffic takes more time than the calls
