"""Protocols: what may be looked at when something is chosen, and the one place where it is chosen.

- ``last``: the whole budget, nothing is chosen by scores.
- ``validated``: every choice is made on a problem cut from the training part alone, some seen
  classes playing unseen; then one fit on all training data, scored once on the test set.
- ``oracle``: the best that could have been had by looking at the test set. It is an upper bound and
  reported beside the scores of one of the other two, never instead of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.calibration import UnseenRates, bias_for, rates_of
from gsmflow.classifier import FittedClassifier
from gsmflow.evaluation import Scores, best_bias, curve_on, harmonic_mean, score
from gsmflow.head import HeadOptions, LinearHead, Pool, train_head
from gsmflow.problem import Problem
from gsmflow.recipe import Recipe, SelectionOptions
from gsmflow.recorder import Recorder
from gsmflow.training import Learner, TrainingData, advance
from gsmflow.transform import FeatureTransform

PROTOCOLS = ("validated", "last", "oracle")


@dataclass(frozen=True)
class Choice:
    """Everything a protocol may choose.

    epochs: training length in epochs (fractions allowed). head_epochs: of the head. bias: on the
    unseen logits, where it was chosen; real_rate, synthetic_rate: how it is carried over, see
    :mod:`gsmflow.calibration`. parameters: of a direct method. U, S, H: reached where it was chosen.
    """

    epochs: float = 0.0
    head_epochs: int = 0
    bias: float = 0.0
    real_rate: float | None = None
    synthetic_rate: float | None = None
    parameters: dict[str, float] = field(default_factory=dict)
    U: float = 0.0
    S: float = 0.0
    H: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a run gives.

    choice: what was chosen, None under ``last``. scores: on the test set under the protocol.
    oracle: best on the test set, None unless asked for. weights: of the generator, empty for a
    direct method. steps: of the generator's final training.
    """

    choice: Choice | None
    scores: Scores
    oracle: Choice | None
    classifier: FittedClassifier
    weights: dict[str, Tensor]
    steps: int


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

    protocol: ``validated`` or ``last``; `oracle` adds the oracle's scores. Recorder: keeps the
    history and the checkpoint, from which an interrupted run continues.
    """
    choice = None
    if protocol == "validated":
        if "choice" not in recorder.records:
            small = problem.validation(seed)
            recorder.records["choice"] = asdict(_choose(small, problem, recipe, seed, device, recorder))
        choice = Choice(**recorder.records["choice"])
    fit = _fit_generative if recipe.method.learner else _fit_direct
    return fit(problem, recipe, choice, oracle, seed, device, recorder)


def evaluation_steps(total: int, reference: int, options: SelectionOptions) -> list[int]:
    """The steps after which a training of `total` steps is scored, the last one always among them.

    `options` count iterations of a training of `reference` steps (on all training data); a shorter
    one, on a validation problem, is scored at the same fractions of its length.
    """
    marks = range(options.after + options.every, reference + 1, options.every)
    return sorted({max(1, round(mark * total / reference)) for mark in marks} | {total})


def _choose(
    small: Problem, whole: Problem, recipe: Recipe, seed: int, device: torch.device, recorder: Recorder
) -> Choice:
    """The best choice on the validation problem."""
    prepared, _ = _prepare(small, recipe)
    data = TrainingData.of(prepared, device)
    if recipe.method.direct:
        return max(_direct_choices(prepared, data, recipe), key=lambda choice: choice.H)
    learner = _learner(recipe, data, seed)
    batch = getattr(recipe.options, "batch_size", 1)
    reference = learner.total_steps * max(1, len(whole.train) // batch) // learner.steps_per_epoch
    stops = evaluation_steps(learner.total_steps, reference, recipe.selection)
    found = recorder.records.setdefault("validation", [])
    for step in _train(learner, "validation", stops, recorder):
        found.append(asdict(_best_head(prepared, data, learner, recipe.head, seed, step, recorder)))
    return _best(found)


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
    classifier = FittedClassifier(transform, head, problem.classes, problem.unseen, bias)
    return Outcome(choice, scores, best, classifier, {}, 0)


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
    watched = evaluation_steps(learner.total_steps, learner.total_steps, recipe.selection) if oracle else []
    found = recorder.records.setdefault("oracle", [])
    for step in _train(learner, "final", sorted({end, *watched}), recorder):
        if step == end:
            _keep_result(prepared, transform, data, learner, recipe, choice, seed, recorder)
        if step in watched:
            found.append(asdict(_best_head(prepared, data, learner, recipe.head, seed, step, recorder)))
    tensors, kept = recorder.kept("result")
    classifier = FittedClassifier.from_state(
        {n.removeprefix("classifier."): t for n, t in tensors.items() if n.startswith("classifier.")},
        problem.classes,
        "result",
    )
    weights = {n.removeprefix("weights."): t for n, t in tensors.items() if n.startswith("weights.")}
    return Outcome(choice, Scores(**kept), _best(found) if oracle else None, classifier, weights, end)


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
    epochs = choice.head_epochs if choice else recipe.head.epochs
    with recorder.timing("synthesize"):
        pool = Pool.synthesize(learner, data, recipe.head.synthetic_per_class, seed)
    with recorder.timing("head"):
        *_, head = train_head(pool, len(prepared.classes), recipe.head, seed, "head", epochs=epochs)
        unseen_head = None
        if len(data.unseen):
            alone = pool.synthetic(data.unseen)
            *_, unseen_head = train_head(alone, len(data.unseen), recipe.head, seed, "zsl", epochs=epochs)
    bias = _carried_bias(head, pool, data, choice)
    scores = score(
        prepared,
        _logits_of(head),
        unseen_logits=_logits_of(unseen_head) if unseen_head else None,
        bias=bias,
    )
    classifier = FittedClassifier(transform, head, prepared.classes, prepared.unseen, bias, unseen_head)
    tensors = {f"classifier.{name}": tensor for name, tensor in classifier.state().items()}
    tensors |= {f"weights.{name}": tensor for name, tensor in learner.weights().items()}
    recorder.keep("result", tensors, asdict(scores))


def _train(learner: Learner, stage: str, stops: list[int], recorder: Recorder) -> Iterator[int]:
    """Train through the stage, pausing after each of the steps in `stops`.

    A checkpoint may have been written at the very step of a stop, before anything was done there. So
    which stops are behind is kept apart from the steps done.
    """
    done = recorder.begin(stage, learner, stops[-1])
    for stop in stops:
        if stop <= recorder.records.get(f"{stage}.behind", 0):
            continue
        with recorder.timing(stage):
            advance(learner, done, stop, recorder)
        done = stop
        yield stop
        recorder.records[f"{stage}.behind"] = stop
    recorder.end(learner)


def _best_head(
    prepared: Problem,
    data: TrainingData,
    learner: Learner,
    options: HeadOptions,
    seed: int,
    step: int,
    recorder: Recorder,
) -> Choice:
    """Train a head on what the generator makes now; the best of its epochs (and biases) on the test parts."""
    best = Choice(H=-1.0)
    with recorder.timing("selection"):
        pool = Pool.synthesize(learner, data, options.synthetic_per_class, seed)
        best_head = None
        for epoch, head in enumerate(train_head(pool, len(prepared.classes), options, seed, "head"), start=1):
            candidate = _scored(prepared, head, options.calibrate)
            if candidate.H > best.H:
                best, best_head = replace(candidate, head_epochs=epoch), head
        best = replace(best, epochs=step / learner.steps_per_epoch)
        if best_head and options.calibrate:
            best = _with_rates(best, best_head, pool, data)
    recorder.scored(step, {"U": best.U, "S": best.S, "H": best.H})
    return best


def _direct_choices(prepared: Problem, data: TrainingData, recipe: Recipe) -> Iterator[Choice]:
    """Every candidate of a direct method, scored on the test parts of the problem."""
    assert recipe.method.direct is not None
    pool = Pool.of_real(data)
    for parameters, head in recipe.method.direct(data, recipe.options):
        found = replace(_scored(prepared, head, recipe.head.calibrate), parameters=parameters)
        yield _with_rates(found, head, pool, data) if recipe.head.calibrate else found


def _scored(prepared: Problem, head: LinearHead, calibrate: bool) -> Choice:
    """U, S and H of a head on the test parts of a problem, with the best bias if it may have one."""
    curve = curve_on(prepared, _logits_of(head))
    bias = best_bias(curve) if calibrate else 0.0
    unseen, seen = curve.at(bias)
    return Choice(bias=bias, U=unseen, S=seen, H=harmonic_mean(unseen, seen))


def _with_rates(choice: Choice, head: LinearHead, pool: Pool, data: TrainingData) -> Choice:
    rates = rates_of(head, pool, data.unseen, choice.bias)
    return replace(choice, real_rate=rates.real, synthetic_rate=rates.synthetic)


def _carried_bias(head: LinearHead, pool: Pool, data: TrainingData, choice: Choice | None) -> float:
    """The bias that a choice made elsewhere means for this head; 0 where none was chosen."""
    if choice is None or choice.real_rate is None or not len(data.unseen):
        return 0.0
    return bias_for(head, pool, data.unseen, UnseenRates(choice.real_rate, choice.synthetic_rate))


def _best(records: list[dict[str, Any]]) -> Choice:
    """The record with the highest H, the earliest of equals."""
    return Choice(**max(records, key=lambda record: record["H"]))


def _prepare(problem: Problem, recipe: Recipe) -> tuple[Problem, FeatureTransform]:
    """The problem with transformed features, and the transformation, fitted on its training part."""
    transform = FeatureTransform.fit(problem, recipe.features)
    return replace(problem, features=transform(problem.features), image_shape=None), transform


def _learner(recipe: Recipe, data: TrainingData, seed: int) -> Learner:
    assert recipe.method.learner is not None
    return recipe.method.learner(data, recipe.options, seed)


def _logits_of(head: LinearHead) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    device = head.weight.device

    def logits(features: NDArray[np.float32]) -> NDArray[np.float32]:
        return head.logits(torch.from_numpy(np.ascontiguousarray(features)).to(device)).cpu().numpy()

    return logits
