"""Choosing on validation problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch

from gsmflow.compute.devices import one_thread
from gsmflow.data.lending import check_lendable, lend
from gsmflow.data.problem import Problem
from gsmflow.data.validation import held_out_problem, validation_problem
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.beside import Beside
from gsmflow.protocol.choice import Choice, nothing_synthesized
from gsmflow.protocol.generation_shifts import compare
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.rivals import Rivals
from gsmflow.protocol.trial import Trial
from gsmflow.protocol.unseen_bias import rate_among
from gsmflow.recipes.recipe import Recipe
from gsmflow.scores.gzsl import CURVE_SCORES


def choose(
    problem: Problem,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    recorder: Recorder,
    *,
    rivals: Rivals | None = None,
    beside: Beside | None = None,
) -> Choice:
    """The best choice on average over the validation problems; for a closed form, the mean of several choices.

    Parameters are ranked by [`ranked_choices`][gsmflow.protocol.choosing.ranked_choices], which also says what is
    raised. Rivals are judged on the same problems.
    """
    ranked = ranked_choices(problem, recipe, seed, device, recorder, rivals=rivals, beside=beside)
    if recipe.method.direct is None or recipe.selection.averaged == 1:
        return ranked[0]
    others = [choice.parameters for choice in ranked[1 : recipe.selection.averaged]]
    return _scored(problem, recipe, seed, device, replace(ranked[0], averaged=others))


def ranked_choices(
    problem: Problem,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    recorder: Recorder,
    *,
    rivals: Rivals | None = None,
    beside: Beside | None = None,
) -> list[Choice]:
    """All choices with their mean scores on the validation problems, the best first.

    If validation is not trusted (``selection.trust_validation``), no class is held out as unseen. A head is then
    trained on synthetic features of the seen classes alone, and its accuracy S on held-out real features judges
    the generator. With `beside`, several problems are worked on at a time.

    Raises
    ------
    InputError
        Too few classes for a validation problem; or validation is not trusted and the method synthesizes
        nothing.
    """
    scoring, draws = partial(_choices_on, problem, recipe, seed, device), range(recipe.selection.problems)
    if beside:
        apart = [rivals and rivals.apart() for _ in draws]
        parts = [
            beside.begin(stage_of(draw), partial(scoring, draw=draw, rivals=apart[draw]), turn=draw)
            for draw in draws
        ]
        tables = [part.result() for part in parts]
        if rivals:
            rivals.add(each for each in apart if each)
    else:  # with one thread where they might as well have been worked on beside each other: the same numbers
        with one_thread(recipe.has_short_steps(recipe.features.out_dim(problem))):
            tables = [scoring(recorder, draw=draw, rivals=rivals) for draw in draws]
    by = recipe.selection.score if recipe.selection.trust_validation else "S"
    means = map(_mean, zip(*tables, strict=True))
    return sorted(means, key=lambda choice: getattr(choice, by), reverse=True)


def _choices_on(
    problem: Problem,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    recorder: Recorder,
    *,
    draw: int,
    rivals: Rivals | None,
) -> list[Choice]:
    """All choices with their scores on one validation problem."""
    cut = validation_cut(problem, recipe, seed, draw)
    trial = Trial(Prepared.of(cut, recipe.features, device), recipe, seed, recorder, stage_of(draw))
    if not recipe.selection.trust_validation and not trial.synthesizes:
        raise nothing_synthesized(recipe)
    if rivals and rivals.method:
        with recorder.timing("comparison"):
            rivals.method.judge(trial.prepared)
    if trial.direct:
        return [_carried(choice, problem) for choice in trial.score_all()]
    # If the problem has no real features of unseen classes, the classes held out here are the best judge.
    judged = recorder.folder is not None and draw == 0 and not len(problem.test_unseen)
    scored = score_along(trial, schedule_as_on(problem, trial), judged=judged)
    if rivals and rivals.size and draw == 0:
        with recorder.timing("comparison"):
            rivals.size.judge(trial, scored)
    return scored


def _scored(problem: Problem, recipe: Recipe, seed: int, device: torch.device, choice: Choice) -> Choice:
    """The same choice of a direct method with its mean scores and rates on the validation problems."""
    scored = []
    for stage, cut in validation_problems(problem, recipe, seed):
        trial = Trial(Prepared.of(cut, recipe.features, device), recipe, seed, Recorder(), stage)
        scored.append(_carried(trial.score(trial.candidate(choice)), problem))
    return _mean(tuple(scored))


def validation_cut(problem: Problem, recipe: Recipe, seed: int, draw: int) -> Problem:
    """One of the problems that a choice is made on, cut from the training part.

    Of the classes held out as unseen, training may use the same as of unseen classes in the setting of the recipe.

    Raises
    ------
    InputError
        There are too few classes or samples for a validation problem, or it would lack what the setting uses.
    """
    cut = validation_problem if recipe.selection.trust_validation else held_out_problem
    smaller = cut(problem, seed, draw=draw)
    check_lendable(smaller, recipe.setting)
    return lend(smaller, recipe.setting, seed)


def validation_problems(problem: Problem, recipe: Recipe, seed: int) -> Iterator[tuple[str, Problem]]:
    """All problems that a choice is made on, each with the name of its stage.

    Raises
    ------
    InputError
        There are too few classes or samples for a validation problem, or it would lack what the setting uses.
    """
    for draw in range(recipe.selection.problems):
        yield stage_of(draw), validation_cut(problem, recipe, seed, draw)


def stage_of(draw: int) -> str:
    """The name of the training on a validation problem, the number of which counts from 0."""
    return "validation" if draw == 0 else f"validation {draw + 1}"


@dataclass(frozen=True)
class Schedule:
    """When a training on a part of the training data is scored, and how long the training on all data is.

    Parameters
    ----------
    fractions : list[float]
        Fractions of the training after which it is scored, ascending, in (0, 1].
    epochs : float
        Length of the whole training on all training data.
    """

    fractions: list[float]
    epochs: float


def schedule_as_on(problem: Problem, trial: Trial) -> Schedule:
    """The schedule for a trial on a part of `problem`: it is scored at the same fractions as a trial on all of it.

    Both trainings have the same number of epochs. If both are as short as the method allows, they have the same
    number of steps.
    """
    learner, options, samples = trial.learner, trial.recipe.options, len(problem.train)
    per_epoch = samples // min(getattr(options, "batch_size", 1), samples)
    epochs = learner.total_steps / learner.steps_per_epoch
    total = learner.total_steps * per_epoch // learner.steps_per_epoch
    if learner.total_steps == getattr(options, "least_steps", 0):
        total = max(per_epoch * getattr(options, "epochs", 0), learner.total_steps)
        epochs = total / per_epoch
    return Schedule(trial.recipe.selection.fractions(total), epochs)


def score_along(trial: Trial, schedule: Schedule, *, judged: bool = False) -> list[Choice]:
    """Train, and score every candidate after each of the fractions of the training.

    The recorder stores the scores under the stage of the trial, so that an interrupted run scores nothing twice.

    Parameters
    ----------
    trial : Trial
        A trial of a trained method.
    schedule : Schedule
        When to score.
    judged : bool
        Also measure the generation shifts at these points, for the record.
    """
    recorder = trial.recorder
    fractions, epochs = schedule.fractions, schedule.epochs
    steps = [trial.step_at(fraction) for fraction in fractions]
    scored = recorder.records.setdefault(trial.stage, {})
    trusted = trial.recipe.selection.trust_validation
    for step in trial.train_to(sorted(set(steps))):
        choices = trial.score_all() if trusted else trial.score_synthesis()
        scored[str(step)] = [asdict(choice) for choice in choices]  # as JSON would have it
        if judged:
            reached = (fraction for fraction, s in zip(fractions, steps, strict=True) if s == step)
            _measure_shifts(trial, [str(fraction * epochs) for fraction in reached])
    return [
        replace(Choice(**record), epochs=fraction * epochs)
        for fraction, step in zip(fractions, steps, strict=True)
        for record in scored[str(step)]
    ]


def _measure_shifts(trial: Trial, lengths: Sequence[str]) -> None:
    """Record the generation shifts on the validation problem for these numbers of epochs."""
    recorder = trial.recorder
    with recorder.timing("shifts"):
        measured = compare(trial.prepared, trial.learner, trial.seed, held_out=True)
    if measured:
        recorder.records.setdefault("held_out", {}).update(dict.fromkeys(lengths, measured[0].to_dict()))


def _carried(choice: Choice, problem: Problem) -> Choice:
    """A choice made on a part of `problem`, with the rate that corresponds to its own for the whole problem."""
    if choice.real_rate is None or choice.unseen is None:
        return choice
    count = len(problem.unseen) or choice.unseen
    return replace(choice, real_rate=rate_among(choice.real_rate, count, of=choice.unseen), unseen=count)


def _mean(choices: tuple[Choice, ...]) -> Choice:
    """The same choice on several problems as one, with the mean scores."""

    def mean(name: str) -> Any:
        values = [getattr(choice, name) for choice in choices]
        return None if None in values else sum(values) / len(values)

    averaged = ("bias", "real_rate", "synthetic_rate", "temperature", *CURVE_SCORES)
    return replace(choices[0], **{name: mean(name) for name in averaged})
