"""The heads along the training of a member on one validation problem: their scores, and their logits.

Logits are stored with the run until it is known which head is the best on all problems.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow.protocol.choice import Candidate, Choice
from gsmflow.protocol.choosing import Schedule
from gsmflow.protocol.probe import Probe
from gsmflow.protocol.stacking import Validation, best_rate
from gsmflow.protocol.trial import Trial

Curve = NDArray[np.float64]
"""H at every rate, (R,)."""

_HEAD_LENGTHS = 4  # lengths of a head's training that are candidates, including the last one


@dataclass(frozen=True)
class Along:
    """All candidates along one training.

    Parameters
    ----------
    choices : list[Choice]
        What each of them is.
    curves : list[Curve]
        H of each of them at every rate.
    places : list[tuple[str, str]]
        Where their logits are: the name of what the recorder stores, and the name of a tensor in it.
    """

    choices: list[Choice]
    curves: list[Curve]
    places: list[tuple[str, str]]

    @property
    def names(self) -> list[str]:
        """The names of all that is stored, each once."""
        return list(dict.fromkeys(name for name, _ in self.places))


def train_along(trial: Trial, schedule: Schedule, validation: Validation) -> Along:
    """Train, and score and store the candidates at every step of the schedule; what is stored is used again."""
    recorder = trial.recorder
    steps = [trial.step_at(fraction) for fraction in schedule.fractions]
    for step in trial.train_to(sorted(set(steps))):
        _keep_candidates(trial, step, validation)
    along = Along([], [], [])
    for step, fraction in zip(steps, schedule.fractions, strict=True):
        name = _stop(trial, step)
        _, records = recorder.kept(name)
        for index, (choice, curve) in enumerate(records):
            along.choices.append(replace(Choice(**choice), epochs=fraction * schedule.epochs))
            along.curves.append(np.array(curve))
            along.places.append((name, str(index)))
    return along


def _keep_candidates(trial: Trial, step: int, validation: Validation) -> None:
    """Store choices, logits and curves of the heads at this step of a training."""
    recorder = trial.recorder
    with recorder.timing("selection"):
        candidates = _spaced(list(trial.candidates()))
        probe = Probe.of(trial.prepared)
        logits = [probe.logits(candidate.head) for candidate in candidates]
        curves = [validation.curve(part) for part in logits]
    recorder.keep(
        _stop(trial, step),
        {str(index): torch.from_numpy(part) for index, part in enumerate(logits)},
        [(asdict(c.choice), curve.harmonic.tolist()) for c, curve in zip(candidates, curves, strict=True)],
    )
    index, harmonic = best_rate([curves[-1].harmonic])
    scores = {"U": float(curves[-1].unseen[index]), "S": float(curves[-1].seen[index]), "H": harmonic}
    recorder.scored(step, scores)


def _stop(trial: Trial, step: int) -> str:
    """The name under which the candidates at a step of a training are stored."""
    return f"{trial.stage}, step {step}"


def _spaced(candidates: list[Candidate]) -> list[Candidate]:
    """Some of the heads along a head's training, evenly spaced, including the last one."""
    every = max(1, len(candidates) // _HEAD_LENGTHS)
    return candidates[::-1][::every][::-1]
