"""Smaller problems that are cut from the training part alone, for every choice that needs scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.files.feature_store import rows_of

FEWEST_SEEN = 4  # classes that a validation problem can be cut from


def validation_problem(problem: Problem, seed: int, *, draw: int = 0, held_out: float = 0.2) -> Problem:
    """A smaller problem cut from the training part of `problem`, in which some seen classes are held out as unseen.

    The held-out classes are those that the data set publishes. Without published ones they are drawn, the same
    fraction of classes as in the real split (at least two, and at least two remain). With `draw` = 1, 2, ... they
    are always drawn, differently each time. Of every other class a fraction `held_out` of the samples becomes the
    seen test part. The real unseen classes and all test samples are left out, so that nothing about them can leak
    into a choice.

    Raises
    ------
    InputError
        There are fewer than four seen classes, or no class has two samples.
    """
    if len(problem.seen) < FEWEST_SEEN:
        raise InputError(
            f"{problem.where('train')}: only {len(problem.seen)} seen classes, too few to cut a validation "
            "problem from; use protocol 'last'"
        )
    rng = np.random.default_rng([seed, 0x5EED, draw] if draw else [seed, 0x5EED])
    if problem.validation_unseen is not None and draw == 0:
        playing_unseen = problem.validation_unseen
    else:
        wanted = round(len(problem.seen) * len(problem.unseen) / max(len(problem.classes), 1))
        count = int(np.clip(wanted, 2, len(problem.seen) - 2))
        playing_unseen = np.sort(rng.choice(problem.seen, count, replace=False))
    train, test_seen = _divided(problem, np.setdiff1d(problem.seen, playing_unseen), held_out, rng)
    unseen = problem.train[np.isin(problem.labels[problem.train], playing_unseen)]
    return _of_seen_classes(problem, "validation", train, test_seen, np.sort(unseen))


def held_out_problem(problem: Problem, seed: int, *, draw: int = 0, fraction: float = 0.2) -> Problem:
    """A problem of the seen classes alone: a fraction of the training samples of each is the test part, and no class
    is held out as unseen.

    Raises
    ------
    InputError
        No class has two training samples.
    """
    rng = np.random.default_rng([seed, 0x4E1D, draw])
    train, test = _divided(problem, problem.seen, fraction, rng)
    return _of_seen_classes(problem, "held out", train, test, np.zeros(0, np.int64))


def unseen_bias_problems(
    problem: Problem, seed: int, *, fraction: float = 0.2, samples: int = 150
) -> Iterator[Problem]:
    """Problems of all classes, in each of which a fraction of the training samples of each seen class is the test part.

    The unseen classes have no samples, as in training. The problems serve to measure how often held-out samples of
    seen classes are labelled as unseen classes. One is enough if its test part has `samples` samples. With smaller
    test parts there are more, each with other samples held out, until every sample was held out once.

    Raises
    ------
    InputError
        No class has two training samples.
    """
    held_out = 0
    for fold in range(round(1 / fraction)):
        if held_out >= samples:
            return
        rng = np.random.default_rng([seed, 0xB1A5])
        train, test = _divided(problem, problem.seen, fraction, rng, fold=fold)
        held_out += len(test)
        chosen = np.concatenate((train, test))
        train, test = _consecutive([len(train), len(test)])
        yield replace(
            problem,
            name=f"{problem.name}/held out",
            features=rows_of(problem.features, chosen),
            labels=problem.labels[chosen],
            train=train,
            test_seen=test,
            test_unseen=np.zeros(0, np.int64),
            validation_unseen=None,
            pictures=None,
        )


def _divided(
    problem: Problem, classes: NDArray[np.int64], held_out: float, rng: np.random.Generator, fold: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The training samples of some classes, sorted: the remaining ones, and the held-out fraction of each class.

    Other folds, with a generator in the same state, hold out other samples.
    """
    train: list[NDArray[np.int64]] = []
    test: list[NDArray[np.int64]] = []
    labels = problem.labels[problem.train]
    for label in classes:
        members = rng.permutation(problem.train[labels == label])
        staying = max(1, len(members) - max(1, round(len(members) * held_out)))
        members = np.roll(members, fold * (len(members) - staying))
        train.append(members[:staying])
        test.append(members[staying:])
    if not sum(map(len, test)):
        raise InputError(
            f"{problem.where('train')}: every seen class has a single sample, none can be held out for "
            "validation; use protocol 'last'"
        )
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def _of_seen_classes(problem: Problem, name: str, *parts: NDArray[np.int64]) -> Problem:
    """A problem over the seen classes; `parts` are the samples of train, test_seen and test_unseen."""
    chosen = np.concatenate(parts)
    train, test_seen, test_unseen = _consecutive([len(part) for part in parts])
    return Problem(
        name=f"{problem.name}/{name}",
        features=rows_of(problem.features, chosen),
        labels=np.searchsorted(problem.seen, problem.labels[chosen]),
        semantics=problem.semantics[problem.seen],
        classes=tuple(problem.classes[c] for c in problem.seen),
        train=train,
        test_seen=test_seen,
        test_unseen=test_unseen,
        image_shape=problem.image_shape,
        origins=problem.origins,
        offset=problem.offset,
        backbone=problem.backbone,
        semantic_origin=problem.semantic_origin,
    )


def _consecutive(sizes: Sequence[int]) -> list[NDArray[np.int64]]:
    """Ranges of these sizes, one after the other."""
    ends = np.cumsum([0, *sizes])
    return [np.arange(start, stop) for start, stop in pairwise(ends)]
