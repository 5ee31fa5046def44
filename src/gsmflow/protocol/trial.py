"""One problem prepared, trained on and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.compute.finite import TrainingFailed, first_not_finite
from gsmflow.data.problem import Problem
from gsmflow.data.transform import FeatureTransform
from gsmflow.heads.base import Head
from gsmflow.heads.calibration import BINS, expected_calibration_error, fit_temperature, softmax
from gsmflow.heads.representation import RepresentedHead
from gsmflow.learning.head_data import Pool, Stream
from gsmflow.learning.journal import Recorder
from gsmflow.learning.learner import Generator, Learner, Scorer
from gsmflow.learning.loop import advance
from gsmflow.learning.softmax import HeadOptions, train_head
from gsmflow.learning.tensors import TrainingData
from gsmflow.protocol.choice import Choice
from gsmflow.protocol.unseen_bias import UnseenRates, bias_for, rates_of
from gsmflow.recipes.recipe import Recipe, SelectionOptions
from gsmflow.scores.gzsl import best_bias, curve_on, harmonic_mean

_TESTED = 8192  # test samples classified in one go
_FITTED = 1024  # validation samples that a temperature is fitted on at most
_RATED = 2048  # real features that the rates of a learner classifying by itself are taken from


def evaluation_fractions(total: int, options: SelectionOptions) -> list[float]:
    """How much of a training of `total` steps lies behind when it is scored; 1 is always among them.

    `options` count steps of a training on all training data. A shorter one, on a validation problem,
    is scored at the same fractions of its length.
    """
    marks = range(options.after + options.every, total, options.every)
    return [*(mark / total for mark in marks), 1.0]


def _nothing_synthesized(recipe: Recipe) -> InputError:
    return InputError(
        f"method '{recipe.method.name}' synthesizes nothing, so without trust in validation nothing can "
        "judge it; use --protocol last"
    )


def _step_at(fraction: float, learner: Learner) -> int:
    return max(1, round(fraction * learner.total_steps))


def _heads_after(
    data: TrainingData,
    learner: Learner,
    recipe: Recipe,
    choice: Choice | None,
    seed: int,
    recorder: Recorder,
) -> tuple[Head, Head | None, float]:
    """What `_synthesize_and_train` gives, or the head and the bias of a learner that needs no training."""
    if not isinstance(learner, Scorer):
        return _synthesize_and_train(data, learner, recipe.head, choice, seed, recorder)
    with recorder.timing("head"):
        head = learner.head()
    return head, None, _carried_bias(head, Pool.of_real(data, _RATED), data, choice)


def _synthesize_and_train(
    data: TrainingData,
    learner: Learner,
    options: HeadOptions,
    choice: Choice | None,
    seed: int,
    recorder: Recorder,
) -> tuple[Head, Head | None, float]:
    """The head over all classes, the one over unseen classes alone if any, and the bias of the first."""
    assert isinstance(learner, Generator)
    epochs = choice.head_epochs if choice else options.epochs
    with recorder.timing("synthesize"):
        pool = Pool.synthesize(learner, data, options.synthetic_per_class, seed)
    with recorder.timing("head"):
        *_, head = train_head(pool, len(data.semantics), options, seed, "head", epochs=epochs)
        alone = None
        if len(data.unseen):
            synthetic = pool.synthetic(data.unseen)
            *_, alone = train_head(synthetic, len(data.unseen), options, seed, "zsl", epochs=epochs)
    bias = _carried_bias(head, pool, data, choice)
    representation = learner.representation()
    if representation is None:
        return head, alone, bias
    return RepresentedHead(representation, head), alone and RepresentedHead(representation, alone), bias


def _train(learner: Learner, stage: str, stops: list[int], recorder: Recorder) -> Iterator[int]:
    """Train through the stage, pausing after each of the steps in `stops` (ascending).

    A checkpoint may have been written at the very step of a stop, before anything was done there. So
    which stops are behind is kept apart from the steps done.
    """
    behind = f"{stage}.behind"
    if recorder.records.get(behind, 0) >= stops[-1]:
        return
    done = recorder.begin(stage, learner, stops[-1])
    for stop in stops:
        if stop <= recorder.records.get(behind, 0):
            continue
        with recorder.timing(stage):
            advance(learner, done, stop, recorder)
            recorder.paused(learner)
        done = stop
        yield stop
        recorder.records[behind] = stop
    recorder.end(learner)


def _score_heads(
    prepared: Problem,
    data: TrainingData,
    learner: Learner,
    recipe: Recipe,
    seed: int,
    step: int,
    recorder: Recorder,
) -> list[Choice]:
    """Train a head on what the generator makes now, and score it on the test parts after each epoch.

    A learner that classifies by itself gives a single head.
    """
    found: list[Choice] = []
    with recorder.timing("selection"):
        for epoch, (head, pool, whole) in enumerate(_heads(data, learner, recipe.head, seed), start=1):
            choice = _scored(prepared, data, head, pool, recipe.head.calibrate, whole)
            found.append(replace(choice, head_epochs=epoch, epochs=step / learner.steps_per_epoch))
    best = max(found, key=lambda choice: choice.H)
    recorder.scored(step, {"U": best.U, "S": best.S, "H": best.H})
    return found


def _score_synthesis(
    prepared: Problem,
    data: TrainingData,
    learner: Learner,
    recipe: Recipe,
    seed: int,
    step: int,
    recorder: Recorder,
) -> list[Choice]:
    """Train a head on synthetic features of the seen classes alone; S on held-out real ones, each epoch."""
    if not isinstance(learner, Generator):
        raise _nothing_synthesized(recipe)
    found: list[Choice] = []
    with recorder.timing("selection"):
        playing = replace(data, unseen=data.seen)
        pool = Pool.synthesize(learner, playing, recipe.head.synthetic_per_class, seed).synthetic(data.seen)
        representation = learner.representation()
        for epoch, head in enumerate(train_head(pool, len(data.seen), recipe.head, seed, "head"), start=1):
            whole = head if representation is None else RepresentedHead(representation, head)
            seen = float(curve_on(prepared, _logits_of(whole)).seen[0])
            found.append(Choice(step / learner.steps_per_epoch, epoch, S=seen))
    recorder.scored(step, {"S": max(choice.S for choice in found)})
    return found


def _heads(
    data: TrainingData, learner: Learner, options: HeadOptions, seed: int
) -> Iterator[tuple[Head, Pool | Stream, Head]]:
    """The heads of a learner now: each with the pool it was trained on, and as a classifier of features."""
    if isinstance(learner, Scorer):
        head = learner.head()
        yield head, Pool.of_real(data, _RATED), head
        return
    assert isinstance(learner, Generator)
    pool, representation = (
        Pool.synthesize(learner, data, options.synthetic_per_class, seed),
        learner.representation(),
    )
    for head in train_head(pool, len(data.semantics), options, seed, "head"):
        yield head, pool, head if representation is None else RepresentedHead(representation, head)


def _direct_choices(prepared: Problem, data: TrainingData, recipe: Recipe) -> Iterator[Choice]:
    """Every candidate of a direct method, scored on the test parts of the problem."""
    assert recipe.method.direct is not None
    pool = Pool.of_real(data)
    for parameters, head in recipe.method.direct(data, recipe.options):
        yield replace(_scored(prepared, data, head, pool, recipe.head.calibrate), parameters=parameters)


def _scored(
    prepared: Problem,
    data: TrainingData,
    head: Head,
    pool: Pool | Stream,
    calibrate: bool,
    whole: Head | None = None,
) -> Choice:
    """U, S and H on the test parts of a problem, with the best bias if it may have one.

    Parameters
    ----------
    head : Head
        Of the pool's features.
    whole : Head | None
        Of the problem's, where those are others.
    """
    curve = curve_on(prepared, _logits_of(whole or head))
    bias = best_bias(curve) if calibrate else 0.0
    unseen, seen = curve.at(bias)
    logits, labels = _tested(prepared, whole or head, bias, _FITTED)
    choice = Choice(
        bias=bias,
        temperature=fit_temperature(logits, labels),
        U=unseen,
        S=seen,
        H=harmonic_mean(unseen, seen),
        AUSUC=curve.area,
    )
    if not calibrate:
        return choice
    rates = rates_of(head, pool, data.unseen, bias)
    return replace(choice, real_rate=rates.real, synthetic_rate=rates.synthetic)


def _carried_bias(head: Head, pool: Pool | Stream, data: TrainingData, choice: Choice | None) -> float:
    """The bias that a choice made elsewhere means for this head; 0 where none was chosen."""
    if choice is None or choice.real_rate is None or not len(data.unseen):
        return 0.0
    return bias_for(head, pool, data.unseen, UnseenRates(choice.real_rate, choice.synthetic_rate))


def _temperature(choice: Choice | None) -> float:
    return choice.temperature if choice else 1.0


def _tested(
    prepared: Problem, head: Head, bias: float, at_most: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits (N, C), bias included, and labels (N,) of the test samples; with `at_most`, evenly spaced ones."""
    test = np.concatenate((prepared.test_seen, prepared.test_unseen))
    if at_most is not None:
        test = test[:: -(-len(test) // at_most) or 1]
    logits = np.empty((len(test), head.classes), np.float32)
    for start in range(0, len(test), _TESTED):
        rows = test[start : start + _TESTED]
        logits[start : start + len(rows)] = _logits_of(head)(prepared.features[rows])
    logits[:, prepared.unseen] += np.float32(bias)
    return logits, prepared.labels[test]


def _confidence(prepared: Problem, head: Head, bias: float, choice: Choice | None) -> dict[str, float]:
    """The temperature in use, and the expected calibration error on the test set with it and without one.

    Empty without test samples.
    """
    logits, labels = _tested(prepared, head, bias)
    if not len(labels):
        return {}
    temperature = _temperature(choice)
    return {
        "temperature": temperature,
        "ECE": expected_calibration_error(softmax(logits, temperature), labels),
        "ECE_at_1": expected_calibration_error(softmax(logits), labels),
        "bins": BINS,
    }


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


def _logits_of(head: Head) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    device = head.device

    def logits(features: NDArray[np.float32]) -> NDArray[np.float32]:
        found = head.logits(torch.from_numpy(np.ascontiguousarray(features)).to(device))
        row = first_not_finite(found)
        if row is not None:
            raise TrainingFailed(
                f"scoring: the logits of a test sample are not finite (the {row + 1}. of its part): its "
                "features lie too far from the training features; correct them, or choose another "
                "features.scaling"
            )
        return found.cpu().numpy()

    return logits
