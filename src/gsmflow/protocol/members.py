"""Members of a composite method on validation problems: the scores of each, and the logits of its best candidate.

Every candidate of a member (its parameters, or its length of training) is judged by H at each rate of
[`gsmflow.protocol.stacking`][gsmflow.protocol.stacking]. The logits of the best candidate on the test parts of the
validation problems are stored for the choice of a stack. They are stored with the run, so that an interrupted run
computes nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.compute.devices import one_thread
from gsmflow.data.problem import Problem
from gsmflow.data.validation import validation_problem
from gsmflow.heads.base import Head
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.choice import Candidate, Choice
from gsmflow.protocol.choosing import schedule_as_on
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.stacking import Validation, best_rate, mean_scores
from gsmflow.protocol.trial import Trial
from gsmflow.recipes.recipe import Recipe

Curve = NDArray[np.float64]
"""H at every rate, (R,)."""

_ENTRIES = 1 << 21  # most entries in the logits of one candidate on one problem
_AT_HAND = 1 << 25  # most numbers in the features of a validation problem that stays in memory
_HEAD_LENGTHS = 4  # lengths of a head's training that are candidates, including the last one
_TRIED_STEPS = 5  # training steps from which the time of a training is estimated
_SLOW = "it would not be done within the budget"
_FINAL_COST = 1.5  # time of the training on all data, relative to that on a validation problem


class LeftOut(Exception):
    """A member is not judged any further; the argument says why."""


@dataclass(frozen=True)
class JudgedMember:
    """A member on the validation problems.

    Parameters
    ----------
    label : str
        Its name in the composition.
    choice : Choice
        The best of its candidates, with its mean scores.
    logits : list[NDArray[np.float32]]
        (T, C) of that candidate on each validation problem, divided by their spread.
    seconds : float
        Spent on it.
    """

    label: str
    choice: Choice
    logits: list[NDArray[np.float32]]
    seconds: float


@dataclass(frozen=True)
class Judge:
    """Judges members on the same validation problems.

    Parameters
    ----------
    problem : Problem
        The data with raw features.
    problems : int
        Number of validation problems that every member is judged on.
    draws : int
        Number of validation problems that cheap members are judged on; the first `problems` of them are the same.
    seed : int
        Names all random draws.
    device : torch.device
        Where to compute.
    recorder : Recorder
        Stores what was judged.
    deadline : float
        Time on the clock of `time.monotonic`: a trained member that would not be done by then is left out.
    behind : float
        A trained member is left out if its H on the first problem is this much below that of another member. In
        [0, 1].
    """

    problem: Problem
    problems: int
    draws: int
    seed: int
    device: torch.device
    recorder: Recorder
    deadline: float = field(default=float("inf"))
    behind: float = 1.0

    @cached_property
    def validations(self) -> list[Validation]:
        """The test parts of the problems that every member is judged on, as far as their logits are stored."""
        return [self._validation(self._cut(draw)) for draw in range(self.problems)]

    def judge(
        self, label: str, recipe: Recipe, *, cheap: bool = False, rivals: Sequence[JudgedMember] = ()
    ) -> JudgedMember:
        """Score all candidates of a member and store the logits of the best one; stored results are used again.

        Raises
        ------
        LeftOut
            The member would not be done by the deadline; or it is a trained member and far behind one of the
            `rivals`, the members judged before it, on the first problem.
        """
        records, name = self.recorder.records.setdefault("members", {}), f"member {label}"
        if label in records:
            if "choice" not in records[label]:
                raise LeftOut(records[label]["why"])
            tensors, _ = self.recorder.kept(name)
            logits = [tensors[str(draw)].numpy() for draw in range(self.problems)]
            return JudgedMember(label, Choice(**records[label]["choice"]), logits, records[label]["seconds"])
        begun = time.monotonic()
        try:
            if recipe.method.direct:
                choice, logits = self._direct(label, recipe, self.draws if cheap else self.problems)
            else:
                with one_thread(recipe.has_short_steps(recipe.features.out_dim(self.problem))):
                    choice, logits = self._trained(label, recipe, rivals)
        except LeftOut as left_out:
            records[label] = {"seconds": time.monotonic() - begun, "why": str(left_out)}
            raise
        judged = JudgedMember(label, choice, logits, time.monotonic() - begun)
        self.recorder.keep(
            name, {str(draw): torch.from_numpy(part) for draw, part in enumerate(logits)}, None
        )
        records[label] = {"choice": asdict(choice), "seconds": judged.seconds}
        return judged

    def _direct(self, label: str, recipe: Recipe, draws: int) -> tuple[Choice, list[NDArray[np.float32]]]:
        """Judge every parameter on every problem; then the best one again, for its logits."""
        choices: list[Choice] = []
        tables: list[list[Curve]] = []
        at_hand: dict[int, Trial] = {}
        for draw in range(draws):
            trial = self._trial(label, recipe, draw)
            if draw < self.problems and trial.prepared.problem.features.size <= _AT_HAND:
                at_hand[draw] = trial
            validation, probe = self._validation(trial.prepared.problem), Probe.of(trial.prepared)
            with self.recorder.timing("selection"):
                candidates = [
                    (c.choice, validation.curve(probe.logits(c.head)).harmonic) for c in trial.candidates()
                ]
            choices = [choice for choice, _ in candidates]
            tables.append([curve for _, curve in candidates])
        choice, logits = _averaged(choices, _ranked(tables), recipe.selection.averaged), []
        for draw in range(self.problems):
            trial = at_hand.get(draw) or self._trial(label, recipe, draw)
            logits.append(Probe.of(trial.prepared).logits(trial.classifier(choice).head))
        return self._scored(choice, logits), logits

    def _trained(
        self, label: str, recipe: Recipe, rivals: Sequence[JudgedMember]
    ) -> tuple[Choice, list[NDArray[np.float32]]]:
        """Judge the heads along the training on every problem; logits are stored until the best head is known."""
        begun = time.monotonic()
        stops: list[tuple[str, float]] = []  # name of what is kept, epochs
        choices: list[Choice] = []
        tables: list[list[Curve]] = []
        places: list[list[tuple[str, str]]] = []
        for draw in range(self.problems):
            trial = self._trial(label, recipe, draw)
            if draw == 0 and time.monotonic() + self._estimate(recipe, trial) > self.deadline:
                raise LeftOut(_SLOW)
            schedule = schedule_as_on(self.problem, trial)
            steps = [trial.step_at(fraction) for fraction in schedule.fractions]
            for step in trial.train_to(sorted(set(steps))):
                self._keep_candidates(trial, step)
            lengths = [fraction * schedule.epochs for fraction in schedule.fractions]
            stops = [(_stop(trial, step), length) for step, length in zip(steps, lengths, strict=True)]
            choices, curves, where = [], [], []
            for name, length in stops:
                _, records = self.recorder.kept(name)
                for index, (choice, curve) in enumerate(records):
                    choices.append(replace(Choice(**choice), epochs=length))
                    curves.append(np.array(curve))
                    where.append((name, str(index)))
            tables.append(curves)
            places.append(where)
            if draw == 0 and self.problems > 1:
                self._refuse_behind(curves, rivals)
            spent = time.monotonic() - begun
            if (
                time.monotonic() + spent / (draw + 1) * (self.problems - draw - 1 + _FINAL_COST)
                > self.deadline
            ):
                raise LeftOut(_SLOW)
        best = _ranked(tables)[0]
        logits = [self.recorder.kept(of[best][0])[0][of[best][1]].numpy() for of in places]
        return self._scored(choices[best], logits), logits

    def _refuse_behind(self, curves: Sequence[Curve], rivals: Sequence[JudgedMember]) -> None:
        """Leave out a member that is far behind on the first problem."""
        known = [self.validations[0].curve(rival.logits[0]).harmonic for rival in rivals]
        first = max((best_rate([curve])[1] for curve in known), default=0.0)
        reached = max(best_rate([curve])[1] for curve in curves)
        if reached < first - self.behind:
            raise LeftOut(
                f"H {100 * reached:.1f} on the first validation problem, where another one has {100 * first:.1f}"
            )

    def _estimate(self, recipe: Recipe, trial: Trial) -> float:
        """Seconds that all trainings of a member take, estimated from a few steps of a training that is discarded."""
        if self.deadline == float("inf"):
            return 0.0
        if time.monotonic() > self.deadline:
            return float("inf")
        tried = Trial(trial.prepared, recipe, self.seed, Recorder()).learner
        begun = time.monotonic()
        for index in range(_TRIED_STEPS):
            tried.step(index)
        each = (time.monotonic() - begun) / _TRIED_STEPS
        return each * trial.learner.total_steps * (self.problems + _FINAL_COST)

    def _keep_candidates(self, trial: Trial, step: int) -> None:
        """Store choices, logits and curves of the heads at this step of a training."""
        validation = self._validation(trial.prepared.problem)
        with self.recorder.timing("selection"):
            candidates = _spaced(list(trial.candidates()))
            probe = Probe.of(trial.prepared)
            logits = [probe.logits(candidate.head) for candidate in candidates]
            curves = [validation.curve(part) for part in logits]
        self.recorder.keep(
            _stop(trial, step),
            {str(index): torch.from_numpy(part) for index, part in enumerate(logits)},
            [
                (asdict(c.choice), curve.harmonic.tolist())
                for c, curve in zip(candidates, curves, strict=True)
            ],
        )
        index, harmonic = best_rate([curves[-1].harmonic])
        scores = {"U": float(curves[-1].unseen[index]), "S": float(curves[-1].seen[index]), "H": harmonic}
        self.recorder.scored(step, scores)

    def _scored(self, choice: Choice, logits: Sequence[NDArray[np.float32]]) -> Choice:
        """The choice with the mean scores of these logits."""
        curves = [v.curve(part) for v, part in zip(self.validations, logits, strict=True)]
        _, scores = mean_scores(curves)
        return replace(choice, **scores)

    def _trial(self, label: str, recipe: Recipe, draw: int) -> Trial:
        prepared = Prepared.of(self._cut(draw), recipe.features, self.device)
        return Trial(prepared, recipe, self.seed, self.recorder, f"{label}, validation {draw + 1}")

    def _validation(self, cut: Problem) -> Validation:
        return Validation(cut.labels[_tested(cut)], cut.unseen, len(self.problem.unseen))

    def _cut(self, draw: int) -> Problem:
        return validation_problem(self.problem, self.seed, draw=draw)


@dataclass(frozen=True)
class Probe:
    """The features of a prepared problem that logits are compared on, the same tensors for every head.

    Parameters
    ----------
    prepared : Prepared
        The problem.
    tested : Tensor
        (T, D) features of test samples, those of seen classes first.
    """

    prepared: Prepared
    tested: Tensor

    @staticmethod
    def of(prepared: Prepared) -> Probe:
        """The probe of a prepared problem."""
        tested = torch.from_numpy(prepared.problem.features[_tested(prepared.problem)])
        return Probe(prepared, tested.to(prepared.device))

    def logits(self, head: Head) -> NDArray[np.float32]:
        """Logits (T, C) of the test samples, divided by their spread."""
        return (head.logits(self.tested) / self.prepared.spread(head)).cpu().numpy()


def _tested(problem: Problem) -> NDArray[np.int64]:
    """Indices of the test samples whose logits are stored, evenly spaced, those of seen classes first."""
    rows = np.concatenate((problem.test_seen, problem.test_unseen))
    return rows[:: -(-len(rows) * len(problem.classes) // _ENTRIES) or 1]


def _ranked(tables: Sequence[Sequence[Curve]]) -> list[int]:
    """Candidates sorted by H at one rate for all problems, the highest first; `tables` is by problem, candidate."""
    reached = [best_rate(of_candidate)[1] for of_candidate in zip(*tables, strict=True)]
    return np.argsort(-np.array(reached), kind="stable").tolist()


def _averaged(choices: Sequence[Choice], order: Sequence[int], count: int) -> Choice:
    """The best choice of a direct method, with the parameters of the next best ones, `count` in all."""
    best, *others = (choices[index] for index in order[:count])
    return replace(best, averaged=[other.parameters for other in others])


def _stop(trial: Trial, step: int) -> str:
    """The name under which the candidates at a step of a training are stored."""
    return f"{trial.stage}, step {step}"


def _spaced(candidates: list[Candidate]) -> list[Candidate]:
    """Some of the heads along a head's training, evenly spaced, including the last one."""
    every = max(1, len(candidates) // _HEAD_LENGTHS)
    return candidates[::-1][::every][::-1]
