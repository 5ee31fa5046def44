"""Composite methods: members are judged on validation problems, stacked, and fitted on all training data.

The bias on unseen classes follows from a rate of held-out samples; see
[`gsmflow.protocol.unseen_bias`][gsmflow.protocol.unseen_bias].
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.data.semantic_scaling import is_binary
from gsmflow.data.transform import FeatureTransform
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.heads.stack import StackHead, StackMember
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.beside import Beside, at_once, goes_on_beside, lanes_for
from gsmflow.protocol.choice import Choice, last_step, without_bias
from gsmflow.protocol.members import INF, Judge, JudgedMember, LeftOut
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.stacking import Stack, choose_stack, temperature_of
from gsmflow.protocol.trial import Trial
from gsmflow.protocol.unseen_bias import bias_at_rate, rate_among
from gsmflow.recipes.recipe import Recipe

_T = TypeVar("_T")


@dataclass(frozen=True)
class Composite:
    """A composite method on one problem.

    Parameters
    ----------
    problem : Problem
        The data with raw features.
    recipe : Recipe
        The recipe of a method with members.
    seed : int
        Names all random draws.
    device : torch.device
        Where to compute.
    recorder : Recorder
        Keeps the run.
    lanes : int
        Most trainings at a time, if their steps are short.
    """

    problem: Problem
    recipe: Recipe
    seed: int
    device: torch.device
    recorder: Recorder
    lanes: int = 1

    @property
    def suited(self) -> dict[str, Recipe]:
        """The recipes of the members that suit the data, by label."""
        suited = {}
        for member in self.recipe.method.members:
            if member.binary_at_most is not None and not is_binary(
                self.problem.semantics, member.binary_at_most
            ):
                continue
            # For example an image-text model is refused if the features are of another model.
            with suppress(InputError):
                self.recipe.members[member.label].method.check(self.problem)
                suited[member.label] = self.recipe.members[member.label]
        return suited

    @property
    def _ranking(self) -> set[str]:
        """Labels of the members that rank classes."""
        return {member.label for member in self.recipe.method.members if member.ranks}

    def judged(self) -> tuple[Judge, list[JudgedMember]]:
        """All suited members on the validation problems, except those that the rules of the method leave out."""
        selection, options = self.recipe.selection, self.recipe.options
        budget, draws = getattr(options, "budget", 0.0), getattr(options, "draws", selection.problems)
        judge = Judge(
            self.problem,
            selection.problems,
            max(draws, selection.problems),
            self.seed,
            self.device,
            self.recorder,
            time.monotonic() + budget - self.recorder.seconds if budget else INF,
            getattr(options, "behind", 1.0),
            self.lanes,
        )
        judged: list[JudgedMember] = []
        direct = {label: recipe for label, recipe in self.suited.items() if recipe.method.direct}
        for label, result in judge.closed_forms(direct):
            self._tell(label, result)
            judged += [result] if isinstance(result, JudgedMember) else []
        for label, recipe in self.suited.items():
            if label not in direct:
                result = judge.tried(label, recipe, rivals=judged)
                self._tell(label, result)
                judged += [result] if isinstance(result, JudgedMember) else []
        return judge, judged

    def _tell(self, label: str, result: JudgedMember | LeftOut) -> None:
        ranks = label in self._ranking
        told = f"left out, {result}" if isinstance(result, LeftOut) else _told(result, ranks=ranks)
        self.recorder.progress.message(f"  {label}: {told}")

    def choose(self) -> tuple[Choice, list[dict[str, Any]]]:
        """Judge all members and choose a stack. Returns the choice and a record of each member for ``metrics.json``.

        The choice has the weights as parameters and the rate as `real_rate`.

        Raises
        ------
        InputError
            Validation is not trusted, or there are too few classes for a validation problem.
        """
        if not self.recipe.selection.trust_validation:
            raise InputError(
                f"method '{self.recipe.method.name}' chooses by validation problems with classes playing unseen; leave "
                "selection.trust_validation on, or choose another method"
            )
        judge, judged = self.judged()
        logits = {member.label: member.logits for member in judged}
        most = len(logits) if getattr(self.recipe.options, "stack", True) else 1
        with self.recorder.timing("stacking"):
            stack = choose_stack(judge.validations, logits, most=most)
            temperature = temperature_of(judge.validations, logits, stack)
        said = ", ".join(f"{weight:.2g} x {label}" for label, weight in stack.weights.items())
        self.recorder.progress.message(f"  chosen: {said}; validation H {100 * stack.H:.1f}")
        choice = Choice(
            real_rate=stack.rate,
            unseen=len(self.problem.unseen),
            temperature=temperature,
            parameters=dict(stack.weights),
            U=stack.U,
            S=stack.S,
            H=stack.H,
        )
        return choice, [
            _record(member, self.recipe.members[member.label], stack, ranks=member.label in self._ranking)
            for member in judged
        ]

    def trials(self, choices: Mapping[str, Choice | None]) -> dict[str, Trial]:
        """Members trained on all training data, by label; several at a time where their steps are short."""
        short = [label for label in choices if self._has_short_steps(label)]
        trained: dict[str, Trial] = {}
        if len(short) > 1 and goes_on_beside(self.recorder, self.lanes, [_last(label) for label in short]):
            with Beside(self.recorder, self.lanes) as beside:
                parts = {
                    label: beside.begin(
                        _last(label), partial(self._trained, label, choices[label]), turn=turn
                    )
                    for turn, label in enumerate(short)
                }
                for label, part in parts.items():
                    trained[label] = part.result()
                    part.hand_over(_weights(label))
                    trained[label].recorder = self.recorder
        return {
            label: trained.get(label) or self._trained(label, choice, self.recorder)
            for label, choice in choices.items()
        }

    def restored(self, label: str, weights: Mapping[str, Tensor]) -> Trial:
        """A member with these weights.

        Raises
        ------
        ValueError
            The weights do not belong to this member on such data.
        """
        trial = self._trial(label, self.recorder)
        trial.restore(weights)
        return trial

    def _trial(self, label: str, recorder: Recorder) -> Trial:
        recipe = self.recipe.members[label]
        prepared = Prepared.of(self.problem, recipe.features, self.device)
        return Trial(prepared, recipe, self.seed, recorder, _last(label))

    def _trained(self, label: str, choice: Choice | None, recorder: Recorder) -> Trial:
        trial = self._trial(label, recorder)
        if trial.direct:
            return trial
        for _ in trial.train_to([last_step(choice, trial.learner)]):
            recorder.keep(_weights(label), trial.learner.weights(), None)
        trial.restore(recorder.kept(_weights(label))[0])
        return trial

    def _has_short_steps(self, label: str) -> bool:
        recipe = self.recipe.members[label]
        return self.device.type == "cpu" and recipe.has_short_steps(recipe.features.out_dim(self.problem))

    def classifier(
        self, trials: Mapping[str, Trial], members: Mapping[str, Choice | None], choice: Choice
    ) -> FittedClassifier:
        """The stack of the members that have a weight.

        Parameters
        ----------
        trials : Mapping[str, Trial]
            The trained trial of each member, by its label.
        members : Mapping[str, Choice | None]
            The choice for each member; None stands for its first parameters and its whole training.
        choice : Choice
            Weights and rate.
        """
        weights = choice.parameters
        tasks = {
            label: partial(trials[label].classifier, without_bias(members[label]), unseen_alone=False)
            for label in weights
        }
        parts = []
        for label, fitted in self._at_once(tasks).items():
            trial, weight = trials[label], weights[label]
            factor = weight / trial.prepared.spread(fitted.head)
            parts.append(StackMember(label, factor, trial.prepared.transform, fitted.head))
        return FittedClassifier(
            _identity(self.problem),
            StackHead(tuple(parts)),
            self.problem.classes,
            self.problem.unseen,
            self._bias(trials, members, choice),
            temperature=choice.temperature,
        )

    def _at_once(self, tasks: Mapping[str, Callable[[], _T]]) -> dict[str, _T]:
        return at_once(tasks, lanes_for(self.lanes, len(tasks), self.problem, self.device))

    def _bias(
        self, trials: Mapping[str, Trial], members: Mapping[str, Choice | None], choice: Choice
    ) -> float:
        """The bias with which the classifier calls the chosen rate of held-out samples of seen classes unseen."""
        if choice.real_rate is None or not len(self.problem.unseen):
            return 0.0
        weights = choice.parameters
        logits = self._at_once(
            {label: partial(trials[label].held_out_logits, members[label], self.problem) for label in weights}
        )
        total = sum(np.float32(weight) * logits[label] for label, weight in weights.items())
        unseen = self.problem.unseen
        rate = rate_among(choice.real_rate, len(unseen), of=choice.unseen or 0)
        return bias_at_rate(np.asarray(total), unseen, rate)


def _last(label: str) -> str:
    """The name of the last stage of a member."""
    return f"{label}, final"


def _weights(label: str) -> str:
    """The name under which the weights of a member are stored."""
    return f"weights {label}"


def _identity(problem: Problem) -> FeatureTransform:
    """The transformation that only subtracts the offset: members of a stack transform features themselves."""
    dim = problem.feature_dim
    return FeatureTransform(np.zeros(dim, np.float32), np.ones(dim, np.float32), offset=problem.offset)


def _told(member: JudgedMember, *, ranks: bool) -> str:
    """A judged member in a few words."""
    reached = f"validation H {100 * member.choice.H:.1f}" if ranks else "tells unseen classes from seen ones"
    return f"{reached}, {member.seconds:.0f} seconds"


def _record(member: JudgedMember, recipe: Recipe, stack: Stack, *, ranks: bool) -> dict[str, Any]:
    """A member as plain values."""
    return {
        "label": member.label,
        "method": recipe.method.name,
        "weight": stack.weights.get(member.label, 0.0),
        "H": member.choice.H,
        "ranks": ranks,
        "seconds": round(member.seconds, 3),
        "choice": asdict(member.choice),
    }
