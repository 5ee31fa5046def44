"""Protocols: what may be looked at when something is chosen, and the one place where it is chosen.

- ``last``: the whole budget, nothing is chosen by scores.
- ``validated``: every choice is made on a problem cut from the training part alone, some seen
  classes playing unseen; then one fit on all training data, scored once on the test set.
- ``oracle``: the best that could have been had by looking at the test set. It is an upper bound and
  reported beside the scores of one of the other two, never instead of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.calibration import UnseenRates, bias_for, rates_of
from gsmflow.classifier import FittedClassifier
from gsmflow.confidence import BINS, expected_calibration_error, fit_temperature, softmax
from gsmflow.errors import InputError
from gsmflow.evaluation import Scores, best_bias, curve_on, harmonic_mean, score
from gsmflow.head import Head, HeadOptions, train_head
from gsmflow.judge import compare
from gsmflow.numerics import TrainingFailed, first_not_finite
from gsmflow.pool import Pool, Stream
from gsmflow.problem import Problem
from gsmflow.recipe import Recipe, SelectionOptions
from gsmflow.recorder import Recorder
from gsmflow.representation import RepresentedHead
from gsmflow.training import Generator, Learner, Scorer, TrainingData, advance
from gsmflow.transform import FeatureTransform

_TESTED = 8192  # test samples classified in one go
_FITTED = 1024  # validation samples that a temperature is fitted on at most
_RATED = 2048  # real features that the rates of a learner classifying by itself are taken from
PROTOCOLS = ("validated", "last", "oracle")


@dataclass(frozen=True)
class Choice:
    """Everything a protocol may choose.

    epochs: training length in epochs (fractions allowed). head_epochs: of the head. bias: on the
    unseen logits, where it was chosen; real_rate, synthetic_rate: how it is carried over, see
    :mod:`gsmflow.calibration`. temperature: of the probabilities, fitted where the rest was chosen (see
    :mod:`gsmflow.confidence`); 1 where validation is not trusted. parameters: of a direct method. U, S, H, AUSUC:
    reached where it was chosen; where validation is not trusted only S, see :func:`choose`.
    """

    epochs: float = 0.0
    head_epochs: int = 0
    bias: float = 0.0
    real_rate: float | None = None
    synthetic_rate: float | None = None
    temperature: float = 1.0
    parameters: dict[str, float] = field(default_factory=dict)
    U: float = 0.0
    S: float = 0.0
    H: float = 0.0
    AUSUC: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a run gives.

    choice: what was chosen, None under ``last``. scores: on the test set under the protocol.
    oracle: best on the test set, None unless asked for. confidence: how far its probabilities can be believed on
    the test set, see :func:`_confidence`. weights: of the generator, empty for a
    direct method. steps: of the generator's final training. shifts: what :mod:`gsmflow.shifts` measured
    after scoring, as plain values, and samples: the features it was measured on; None and empty for a
    direct method and for a run that is not kept in a folder.
    """

    choice: Choice | None
    scores: Scores
    oracle: Choice | None
    classifier: FittedClassifier
    weights: dict[str, Tensor]
    steps: int
    shifts: dict[str, Any] | None = None
    confidence: dict[str, float] = field(default_factory=dict)
    samples: dict[str, Tensor] = field(default_factory=dict)


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
    problem: with raw features, and the same seen classes as in the run.
    choice: what the run's protocol chose, None under ``last``.
    weights: of the generator, as in ``model.safetensors``; empty for a direct method.
    transform: of the features, as the generator was trained on them.

    Raises
    ------
    ValueError: the weights are not of this method with these options on such data.
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


def evaluation_fractions(total: int, options: SelectionOptions) -> list[float]:
    """How much of a training of `total` steps lies behind when it is scored; 1 is always among them.

    `options` count steps of a training on all training data. A shorter one, on a validation problem,
    is scored at the same fractions of its length.
    """
    marks = range(options.after + options.every, total, options.every)
    return [*(mark / total for mark in marks), 1.0]


