"""Composite methods: members are judged on validation problems, stacked, and fitted on all training data.

The bias on unseen classes follows from a rate of held-out samples; see
[`gsmflow.protocol.unseen_bias`][gsmflow.protocol.unseen_bias].
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

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
from gsmflow.protocol.choice import Choice, Outcome, last_step, without_bias
from gsmflow.protocol.generation_shifts import compare
from gsmflow.protocol.members import Judge, JudgedMember, LeftOut
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.stacking import Stack, choose_stack, temperature_of
from gsmflow.protocol.trial import Trial
from gsmflow.protocol.unseen_bias import bias_at_rate, rate_among
from gsmflow.recipes.recipe import Recipe
from gsmflow.scores.gzsl import best_bias, harmonic_mean


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
    """

    problem: Problem
    recipe: Recipe
    seed: int
    device: torch.device
    recorder: Recorder

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
            time.monotonic() + budget - self.recorder.seconds if budget else float("inf"),
            getattr(options, "behind", 1.0),
        )
        judged: list[JudgedMember] = []
        for label, recipe in self.suited.items():
            try:
                judged.append(judge.judge(label, recipe, cheap=recipe.method.cheap, rivals=judged))
            except LeftOut as why:
                self.recorder.progress.message(f"  {label}: left out, {why}")
                continue
            self.recorder.progress.message(f"  {label}: {_told(judged[-1], ranks=label in self._ranking)}")
        return judge, judged

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

    def trial(self, label: str, choice: Choice | None, weights: Mapping[str, Tensor] | None = None) -> Trial:
        """A member trained on all training data, or with these weights."""
        recipe = self.recipe.members[label]
        trial = Trial(
            Prepared.of(self.problem, recipe.features, self.device),
            recipe,
            self.seed,
            self.recorder,
            f"{label}, final",
        )
        if weights is not None:
            trial.restore(weights)
            return trial
        if trial.direct:
            return trial
        learner, name = trial.learner, f"weights {label}"
        end = last_step(choice, learner)
        for _ in trial.train_to([end]):
            self.recorder.keep(name, learner.weights(), None)
        trial.restore(self.recorder.kept(name)[0])
        return trial

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
        parts = []
        for label, weight in choice.parameters.items():
            trial = trials[label]
            fitted = trial.classifier(without_bias(members[label]), unseen_alone=False)
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

    def _bias(
        self, trials: Mapping[str, Trial], members: Mapping[str, Choice | None], choice: Choice
    ) -> float:
        """The bias with which the classifier calls the chosen rate of held-out samples of seen classes unseen."""
        if choice.real_rate is None or not len(self.problem.unseen):
            return 0.0
        total = sum(
            np.float32(weight) * trials[label].held_out_logits(members[label])
            for label, weight in choice.parameters.items()
        )
        unseen = self.problem.unseen
        rate = rate_among(choice.real_rate, len(unseen), of=choice.unseen or 0)
        return bias_at_rate(np.asarray(total), unseen, rate)


def run_composite(composite: Composite, *, protocol: str, oracle: bool) -> Outcome:
    """Carry out a composite method under a protocol; see [`run`][gsmflow.protocol.fitting.run].

    Under ``last`` nothing is chosen: all members have the weight 1, their first parameters and their whole training,
    and there is no bias. The oracle is the best bias on the test set, and beside it H of every member there.
    """
    recorder = composite.recorder
    members: list[dict[str, Any]] = []
    choice = None
    if protocol == "validated":
        if "choice" not in recorder.records:
            chosen, judged = composite.choose()
            recorder.records["judged"], recorder.records["choice"] = judged, asdict(chosen)
        choice, members = Choice(**recorder.records["choice"]), recorder.records["judged"]
    choices = member_choices(composite, members if choice else None)
    weights = choice.parameters if choice else dict.fromkeys(choices, 1.0)
    trials = {label: composite.trial(label, choices[label]) for label in (choices if oracle else weights)}
    with recorder.timing("head"):
        classifier = composite.classifier(trials, choices, choice or Choice(parameters=weights))
    whole = Prepared.by(classifier.transform, composite.problem, composite.device)
    best = None
    if oracle:
        best = _best_bias(whole, classifier)
        members = [
            member | {"oracle_H": _oracle_of(trials[member["label"]], choices[member["label"]])}
            for member in members
        ]
    trained = {label: trial for label, trial in trials.items() if label in weights and not trial.direct}
    shifts, samples = None, {}
    generators = [label for label, trial in trained.items() if trial.synthesizes]
    if recorder.folder is not None and generators:
        with recorder.timing("shifts"):
            first = trained[max(generators, key=weights.__getitem__)]
            measured = compare(first.prepared, first.learner, composite.seed)
        if measured:
            shifts, samples = measured[0].to_dict(), measured[1].tensors()
    return Outcome(
        choice=choice,
        scores=whole.scores(classifier),
        oracle=best,
        classifier=classifier,
        weights={
            f"{label}/{name}": tensor
            for label, trial in trained.items()
            for name, tensor in trial.learner.weights().items()
        },
        steps=sum(trial.learner.total_steps for trial in trained.values()),
        shifts=shifts,
        confidence=whole.confidence(classifier),
        samples=samples,
        members=members,
        left_out={
            label: record["why"]
            for label, record in recorder.records.get("members", {}).items()
            if "why" in record
        },
    )


def refit_composite(
    composite: Composite,
    choice: Choice | None,
    members: Sequence[Mapping[str, Any]],
    weights: Mapping[str, Tensor],
) -> FittedClassifier:
    """Fit the stack of a finished run again, for a problem that may have other unseen classes.

    Parameters
    ----------
    composite : Composite
        The composite method on the new problem.
    choice : Choice | None
        Weights and rate; None under ``last``.
    members : Sequence[Mapping[str, Any]]
        The members as ``metrics.json`` records them.
    weights : Mapping[str, Tensor]
        Weights of the trained members; each name begins with the member's label.

    Raises
    ------
    ValueError
        The weights do not belong to these members on such data.
    """
    choices = member_choices(composite, members if choice else None)
    used = choice.parameters if choice else dict.fromkeys(choices, 1.0)
    trials = {
        label: composite.trial(
            label,
            choices[label],
            {n.removeprefix(f"{label}/"): t for n, t in weights.items() if n.startswith(f"{label}/")},
        )
        for label in used
    }
    return composite.classifier(trials, choices, choice or Choice(parameters=used))


def member_choices(
    composite: Composite, members: Sequence[Mapping[str, Any]] | None
) -> dict[str, Choice | None]:
    """The choice for each member, by label; None for every member if nothing was chosen."""
    if members is None:
        return dict.fromkeys(composite.suited)
    return {member["label"]: Choice(**member["choice"]) for member in members}


def _best_bias(prepared: Prepared, classifier: FittedClassifier) -> Choice:
    """The best scores that any bias reaches on the test set."""
    curve = prepared.curve(classifier.head)
    bias = best_bias(curve)
    unseen, seen = curve.at(bias)
    return Choice(bias=bias, U=unseen, S=seen, H=harmonic_mean(unseen, seen), AUSUC=curve.area)


def _oracle_of(trial: Trial, choice: Choice | None) -> float:
    """H of a single member on the test set, with the bias that is best there."""
    return _best_bias(trial.prepared, trial.classifier(without_bias(choice), unseen_alone=False)).H


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
