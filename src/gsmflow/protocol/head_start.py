"""The training on all training data, started at the same time as those on the validation problems.

The validation problems only determine its length. So its state is stored at every step where it may end, and it
continues until its length is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from gsmflow.data.problem import Problem
from gsmflow.learning.journal import Interrupted
from gsmflow.learning.parts import PartRecorder, take_over_training
from gsmflow.protocol.beside import Beside, Part
from gsmflow.protocol.choice import Choice, last_step
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.trial import Trial
from gsmflow.recipes.recipe import Recipe

_STAGE = "final"
_ENDS = 8  # most states that are stored


@dataclass(frozen=True)
class HeadStart:
    """A training on all training data whose length is not known yet.

    Parameters
    ----------
    part : Part[Trial]
        The training as a part of the run.
    """

    part: Part[Trial]

    @staticmethod
    def begin(
        problem: Problem, recipe: Recipe, seed: int, device: torch.device, beside: Beside, *, turn: int
    ) -> HeadStart:
        """Begin the training as a part of the run, see [`begin`][gsmflow.protocol.beside.Beside.begin]."""

        def train(recorder: PartRecorder) -> Trial:
            trial = Trial(Prepared.of(problem, recipe.features, device), recipe, seed, recorder, _STAGE)
            fractions = recipe.selection.fractions(trial.learner.total_steps)
            ends = sorted({trial.step_at(fraction) for fraction in fractions})[:_ENDS]
            recorder.may_end = frozenset(ends)
            with suppress(Interrupted):  # as far as it came
                for step in trial.train_to(ends):
                    recorder.keep(_name(step), trial.learner.state(), None)
                    recorder.records.setdefault("kept", []).append(step)
            return trial

        return HeadStart(beside.begin(_STAGE, train, turn=turn))

    def until(self, choice: Choice) -> Trial:
        """The trial of the run's last stage, which continues from the furthest stored state of this training."""
        self.part.stop()
        trial, part, whole = self.part.alone(), self.part.recorder, self.part.whole
        end = last_step(choice, trial.learner)
        done, state = self._furthest(trial, end)
        take_over_training(whole, part, done, end)
        whole.start_at(_STAGE, done, state)
        trial.recorder = whole
        return trial

    def _furthest(self, trial: Trial, end: int) -> tuple[int, Mapping[str, Tensor]]:
        """The last step with a stored state that is not after `end`, and this state."""
        part = self.part.recorder
        stop = max((step for step in part.records.get("kept", ()) if step <= end), default=0)
        if stop <= part.done <= end:
            return part.done, trial.learner.state()
        if stop:
            return stop, part.kept(_name(stop))[0]
        return 0, Trial(trial.prepared, trial.recipe, trial.seed, part, _STAGE).learner.state()


def _name(step: int) -> str:
    return f"step {step}"
