"""The training loop, its learning rate, and the interface of its observers."""

from __future__ import annotations

import math
from typing import Protocol

from gsmflow.learning.learner import Learner, Losses


def step_decay(rate: float, gamma: float, epochs: int, samples: int, batch_size: int, step: int) -> float:
    """Learning rate at `step`: multiplied by gamma once every `epochs` epochs of ceil(N / B) steps."""
    return rate * gamma ** (step // math.ceil(samples / batch_size) // epochs)


class Watch(Protocol):
    """An observer of the training loop."""

    def stepped(self, done: int, losses: Losses, learner: Learner) -> None:
        """`done` steps are done; `losses` are those of the last one."""
        ...


def advance(learner: Learner, start: int, stop: int, watch: Watch) -> None:
    """Do the steps start, ..., stop - 1."""
    for index in range(start, stop):
        losses = learner.step(index)
        watch.stepped(index + 1, losses, learner)
