"""Protocols: what may be looked at when something is chosen, and the one place where it is chosen.

- ``last``: the whole budget, nothing is chosen by scores.
- ``validated``: every choice is made on a problem cut from the training part alone, some seen
  classes playing unseen; then one fit on all training data, scored once on the test set.
- ``oracle``: the best that could have been had by looking at the test set. It is an upper bound and
  reported beside the scores of one of the other two, never instead of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

import torch
from torch import Tensor

from gsmflow.data.problem import Problem
from gsmflow.data.transform import FeatureTransform
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.learning.head_data import Pool
from gsmflow.learning.journal import Recorder
from gsmflow.learning.learner import Learner
from gsmflow.learning.tensors import TrainingData
from gsmflow.protocol.choice import Choice, Outcome
from gsmflow.protocol.choosing import choose
from gsmflow.protocol.generation_shifts import compare
from gsmflow.protocol.trial import (
    _best,
    _carried_bias,
    _confidence,
    _direct_choices,
    _heads_after,
    _learner,
    _logits_of,
    _prepare,
    _score_heads,
    _step_at,
    _temperature,
    _train,
    evaluation_fractions,
)
from gsmflow.recipes.recipe import Recipe
from gsmflow.scores.gzsl import Scores, score

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
) -> Outcome:
    """Carry out a recipe on a problem under a protocol.

    Parameters
    ----------
    protocol : str
        ``validated`` or ``last``; `oracle` adds the oracle's scores. Recorder: keeps the history and the
        checkpoint, from which an interrupted run continues.
    """
    choice = None
    if protocol == "validated":
        if "choice" not in recorder.records:
            recorder.records["choice"] = asdict(choose(problem, recipe, seed, device, recorder))
        choice = Choice(**recorder.records["choice"])
    fit = _fit_generative if recipe.method.learner else _fit_direct
    return fit(problem, recipe, choice, oracle, seed, device, recorder)


def refit(
    problem: Problem,
    recipe: Recipe,
    choice: Choice | None,
    weights: Mapping[str, Tensor],
    transform: FeatureTransform,
    *,
    seed: int,
    device: torch.device,
) -> FittedClassifier:
    """The classifier of a finished run once more, for a problem whose unseen classes may be others.

    Nothing is trained but the head: the generator is the run's own, and so are its noise, the length of the
    head's training and the rates behind the bias. For the very problem of the run the result is the run's
    own classifier, for more unseen classes the synthetic features of the old ones are what they were.

    Parameters
    ----------
    problem : Problem
        With raw features, and the same seen classes as in the run.
    choice : Choice | None
        What the run's protocol chose, None under ``last``.
    weights : Mapping[str, Tensor]
        Of the generator, as in ``model.safetensors``; empty for a direct method.
    transform : FeatureTransform
        Of the features, as the generator was trained on them.

    Raises
    ------
    ValueError
        The weights are not of this method with these options on such data.
    """
    prepared = replace(problem, features=transform(problem.features), image_shape=None)
    data = TrainingData.of(prepared, device)
    if recipe.method.direct:
        tried = recipe.method.direct(data, recipe.options)
        head = next(h for parameters, h in tried if not choice or parameters == choice.parameters)
        alone, bias = None, _carried_bias(head, Pool.of_real(data), data, choice)
    else:
        build = recipe.method.rebuild or recipe.method.learner
        assert build is not None
        learner = build(data, recipe.options, seed)
        learner.load_weights(weights)
        head, alone, bias = _heads_after(data, learner, recipe, choice, seed, Recorder())
    temperature = _temperature(choice)
    return FittedClassifier(transform, head, problem.classes, problem.unseen, bias, alone, temperature)


def _fit_direct(
    problem: Problem,
    recipe: Recipe,
    choice: Choice | None,
    oracle: bool,
    seed: int,
    device: torch.device,
    recorder: Recorder,
) -> Outcome:
    prepared, transform = _prepare(problem, recipe)
    data = TrainingData.of(prepared, device)
    assert recipe.method.direct is not None
    with recorder.timing("fit"):
        tried = recipe.method.direct(data, recipe.options)
        head = next(h for parameters, h in tried if not choice or parameters == choice.parameters)
    bias = _carried_bias(head, Pool.of_real(data), data, choice)
    scores = score(prepared, _logits_of(head), bias=bias)
    best = None
    if oracle:
        with recorder.timing("selection"):
            best = max(_direct_choices(prepared, data, recipe), key=lambda c: c.H)
    classifier = FittedClassifier(
        transform, head, problem.classes, problem.unseen, bias, temperature=_temperature(choice)
    )
    confidence = _confidence(prepared, head, bias, choice)
    return Outcome(choice, scores, best, classifier, {}, 0, confidence=confidence)


def _fit_generative(
    problem: Problem,
    recipe: Recipe,
    choice: Choice | None,
    oracle: bool,
    seed: int,
    device: torch.device,
    recorder: Recorder,
) -> Outcome:
    prepared, transform = _prepare(problem, recipe)
    data = TrainingData.of(prepared, device)
    learner = _learner(recipe, data, seed)
    end = learner.total_steps
    if choice:
        end = min(end, max(1, round(choice.epochs * learner.steps_per_epoch)))
    fractions = evaluation_fractions(learner.total_steps, recipe.selection) if oracle else []
    watched = {_step_at(fraction, learner) for fraction in fractions}
    found = recorder.records.setdefault("oracle", [])
    for step in _train(learner, "final", sorted({end, *watched}), recorder):
        if step == end:
            _keep_result(prepared, transform, data, learner, recipe, choice, seed, recorder)
        if step in watched:
            heads = _score_heads(prepared, data, learner, recipe, seed, step, recorder)
            found += [asdict(choice) for choice in heads]
    tensors, kept = recorder.kept("result")
    classifier = FittedClassifier.from_state(
        {n.removeprefix("classifier."): t for n, t in tensors.items() if n.startswith("classifier.")},
        problem.classes,
        "result",
    )
    weights = {n.removeprefix("weights."): t for n, t in tensors.items() if n.startswith("weights.")}
    samples = {n.removeprefix("samples."): t for n, t in tensors.items() if n.startswith("samples.")}
    scores, best = Scores(**kept["scores"]), _best(found) if oracle else None
    return Outcome(
        choice, scores, best, classifier, weights, end, kept["shifts"], kept["confidence"], samples
    )


def _keep_result(
    prepared: Problem,
    transform: FeatureTransform,
    data: TrainingData,
    learner: Learner,
    recipe: Recipe,
    choice: Choice | None,
    seed: int,
    recorder: Recorder,
) -> None:
    """Synthesize, train the heads, score the test set once, and keep all of it with the run."""
    head, unseen_head, bias = _heads_after(data, learner, recipe, choice, seed, recorder)
    scores = score(
        prepared,
        _logits_of(head),
        unseen_logits=_logits_of(unseen_head) if unseen_head else None,
        bias=bias,
    )
    confidence = _confidence(prepared, head, bias, choice)
    classifier = FittedClassifier(
        transform, head, prepared.classes, prepared.unseen, bias, unseen_head, _temperature(choice)
    )
    tensors = {f"classifier.{name}": tensor for name, tensor in classifier.state().items()}
    tensors |= {f"weights.{name}": tensor for name, tensor in learner.weights().items()}
    shifts = None
    if recorder.folder is not None:  # after scoring, and only for the record
        with recorder.timing("shifts"):
            measured = compare(prepared, data, learner, seed)
        if measured:
            shifts = measured[0].to_dict()
            tensors |= {f"samples.{name}": tensor for name, tensor in measured[1].tensors().items()}
        if choice:
            shifts = recorder.records.get("held_out", {}).get(str(choice.epochs), shifts)
    kept = {"scores": asdict(scores), "shifts": shifts, "confidence": confidence}
    recorder.keep("result", tensors, kept)
