"""The events of a run. The base class ignores them; the command line shows them live."""

from __future__ import annotations

from collections.abc import Mapping


class Progress:
    """Receives the events of a run. Every method does nothing unless a subclass overrides it."""

    def begin(self, stage: str, start: int, total: int) -> None:
        """A stage (``validation``, ``final``, ...) begins at step `start` of `total`."""

    def step(self, done: int, losses: Mapping[str, float]) -> None:
        """`done` steps of the stage are done; called every few steps."""

    def scored(self, done: int, scores: Mapping[str, float]) -> None:
        """The generator was scored after `done` steps."""

    def end(self) -> None:
        """The stage is over."""

    def message(self, text: str) -> None:
        """Something a person should know."""