def choose(problem: Problem, recipe: Recipe, seed: int, device: torch.device, recorder: Recorder) -> Choice:
    """The best choice on the validation problems, on average over them.

    Where validation is not trusted (``selection.trust_validation``), no class plays unseen: the generator is
    judged by a head trained on synthetic features of the seen classes alone, and its accuracy S on real
    ones that were held out.

    Raises
    ------
    InputError: too few classes for a validation problem; or validation is not trusted and the method
        synthesizes nothing.
    """
    tables: list[list[Choice]] = []
    trusted = recipe.selection.trust_validation
    for draw in range(recipe.selection.problems):
        stage = "validation" if draw == 0 else f"validation {draw + 1}"
        cut = problem.validation(seed, draw=draw) if trusted else problem.held_out(seed, draw=draw)
        prepared, _ = _prepare(cut, recipe)
        data = TrainingData.of(prepared, device)
        if not trusted and recipe.method.direct:
            raise _nothing_synthesized(recipe)
        if recipe.method.direct:
            tables.append(list(_direct_choices(prepared, data, recipe)))
            continue
        learner = _learner(recipe, data, seed)
        per_epoch = len(problem.train) // min(getattr(recipe.options, "batch_size", 1), len(problem.train))
        total = learner.total_steps * per_epoch // learner.steps_per_epoch
        fractions = evaluation_fractions(total, recipe.selection)
        # Where no real feature of an unseen class exists, classes held out here are the best judges.
        judged = recorder.folder is not None and draw == 0 and not len(problem.test_unseen)
        tables.append(_score_along(prepared, data, learner, recipe, seed, stage, fractions, recorder, judged))
    by = recipe.selection.score if trusted else "S"
    return max(map(_mean, zip(*tables, strict=True)), key=lambda choice: getattr(choice, by))


def _nothing_synthesized(recipe: Recipe) -> InputError:
    return InputError(
        f"method '{recipe.method.name}' synthesizes nothing, so without trust in validation nothing can "
        "judge it; use --protocol last"
    )


def _score_along(
    prepared: Problem,
    data: TrainingData,
    learner: Learner,
    recipe: Recipe,
    seed: int,
    stage: str,
    fractions: list[float],
    recorder: Recorder,
    judged: bool = False,
) -> list[Choice]:
    """Train and score every head epoch after each of the fractions of the training.

    judged: also measure the generation shifts there, for the record.
    """
    steps = [_step_at(fraction, learner) for fraction in fractions]
    epochs = learner.total_steps / learner.steps_per_epoch
    found = recorder.records.setdefault(stage, {})
    for step in _train(learner, stage, sorted(set(steps)), recorder):
        scored = _score_heads if recipe.selection.trust_validation else _score_synthesis
        heads = scored(prepared, data, learner, recipe, seed, step, recorder)
        found[str(step)] = [asdict(choice) for choice in heads]  # as JSON would have it
        measured = None
        if judged:
            with recorder.timing("shifts"):
                measured = compare(prepared, data, learner, seed, held_out=True)
        if measured:
            kept = recorder.records.setdefault("held_out", {})
            reached = (f for f, s in zip(fractions, steps, strict=True) if s == step)
            kept |= {str(fraction * epochs): measured[0].to_dict() for fraction in reached}
    return [
        replace(Choice(**record), epochs=fraction * epochs)
        for fraction, step in zip(fractions, steps, strict=True)
        for record in found[str(step)]
    ]


def _step_at(fraction: float, learner: Learner) -> int:
    return max(1, round(fraction * learner.total_steps))


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


def _heads_after(
    data: TrainingData,
    learner: Learner,
    recipe: Recipe,
    choice: Choice | None,
    seed: int,
    recorder: Recorder,
) -> tuple[Head, Head | None, float]:
    """What :func:`_synthesize_and_train` gives, or the head and the bias of a learner that needs no training."""
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

    head: of the pool's features. whole: of the problem's, where those are others.
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


def _mean(choices: tuple[Choice, ...]) -> Choice:
    """The same choice made on several problems, with the mean of what was found there."""

    def mean(name: str) -> Any:
        values = [getattr(choice, name) for choice in choices]
        return None if None in values else sum(values) / len(values)

    averaged = ("bias", "real_rate", "synthetic_rate", "temperature", "U", "S", "H", "AUSUC")
    return replace(choices[0], **{name: mean(name) for name in averaged})


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
