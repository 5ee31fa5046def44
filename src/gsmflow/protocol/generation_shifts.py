"""A trained generator beside the real features that may judge it: what is measured once scoring is over.

Who judges: real test features of unseen classes, where there are some. Otherwise, under the protocol
``validated``, the seen classes that were held out of training on the validation problem; otherwise
held-out samples of classes that the generator was trained on, which says less.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.data.problem import Problem
from gsmflow.learning.learner import Generator, Learner
from gsmflow.learning.tensors import TrainingData
from gsmflow.scores.samples import Samples, picked
from gsmflow.scores.shifts import Shifts, measure

_KNOWN = 1 << 28  # entries of training features looked at
UNSEEN = "real test features of unseen classes"
HELD_OUT = "real features of seen classes held out of training on the validation problem"
TRAINED_ON = "held-out features of seen classes, which the generator was trained on"


def compare(
    prepared: Problem, data: TrainingData, learner: Learner, seed: int, *, held_out: bool = False
) -> tuple[Shifts, Samples] | None:
    """Measure a generator on the test part of a problem; None without test samples, or without a generator.

    Parameters
    ----------
    prepared : Problem
        The problem with transformed features;
    data : TrainingData
        Its training part.
    held_out : bool
        It is a validation problem, whose unseen classes are seen ones held out. Its own random stream: nothing
        else of the run depends on whether this was called.
    """
    if not isinstance(learner, Generator):
        return None
    part = prepared.test_unseen if len(prepared.test_unseen) else prepared.test_seen
    if not len(part):
        return None
    judge = TRAINED_ON if part is prepared.test_seen else HELD_OUT if held_out else UNSEEN
    rows = part[picked(prepared.labels[part], prepared.feature_dim, seed)]
    labels = prepared.labels[rows]
    classes, counts = np.unique(labels, return_counts=True)
    each = int(counts.max())
    semantics = data.semantics[torch.from_numpy(classes).to(data.device)]
    made = _synthetic(learner, semantics, each, seed)
    represent = _represented(learner, data.device)
    samples = Samples.matched(
        represent(prepared.features[rows]), labels, made, np.repeat(classes, each), judge=judge
    )
    # Enough to tell semantics by; more than that is no store's worth of memory.
    known = prepared.train[:: -(-len(prepared.train) * prepared.feature_dim // _KNOWN)]
    found = measure(
        samples,
        prepared.semantics,
        prepared.classes,
        represent(prepared.features[known]),
        prepared.labels[known],
        seed=seed,
    )
    return found, samples


def _represented(learner: Generator, device: torch.device) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Features as the head sees them, which is where synthetic ones lie."""
    representation = learner.representation()
    if representation is None:
        return lambda features: features
    return lambda features: representation(torch.from_numpy(np.asarray(features)).to(device)).cpu().numpy()


def _synthetic(learner: Generator, semantics: Tensor, each: int, seed: int) -> NDArray[Any]:
    return learner.sample(semantics, each, seed, "shifts").float().cpu().numpy()
