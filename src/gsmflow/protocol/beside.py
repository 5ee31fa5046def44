"""Several parts of one run at the same time, each in a Python thread with its share of the processor threads.

Steps of a small flow are too short to divide among threads, but several trainings can run at the same time, as can
several closed forms. With one processor thread each, the numbers are the same as for one part after the other, bit for
bit, because each draws its own random numbers by name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Generic, TypeVar

import torch

from gsmflow.base.progress import Progress
from gsmflow.compute.devices import blas_threads
from gsmflow.data.problem import Problem
from gsmflow.learning.journal import Interrupted, Recorder
from gsmflow.learning.parts import PartRecorder, has_part, take_over

_T = TypeVar("_T")
_TOGETHER = 1 << 28  # most numbers in the features of all parts at a time


def goes_on_beside(recorder: Recorder, lanes: int, stages: list[str]) -> bool:
    """Whether these stages of a run on the CPU are computed at the same time, as parts.

    They are if there are lanes, or if an interrupted attempt left parts. They are not if an earlier attempt already
    recorded one of the stages in the run itself.
    """
    left = any(has_part(recorder, stage) for stage in stages)
    return left or (lanes > 1 and not any(recorder.began(stage) for stage in stages))


def lanes_for(lanes: int, count: int, problem: Problem, device: torch.device) -> int:
    """How many of `count` parts to compute at a time, each of which transforms the features of a problem.

    They are at most `lanes`, so few that their features together need at most about a GiB, and one on a GPU.
    """
    fit = _TOGETHER // max(1, problem.features.size)
    return max(1, min(lanes, count, fit)) if device.type == "cpu" else 1


def threads_each(lanes: int) -> int:
    """The processor threads of each of so many parts that share those of the process."""
    return max(1, torch.get_num_threads() // lanes)


def at_once(tasks: Mapping[str, Callable[[], _T]], lanes: int) -> dict[str, _T]:
    """The results of several tasks that record nothing, by name; so many at a time share the processor threads."""
    if lanes < 2:
        return {name: task() for name, task in tasks.items()}
    before, each = torch.get_num_threads(), threads_each(lanes)
    try:
        with (
            blas_threads(each),
            ThreadPoolExecutor(lanes, initializer=partial(torch.set_num_threads, each)) as pool,
        ):
            futures = {name: pool.submit(task) for name, task in tasks.items()}
            return {name: future.result() for name, future in futures.items()}
    finally:
        torch.set_num_threads(before)


class Beside:
    """Computes parts of a run at the same time, within its context. Parts still running at its end are stopped.

    Parameters
    ----------
    recorder : Recorder
        The recorder of the run.
    lanes : int
        Most parts at a time.
    threads : int
        Processor threads of each part.
    """

    def __init__(self, recorder: Recorder, lanes: int, threads: int = 1) -> None:
        self.recorder, self._each = recorder, threads
        self._pool = ThreadPoolExecutor(lanes, thread_name_prefix="part")
        self._turns, self._lock = _Turns(recorder.progress), threading.Lock()
        self._parts: list[Part] = []
        self._failures: list[BaseException] = []
        self._threads = torch.get_num_threads()

    def __enter__(self) -> Beside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in self._parts:
            part.stop()
        self._pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads)

    def begin(self, stage: str, task: Callable[[PartRecorder], _T], *, turn: int) -> Part[_T]:
        """Begin a part of the run as soon as a lane is free.

        Parameters
        ----------
        stage : str
            The name of the part.
        task : Callable[[PartRecorder], _T]
            Computes the part, given its recorder.
        turn : int
            Events are shown part by part, in the order of these numbers.
        """
        recorder = PartRecorder(self.recorder, stage, self._turns.of(turn), self._lock)
        part = Part(self, recorder, self._pool.submit(self._done, task, recorder, turn))
        self._parts.append(part)
        return part

    def _done(self, task: Callable[[PartRecorder], _T], recorder: PartRecorder, turn: int) -> _T:
        torch.set_num_threads(self._each)
        try:
            return task(recorder)
        except Interrupted:
            raise
        except BaseException as error:
            self._failures.append(error)
            for part in self._parts:
                part.recorder.give_up()
            raise
        finally:
            self._turns.over(turn)

    def failure(self) -> BaseException:
        """Why a part was interrupted: the error of another part, or that the run was asked to stop."""
        return self._failures[0] if self._failures else Interrupted()


class Part(Generic[_T]):
    """A part of a run that is being computed.

    Parameters
    ----------
    beside : Beside
        The group of parts that it belongs to.
    recorder : PartRecorder
        The recorder of the part.
    future : Future[_T]
        The result of the part.
    """

    def __init__(self, beside: Beside, recorder: PartRecorder, future: Future[_T]) -> None:
        self._beside, self.recorder, self._future = beside, recorder, future

    def stop(self) -> None:
        """Ask it to stop after its next step."""
        self.recorder.stop_requested = True

    def result(self) -> _T:
        """Wait for the part, add what it recorded to the run, and return its result.

        Raises
        ------
        Interrupted
            The run was asked to stop.
        """
        result = self.alone()
        take_over(self.whole, self.recorder)
        return result

    def hand_over(self, *names: str) -> None:
        """Store with the run what the part stored under these names."""
        for name in names:
            self.whole.keep(name, *self.recorder.kept(name))

    def alone(self) -> _T:
        """Wait for the part and return its result; what it recorded is not added to the run.

        Raises
        ------
        Interrupted
            The run was asked to stop.
        """
        try:
            return self._future.result()
        except Interrupted:
            raise self._beside.failure() from None

    @property
    def whole(self) -> Recorder:
        """The recorder of the run."""
        return self._beside.recorder


class _Turns:
    """Shows the events of several parts one part after the other, as if they were computed in turn."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._lock = progress, threading.Lock()
        self._waiting: dict[int, list[Callable[[Progress], None]]] = {}
        self._over: set[int] = set()
        self._shown = 0

    def of(self, turn: int) -> Progress:
        self._waiting.setdefault(turn, [])
        return _Turn(self, turn)

    def tell(self, turn: int, event: Callable[[Progress], None]) -> None:
        with self._lock:
            if turn == self._shown:
                event(self._progress)
            else:
                self._waiting[turn].append(event)

    def over(self, turn: int) -> None:
        """Part `turn` has no more events: show those of the next one."""
        with self._lock:
            self._over.add(turn)
            while self._shown in self._over:
                self._shown += 1
                for event in self._waiting.pop(self._shown, ()):
                    event(self._progress)
                self._waiting[self._shown] = []


class _Turn(Progress):
    """The events of one part."""

    def __init__(self, turns: _Turns, turn: int) -> None:
        self._turns, self._turn = turns, turn

    def begin(self, stage: str, start: int, total: int) -> None:
        self._turns.tell(self._turn, lambda to: to.begin(stage, start, total))

    def step(self, done: int, losses: Mapping[str, float]) -> None:
        self._turns.tell(self._turn, lambda to: to.step(done, losses))

    def scored(self, done: int, scores: Mapping[str, float]) -> None:
        self._turns.tell(self._turn, lambda to: to.scored(done, scores))

    def end(self) -> None:
        self._turns.tell(self._turn, lambda to: to.end())

    def message(self, text: str) -> None:
        self._turns.tell(self._turn, lambda to: to.message(text))
