"""Measures of a trained generator against real features, after scoring.

The real features are the test features of unseen classes, if there are any. If there are none, under the protocol
``validated`` they are features of the seen classes that the validation problem holds out. In all other cases they
are held-out samples of classes that the generator was trained on, which is a weaker test.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.learning.learner import Generator, Learner
from gsmflow.protocol.prepared import Prepared
from gsmflow.scores.samples import Samples, picked
from gsmflow.scores.shifts import Shifts, measure

_UNJUDGED = 20  # synthetic features of each class without real test features
_MOST_UNJUDGED = 50  # most such classes
_KNOWN = 1 << 28  # most entries of training features that are used


class Judge(StrEnum):
    """Which real features a generator is compared with; the value is the text in a report and in ``shifts.json``."""

    UNSEEN = "real test features of unseen classes"
    HELD_OUT = "real features of seen classes held out of training on the validation problem"
    TRAINED_ON = "held-out features of seen classes, which the generator was trained on"


def compare(
    prepared: Prepared, learner: Learner, seed: int, *, held_out: bool = False
) -> tuple[Shifts, Samples] | None:
    """Measure a generator on the test part of a problem; None without test samples, or without a generator.

    Parameters
    ----------
    prepared : Prepared
        The problem.
    learner : Learner
        The generator that was trained on it.
    seed : int
        Names the random draws.
    held_out : bool
        The problem is a validation problem, whose unseen classes are held-out seen classes. Its random stream is
        its own, so that nothing else in the run depends on whether this was called.
    """
    if not isinstance(learner, Generator):
        return None
    problem, device = prepared.problem, prepared.device
    part = problem.test_unseen if len(problem.test_unseen) else problem.test_seen
    if not len(part):
        return None
    judge = Judge.TRAINED_ON if part is problem.test_seen else Judge.HELD_OUT if held_out else Judge.UNSEEN
    rows = part[picked(problem.labels[part], problem.feature_dim, seed)]
    labels = problem.labels[rows]
    classes, counts = np.unique(labels, return_counts=True)
    each = int(counts.max())
    semantics = prepared.data.semantics[torch.from_numpy(classes).to(device)]
    with torch.no_grad():
        synthetic = learner.sample(semantics, each, seed, "shifts").float().cpu().numpy()
    represent = _represented(learner, device)
    samples = Samples.matched(
        represent(problem.features[rows]),
        labels,
        synthetic,
        np.repeat(classes, each),
        judge=judge.value,
    )
    # Enough to predict semantics; all of them might not fit into memory.
    known = problem.train[:: -(-len(problem.train) * problem.feature_dim // _KNOWN)]
    shifts = measure(
        samples,
        problem.semantics,
        problem.classes,
        represent(problem.features[known]),
        problem.labels[known],
        seed=seed,
    )
    return shifts, samples


def unjudged(prepared: Prepared, learner: Learner, seed: int) -> dict[str, Tensor]:
    """Synthetic features of unseen classes without real features, to be shown in a figure beside the others.

    Returns
    -------
    dict[str, Tensor]
        ``unseen`` (K, D) and ``unseen_labels`` (K,); empty where all unseen classes have test features, or there is no
        generator. They have a random stream of their own.
    """
    if not isinstance(learner, Generator):
        return {}
    problem, device = prepared.problem, prepared.device
    classes = np.setdiff1d(problem.unseen, problem.labels[problem.test_unseen])[:_MOST_UNJUDGED]
    if not len(classes):
        return {}
    semantics = prepared.data.semantics[torch.from_numpy(classes).to(device)]
    with torch.no_grad():
        synthetic = learner.sample(semantics, _UNJUDGED, seed, "unjudged").float().cpu()
    return {"unseen": synthetic, "unseen_labels": torch.from_numpy(np.repeat(classes, _UNJUDGED))}


def _represented(learner: Generator, device: torch.device) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The function that maps features into the space of the synthetic ones, which the head takes."""
    representation = learner.representation()
    if representation is None:
        return lambda features: features
    return lambda features: representation(torch.from_numpy(np.asarray(features)).to(device)).cpu().numpy()
