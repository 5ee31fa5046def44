"""Signals that ask a run to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gsmflow.learning.journal import Recorder


@contextmanager
def stoppable() -> Iterator[Callable[[Recorder], None]]:
    """Turn the first Ctrl-C or SIGTERM into a request to write a checkpoint and stop.

    Gives a function that takes the recorder of the run. A second signal, or one before there is a recorder, ends the
    run at once.
    """
    recorders: list[Recorder] = []

    def stop(number: int, frame: Any) -> None:
        if not recorders or recorders[-1].stop_requested:
            raise KeyboardInterrupt
        recorders[-1].stop_requested = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield recorders.append
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
