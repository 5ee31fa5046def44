"""Choosing on validation problems."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import torch

from gsmflow.data.problem import Problem
from gsmflow.data.validation import held_out_problem, validation_problem
from gsmflow.learning.journal import Recorder
from gsmflow.learning.learner import Learner
from gsmflow.learning.tensors import TrainingData
from gsmflow.protocol.choice import Choice
from gsmflow.protocol.generation_shifts import compare
from gsmflow.protocol.trial import (
    _direct_choices,
    _learner,
    _nothing_synthesized,
    _prepare,
    _score_heads,
    _score_synthesis,
    _step_at,
    _train,
    evaluation_fractions,
)
from gsmflow.recipes.recipe import Recipe


def choose(problem: Problem, recipe: Recipe, seed: int, device: torch.device, recorder: Recorder) -> Choice:
    """The best choice on the validation problems, on average over them.

    Where validation is not trusted (``selection.trust_validation``), no class plays unseen: the generator is
    judged by a head trained on synthetic features of the seen classes alone, and its accuracy S on real
    ones that were held out.

    Raises
    ------
    InputError
        Too few classes for a validation problem; or validation is not trusted and the method synthesizes
        nothing.
    """
    tables: list[list[Choice]] = []
    trusted = recipe.selection.trust_validation
    for draw in range(recipe.selection.problems):
        stage = "validation" if draw == 0 else f"validation {draw + 1}"
        cut = (validation_problem if trusted else held_out_problem)(problem, seed, draw=draw)
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

    Parameters
    ----------
    judged : bool
        Also measure the generation shifts there, for the record.
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


def _mean(choices: tuple[Choice, ...]) -> Choice:
    """The same choice made on several problems, with the mean of what was found there."""

    def mean(name: str) -> Any:
        values = [getattr(choice, name) for choice in choices]
        return None if None in values else sum(values) / len(values)

    averaged = ("bias", "real_rate", "synthetic_rate", "temperature", "U", "S", "H", "AUSUC")
    return replace(choices[0], **{name: mean(name) for name in averaged})
