"""Work on data larger than memory: part by part on this machine, or many parts at a time on a Ray cluster.

Both call the same function on the same parts, so their results are the same: bit for bit on processors of one
kind with the same number of threads. Every part gives one result, and results come in the order of the parts.
If a worker dies, another does its part again.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.compute.ray import connected

_RETRIES = 3  # further attempts at a part whose worker died, and at starting a worker
_BLOCKS = 2048  # most blocks that the parts are divided into for a cluster


class Work(Protocol):
    """What is done to every part; an object of plain values that is sent to the workers."""

    def open(self) -> Callable[[Any], Any]:
        """Load what is needed, once a process, and return the function that is called with each part."""
        ...


@dataclass(frozen=True)
class Cluster:
    """The Ray cluster that parts are computed on. Every node needs data, run and backbone under the same paths.

    Parameters
    ----------
    address : str
        Address of a running Ray cluster; ``auto`` for the one this machine belongs to; empty to start one
        here.
    threads : int
        Cores of a worker.
    """

    address: str
    threads: int = 1


def results(work: Work, parts: Sequence[Any], cluster: Cluster | None = None) -> Iterator[Any]:
    """The result of `work` for each part, in their order; on this machine or on a cluster.

    Raises
    ------
    InputError
        Raised by the work itself; or Ray is not installed, or no cluster answers.
    RuntimeError
        A part was lost for good.
    """
    if cluster is not None:
        yield from _by_ray(work, parts, cluster)
        return
    function = work.open()
    for part in parts:
        yield function(part)


def _by_ray(work: Work, parts: Sequence[Any], cluster: Cluster) -> Iterator[Any]:
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # Ray's messages about restarts
    with connected(cluster.address) as ray:
        try:
            from ray import data
        except ImportError as error:
            raise InputError(f"ray: needs {error.name}; {installing('ray')}", parameter="on") from None
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        cores = int(ray.cluster_resources().get("CPU", 1))
        if cores < cluster.threads:
            raise InputError(
                f"{cluster.threads}: the cluster has {cores} cores in all; ask for fewer", parameter="threads"
            )
        blocks = min(len(parts), _BLOCKS)
        source = data.from_items(
            [{"place": place, "part": _Held(part)} for place, part in enumerate(parts)],
            override_num_blocks=blocks,
        )
        with warnings.catch_warnings():
            # Only this bounds how often a part that kills its worker is tried; from 2.64 on Ray asks for another way.
            warnings.filterwarnings("ignore", message="`ray_remote_args`")
            results = source.map_batches(
                _Worker,
                fn_constructor_args=(work, cluster.threads),
                batch_size=1,
                batch_format="pandas",
                compute=data.ActorPoolStrategy(size=max(1, min(blocks, cores // cluster.threads))),
                num_cpus=cluster.threads,
                max_restarts=_RETRIES,
                max_task_retries=_RETRIES,
            )
        for dataset in (source, results):
            dataset.context.execution_options.preserve_order = True
            dataset.context.enable_progress_bars = False
        expected = 0
        try:
            for block in results.iter_batches(batch_size=None, batch_format="pandas", prefetch_batches=0):
                for place, held in zip(block["place"], block["result"], strict=True):
                    if held.failure:
                        raise held.failure
                    if place != expected:
                        raise RuntimeError(f"part {place} came where {expected} was expected")
                    expected += 1
                    yield held.value
        except ray.exceptions.RayError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise RuntimeError(f"a worker was lost {_RETRIES + 1} times: {(lines or ['?'])[0]}") from None
        if expected != len(parts):
            raise RuntimeError(f"{expected} of {len(parts)} parts came back")


@dataclass(frozen=True)
class _Held:
    """One value, wrapped so that Ray Data does not split lists and arrays."""

    value: Any
    failure: InputError | None = None


class _Worker:
    """One process of a cluster: opens the work once, then does parts."""

    def __init__(self, work: Work, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._function: Callable[[Any], Any] | None = None
        self._failure: InputError | None = None
        try:
            self._function = work.open()
        except InputError as error:
            self._failure = error

    def __call__(self, batch: Any) -> Any:
        batch["result"] = [self._done(held.value) for held in batch.pop("part")]
        return batch

    def _done(self, part: Any) -> _Held:
        if self._function is None:
            return _Held(None, self._failure)
        try:
            return _Held(self._function(part))
        except InputError as error:
            return _Held(None, error)
