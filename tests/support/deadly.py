"""Work that kills whoever does it, in a module that a cluster's workers can import."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadly:
    """Kills the process that works on a part."""

    def open(self) -> Callable[[int], int]:
        """Nothing to load."""
        return lambda part: os.kill(os.getpid(), signal.SIGKILL) or part
