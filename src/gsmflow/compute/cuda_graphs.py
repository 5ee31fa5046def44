"""A function of tensors whose GPU kernels are recorded once and replayed as one launch (a CUDA graph).

A training step is some five hundred kernels of a few microseconds. Launched one by one from Python they take
several times as long as they run; a replay launches all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

_WARM_UP = 3  # calls before the recording, in which everything is compiled and allocated

Named = Mapping[str, Tensor]
Mark = torch.cuda.Event | None


def current_gpu(device: torch.device) -> bool:
    """Whether the device is the current GPU, the only one on which work is recorded and runs side by side."""
    return device.type == "cuda" and device.index in (None, torch.cuda.current_device())


class Recording:
    """The kernels of a function, recorded from its first calls.

    The function maps tensors of fixed shapes to named tensors, and may change other tensors in place. A
    replay repeats the kernels, not the Python code. So the function must not look at a value, which would
    wait for the GPU, and must not depend on anything but its arguments and the tensors it changes: random
    numbers that differ from call to call are arguments. While it is recorded, no other thread of the process
    may use the GPU.
    """

    def __init__(self) -> None:
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._outputs: Named = {}

    def run(self, function: Callable[..., Named], *inputs: Tensor) -> Named:
        """The results of the function for these inputs, as new tensors; the same function in every call."""
        if self._calls < _WARM_UP:
            self._calls += 1
            return _aside(function, *inputs)
        if self._graph is None:
            self._inputs = tuple(tensor.clone() for tensor in inputs)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._outputs = function(*self._inputs)
            self._graph = graph
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._graph.replay()
        return {name: value.clone() for name, value in self._outputs.items()}


class Beside:
    """Runs kernels beside others of the same step, where each alone leaves much of the GPU idle.

    On the CPU everything runs in turn.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if current_gpu(device) else None
        self._used = False  # a stream without anything recorded cannot be waited for

    def mark(self) -> Mark:
        """A mark behind everything that has been launched so far."""
        if self._stream is None:
            return None
        event = torch.cuda.Event()
        event.record()
        return event

    @contextmanager
    def launched(self, *after: Mark) -> Iterator[None]:
        """In this context, launch kernels on the side, after everything before these marks.

        The backward pass of an operation runs on the same side as the operation.
        """
        if self._stream is None:
            yield
            return
        self._used = True
        for event in after:
            if event is not None:
                self._stream.wait_event(event)
        with torch.cuda.stream(self._stream):
            yield

    def join(self) -> None:
        """Everything launched from now on waits for what was launched on the side."""
        if self._stream and self._used:
            torch.cuda.current_stream().wait_stream(self._stream)


def _aside(function: Callable[..., Named], *inputs: Tensor) -> Named:
    """Run on a stream of its own: nothing can be recorded on the default stream."""
    stream, current = torch.cuda.Stream(), torch.cuda.current_stream()
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        outputs = function(*inputs)
    current.wait_stream(stream)
    for tensor in inputs:
        tensor.record_stream(stream)
    for tensor in outputs.values():
        tensor.record_stream(current)
    return outputs
