"""Protocols: which data a choice may use, and the one place where choices are made.

- ``last``: training takes its whole length, and nothing is chosen by scores.
- ``validated``: every choice is made on a problem that is cut from the training part, in which some seen classes
  are held out as unseen. Then one model is trained on all training data and scored once on the test set.
- ``oracle``: the best scores that choosing on the test set would give. They are an upper bound and are
  reported beside the scores of one of the other two protocols, never instead of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from gsmflow.compute.data_parallel import size
from gsmflow.compute.devices import blas_threads, cores
from gsmflow.data.lending import check_lendable, lend
from gsmflow.data.problem import Problem
from gsmflow.data.transform import FeatureTransform
from gsmflow.data.validation import FEWEST_SEEN
from gsmflow.data.warnings import of_rival
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.beside import Beside, goes_on_beside, lanes_for, threads_each
from gsmflow.protocol.choice import Choice, Outcome, last_step
from gsmflow.protocol.choosing import choose, stage_of
from gsmflow.protocol.composing import Composite
from gsmflow.protocol.composite_run import refit_composite, run_composite
from gsmflow.protocol.generation_shifts import compare, unjudged
from gsmflow.protocol.head_start import HeadStart
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.rivals import Rivals
from gsmflow.protocol.trial import Trial
from gsmflow.recipes.recipe import Recipe
from gsmflow.scores.gzsl import Scores

PROTOCOLS = ("validated", "last", "oracle")


def run(
    problem: Problem,
    recipe: Recipe,
    *,
    protocol: str,
    oracle: bool,
    seed: int,
    device: torch.device,
    recorder: Recorder,
    lanes: int = 1,
) -> Outcome:
    """Carry out a recipe on a problem under a protocol.

    Parameters
    ----------
    problem : Problem
        The data.
    recipe : Recipe
        Method and options.
    protocol : str
        ``validated`` or ``last``.
    oracle : bool
        Add the oracle's scores.
    seed : int
        Names all random draws.
    device : torch.device
        Where the run computes.
    recorder : Recorder
        Keeps the history and the checkpoint, from which an interrupted run continues.
    lanes : int
        Trainings that go on at a time, each with one thread, if their steps are too short to divide among threads. The
        numbers are those of one after the other.

    Raises
    ------
    InputError
        The problem lacks what the setting of the recipe uses, or has too few classes to choose by.
    """
    check_lendable(problem, recipe.setting)
    problem, lanes = lend(problem, recipe.setting, seed), lanes if size() == 1 else 1
    with blas_threads(torch.get_num_threads()):
        if recipe.members:
            composite = Composite(problem, recipe, seed, device, recorder, lanes)
            return run_composite(composite, protocol=protocol, oracle=oracle)
        return _run(problem, recipe, protocol, oracle, seed, device, recorder, lanes)


def _run(
    problem: Problem,
    recipe: Recipe,
    protocol: str,
    oracle: bool,
    seed: int,
    device: torch.device,
    recorder: Recorder,
    lanes: int,
) -> Outcome:
    """Carry out the recipe of a single method."""
    choice = trial = None
    # If nothing is learnt, validation only fits a temperature, so it is not required.
    if protocol == "validated" and not (recipe.method.untrained and len(problem.seen) < FEWEST_SEEN):
        if "choice" not in recorder.records:
            rivals = Rivals.of(recipe, seed)
            choice, trial = _choose(problem, recipe, seed, device, recorder, rivals, lanes, ahead=not oracle)
            recorder.records["choice"] = asdict(choice)
            recorder.records["far above"] = rivals.far_above(choice.H)
            for better in recorder.records["far above"]:
                recorder.progress.message(f"warning: {of_rival(recipe.method.name, better).text}")
        choice = Choice(**recorder.records["choice"])
    trial = trial or Trial(Prepared.of(problem, recipe.features, device), recipe, seed, recorder)
    outcome = (_fit_direct if trial.direct else _fit_trained)(trial, choice, oracle)
    return replace(outcome, better=recorder.records.get("far above", []))


def _choose(
    problem: Problem,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    recorder: Recorder,
    rivals: Rivals,
    lanes: int,
    *,
    ahead: bool,
) -> tuple[Choice, Trial | None]:
    """The choice, and the trial of the last stage where that was begun `ahead` of it."""
    problems = recipe.selection.problems
    stages = [stage_of(draw) for draw in range(problems)]
    direct = recipe.method.direct is not None
    short = recipe.has_short_steps(recipe.features.out_dim(problem))
    if direct:
        lanes, ahead = lanes_for(lanes, problems, problem, device), False
    elif device.type != "cpu" or not short or problems + ahead == 1:
        lanes = 1
    if not goes_on_beside(recorder, lanes, stages):
        return choose(problem, recipe, seed, device, recorder, rivals=rivals), None
    each = threads_each(lanes) if direct else 1
    with blas_threads(each), Beside(recorder, lanes, each) as beside:
        start = None
        if ahead and lanes > 1:
            start = HeadStart.begin(problem, recipe, seed, device, beside, turn=problems)
        choice = choose(problem, recipe, seed, device, recorder, rivals=rivals, beside=beside)
        return choice, start.until(choice) if start else None


def refit(
    problem: Problem,
    recipe: Recipe,
    choice: Choice | None,
    weights: Mapping[str, Tensor],
    transform: FeatureTransform,
    *,
    seed: int,
    device: torch.device,
    members: Sequence[Mapping[str, Any]] = (),
) -> FittedClassifier:
    """Fit the classifier of a finished run again, for a problem that may have other unseen classes.

    Only the head is trained. The generator, the noise, the length of the head's training and the rates that
    determine the bias are taken from the run. For the problem of the run the result is the same classifier. With
    more unseen classes, the synthetic features of the old classes stay the same.

    Parameters
    ----------
    problem : Problem
        The data with raw features, and with the same seen classes as in the run.
    recipe : Recipe
        Method and options of the run.
    choice : Choice | None
        The choice of the run's protocol; None under ``last``.
    weights : Mapping[str, Tensor]
        The generator's weights, as in ``model.safetensors``; empty for a direct method.
    transform : FeatureTransform
        The feature transformation that the generator was trained with.
    seed : int
        The seed of the run.
    device : torch.device
        Where tensors live.
    members : Sequence[Mapping[str, Any]]
        The members of a composite method, as ``metrics.json`` records them; empty for other methods.

    Raises
    ------
    ValueError
        The weights are not of this method with these options on such data.
    """
    if recipe.members:
        composite = Composite(problem, recipe, seed, device, Recorder(), cores())
        return refit_composite(composite, choice, members, weights)
    prepared = Prepared.by(transform, problem, device)
    trial = Trial(prepared, recipe, seed, Recorder())
    trial.restore(weights)
    return trial.classifier(choice)


def _fit_direct(trial: Trial, choice: Choice | None, oracle: bool) -> Outcome:
    """Score the chosen head of a direct method once."""
    classifier = trial.classifier(choice)
    scores = trial.prepared.scores(classifier)
    best = None
    if oracle:
        with trial.recorder.timing("selection"):
            best = _best(trial.score_all())
    confidence = trial.prepared.confidence(classifier)
    return Outcome(choice, scores, best, classifier, {}, 0, confidence=confidence)


def _fit_trained(trial: Trial, choice: Choice | None, oracle: bool) -> Outcome:
    """Train as long as was chosen, fit the head, and score once; then train on if the oracle is wanted."""
    learner, recorder = trial.learner, trial.recorder
    end = last_step(choice, learner)
    watched: set[int] = set()
    if oracle:
        watched = {trial.step_at(f) for f in trial.recipe.selection.fractions(learner.total_steps)}
    seen_by_oracle = recorder.records.setdefault("oracle", [])
    for step in trial.train_to(sorted({end, *watched})):
        if step == end:
            _keep_result(trial, choice)
        if step in watched:
            seen_by_oracle += [asdict(scored) for scored in trial.score_all()]
    best = _best([Choice(**record) for record in seen_by_oracle]) if oracle else None
    return _kept_outcome(trial, choice, best, end)


def _keep_result(trial: Trial, choice: Choice | None) -> None:
    """Synthesize, train the heads, score the test set once, and store the results with the run."""
    recorder = trial.recorder
    classifier = trial.classifier(choice)
    scores = trial.prepared.scores(classifier)
    confidence = trial.prepared.confidence(classifier)
    tensors = {f"classifier.{name}": tensor for name, tensor in classifier.state().items()}
    tensors |= {f"weights.{name}": tensor for name, tensor in trial.learner.weights().items()}
    shifts = None
    if recorder.folder is not None:  # after scoring, for the record only
        with recorder.timing("shifts"):
            measured = compare(trial.prepared, trial.learner, trial.seed)
        if measured:
            shifts = measured[0].to_dict()
            samples = measured[1].tensors() | unjudged(trial.prepared, trial.learner, trial.seed)
            tensors |= {f"samples.{name}": tensor for name, tensor in samples.items()}
        if choice:
            shifts = recorder.records.get("held_out", {}).get(str(choice.epochs), shifts)
    meta = {"scores": asdict(scores), "shifts": shifts, "confidence": confidence}
    recorder.keep("result", tensors, meta)


def _kept_outcome(trial: Trial, choice: Choice | None, oracle: Choice | None, steps: int) -> Outcome:
    """The outcome from what `_keep_result` stored, in this attempt at the run or an earlier one."""
    tensors, meta = trial.recorder.kept("result")

    def part(name: str) -> dict[str, Tensor]:
        return {n.removeprefix(name): tensor for n, tensor in tensors.items() if n.startswith(name)}

    return Outcome(
        choice=choice,
        scores=Scores(**meta["scores"]),
        oracle=oracle,
        classifier=FittedClassifier.from_state(part("classifier."), trial.prepared.problem.classes, "result"),
        weights=part("weights."),
        steps=steps,
        shifts=meta["shifts"],
        confidence=meta["confidence"],
        samples=part("samples."),
    )


def _best(choices: list[Choice]) -> Choice:
    """The choice with the highest H; the earliest one if several are equal."""
    return max(choices, key=lambda choice: choice.H)
