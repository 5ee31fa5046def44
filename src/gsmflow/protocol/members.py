"""Members of a composite method on validation problems: the scores of each, and the logits of its best candidate.

Every candidate of a member (its parameters, or its length of training) is judged by H at each rate of
[`gsmflow.protocol.stacking`][gsmflow.protocol.stacking]. The logits of the best candidate on the test parts of the
validation problems are stored for the choice of a stack. They are stored with the run, so that an interrupted run
computes nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow.compute.devices import blas_threads, one_thread
from gsmflow.data.problem import Problem
from gsmflow.data.validation import validation_problem
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.along import Along, Curve, train_along
from gsmflow.protocol.beside import Beside, goes_on_beside, lanes_for, threads_each
from gsmflow.protocol.choice import Choice
from gsmflow.protocol.choosing import schedule_as_on
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.probe import Probe, tested_rows
from gsmflow.protocol.stacking import Validation, best_rate, mean_scores
from gsmflow.protocol.trial import Trial
from gsmflow.recipes.recipe import Recipe

_AT_HAND = 1 << 25  # most numbers in the features of a validation problem that stays in memory
_TRIED_STEPS = 5  # training steps from which the time of a training is estimated
_SLOW = "it would not be done within the budget"
_FINAL_COST = 1.5  # time of the training on all data, relative to that on a validation problem


INF = float("inf")


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
        Time on the clock of `time.monotonic`: a member that is not done by then is left out, a trained one as soon
        as that can be foreseen.
    behind : float
        A trained member is left out if its H on the first problem is this much below that of another member. In
        [0, 1].
    lanes : int
        Most trainings at a time, if their steps are short.
    """

    problem: Problem
    problems: int
    draws: int
    seed: int
    device: torch.device
    recorder: Recorder
    deadline: float = INF
    behind: float = 1.0
    lanes: int = 1

    @cached_property
    def validations(self) -> list[Validation]:
        """The test parts of the problems that every member is judged on, as far as their logits are stored."""
        return [self._validation(self._cut(draw)) for draw in range(self.problems)]

    def judge(self, label: str, recipe: Recipe, *, rivals: Sequence[JudgedMember] = ()) -> JudgedMember:
        """Score all candidates of a member and store the logits of the best one; stored results are used again.

        Raises
        ------
        LeftOut
            The member is or would not be done by the deadline; or it is a trained member and far behind one of the
            `rivals`, the members judged before it, on the first problem.
        """
        records, name = self.recorder.records.setdefault("members", {}), _name(label)
        if label in records:
            if "choice" not in records[label]:
                raise LeftOut(records[label]["why"])
            tensors, _ = self.recorder.kept(name)
            logits = [tensors[str(draw)].numpy() for draw in range(self.problems)]
            return JudgedMember(label, Choice(**records[label]["choice"]), logits, records[label]["seconds"])
        begun = time.monotonic()
        try:
            if recipe.method.direct:
                choice, logits = self._direct(
                    label, recipe, self.draws if recipe.method.cheap else self.problems
                )
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

    def closed_forms(self, recipes: Mapping[str, Recipe]) -> Iterator[tuple[str, JudgedMember | LeftOut]]:
        """Judge members that train nothing, in their order, but several at a time if there are lanes.

        Gives the label of each, and what it reached or why it was left out. The first one is judged whatever the
        deadline is.
        """
        unknown = [label for label in recipes if label not in self.recorder.records.get("members", {})]
        judges = {
            label: replace(self, deadline=self.deadline if index else INF)
            for index, label in enumerate(recipes)
        }
        lanes = lanes_for(self.lanes, len(unknown), self.problem, self.device)
        if lanes < 2:
            for label, recipe in recipes.items():
                yield label, judges[label].tried(label, recipe)
            return
        threads = threads_each(lanes)
        with blas_threads(threads), Beside(self.recorder, lanes, threads) as beside:
            parts = {
                label: beside.begin(
                    _name(label), partial(judges[label]._apart, label, recipes[label]), turn=turn
                )
                for turn, label in enumerate(unknown)
            }
            for label, recipe in recipes.items():
                if label not in parts:
                    yield label, self.tried(label, recipe)
                    continue
                judged = parts[label].result()
                if isinstance(judged, JudgedMember):
                    parts[label].hand_over(_name(label))
                yield label, judged

    def tried(
        self, label: str, recipe: Recipe, *, rivals: Sequence[JudgedMember] = ()
    ) -> JudgedMember | LeftOut:
        """The same as [`judge`][gsmflow.protocol.members.Judge.judge], with why a member was left out as a result."""
        try:
            return self.judge(label, recipe, rivals=rivals)
        except LeftOut as why:
            return why

    def _apart(self, label: str, recipe: Recipe, recorder: Recorder) -> JudgedMember | LeftOut:
        return replace(self, recorder=recorder).tried(label, recipe)

    def _direct(self, label: str, recipe: Recipe, draws: int) -> tuple[Choice, list[NDArray[np.float32]]]:
        """Judge every parameter on every problem; then the best one again, for its logits."""
        choices: list[Choice] = []
        tables: list[list[Curve]] = []
        at_hand: dict[int, Trial] = {}
        for draw in range(draws):
            if time.monotonic() > self.deadline:
                raise LeftOut(_SLOW)
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
        trial = self._trial(label, recipe, 0)
        if begun + self._estimate(recipe, trial) > self.deadline:
            raise LeftOut(_SLOW)
        along = [self._along(trial)]
        if self.problems > 1:
            self._refuse_behind(along[0].curves, rivals)
        lanes = self.lanes if self.device.type == "cpu" and trial.short_steps else 1
        others = range(1, self.problems)
        stages = [self._stage(label, draw) for draw in others]
        self._refuse_late(begun, 1, -(-len(others) // lanes))
        if others and goes_on_beside(self.recorder, lanes, stages):
            with Beside(self.recorder, lanes) as beside:
                parts = [
                    beside.begin(stage, partial(self._along_part, label, recipe, draw), turn=draw - 1)
                    for draw, stage in zip(others, stages, strict=True)
                ]
                for part in parts:
                    along.append(part.result())
                    part.hand_over(*along[-1].names)
            self._refuse_late(begun, self.problems, 0)
        else:
            for draw in others:
                along.append(self._along(self._trial(label, recipe, draw)))
                self._refuse_late(begun, draw + 1, self.problems - draw - 1)
        best = _ranked([each.curves for each in along])[0]
        logits = [
            self.recorder.kept(name)[0][index].numpy() for name, index in (a.places[best] for a in along)
        ]
        return self._scored(along[-1].choices[best], logits), logits

    def _along_part(self, label: str, recipe: Recipe, draw: int, recorder: Recorder) -> Along:
        return self._along(self._trial(label, recipe, draw, recorder))

    def _along(self, trial: Trial) -> Along:
        return train_along(
            trial, schedule_as_on(self.problem, trial), self._validation(trial.prepared.problem)
        )

    def _refuse_late(self, begun: float, done: int, left: int) -> None:
        """Leave out a member that would not be done by the deadline, with `left` more trainings and the last one."""
        each = (time.monotonic() - begun) / done
        if time.monotonic() + each * (left + _FINAL_COST) > self.deadline:
            raise LeftOut(_SLOW)

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
        if self.deadline == INF:
            return 0.0
        if time.monotonic() > self.deadline:
            return INF
        tried = Trial(trial.prepared, recipe, self.seed, Recorder()).learner
        begun = time.monotonic()
        for index in range(_TRIED_STEPS):
            tried.step(index)
        each = (time.monotonic() - begun) / _TRIED_STEPS
        return each * trial.learner.total_steps * (self.problems + _FINAL_COST)

    def _scored(self, choice: Choice, logits: Sequence[NDArray[np.float32]]) -> Choice:
        """The choice with the mean scores of these logits."""
        curves = [v.curve(part) for v, part in zip(self.validations, logits, strict=True)]
        _, scores = mean_scores(curves)
        return replace(choice, **scores)

    def _trial(self, label: str, recipe: Recipe, draw: int, recorder: Recorder | None = None) -> Trial:
        prepared = Prepared.of(self._cut(draw), recipe.features, self.device)
        return Trial(prepared, recipe, self.seed, recorder or self.recorder, self._stage(label, draw))

    @staticmethod
    def _stage(label: str, draw: int) -> str:
        return f"{label}, validation {draw + 1}"

    def _validation(self, cut: Problem) -> Validation:
        return Validation(cut.labels[tested_rows(cut)], cut.unseen, len(self.problem.unseen))

    def _cut(self, draw: int) -> Problem:
        return validation_problem(self.problem, self.seed, draw=draw)


def _name(label: str) -> str:
    """The name under which the logits of a member are stored."""
    return f"member {label}"


def _ranked(tables: Sequence[Sequence[Curve]]) -> list[int]:
    """Candidates sorted by H at one rate for all problems, the highest first; `tables` is by problem, candidate."""
    reached = [best_rate(of_candidate)[1] for of_candidate in zip(*tables, strict=True)]
    return np.argsort(-np.array(reached), kind="stable").tolist()


def _averaged(choices: Sequence[Choice], order: Sequence[int], count: int) -> Choice:
    """The best choice of a direct method, with the parameters of the next best ones, `count` in all."""
    best, *others = (choices[index] for index in order[:count])
    return replace(best, averaged=[other.parameters for other in others])
