"""The bias on unseen classes, carried over by the rate of held-out samples of seen classes that are called unseen.

The members of a stack are fitted once more without a fifth of the training samples, and the bias is the one that gives
the chosen rate on that fifth. Samples that a classifier was trained on would tell nothing where it knows them by heart.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gsmflow.data.problem import Problem
from gsmflow.data.validation import unseen_bias_problem
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.choice import Choice
from gsmflow.protocol.members import Probe
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.trial import Trial
from gsmflow.recipes.recipe import Recipe


def held_out_logits(trial: Trial, choice: Choice | None, problem: Problem) -> NDArray[np.float32]:
    """Logits (T, C) of held-out samples of seen classes, by a member fitted without them, divided by their spread.

    Parameters
    ----------
    trial : Trial
        The member, trained on all training data: its generator or its options are used again.
    choice : Choice | None
        What was chosen for it; None for its first parameters.
    problem : Problem
        The data with raw features.
    """
    held_out = unseen_bias_problem(problem, trial.seed)
    part = Trial(
        Prepared.by(trial.prepared.transform, held_out, trial.prepared.device),
        _fewer_synthetic(trial.recipe, len(held_out.train) / len(problem.train)),
        trial.seed,
        Recorder(),
    )
    if not trial.direct:
        part.restore(trial.learner.weights())
    return Probe.of(part.prepared).logits(part.classifier(without_bias(choice), unseen_alone=False).head)


def bias_at_rate(logits: NDArray[np.float32], unseen: NDArray[np.int64], rate: float) -> float:
    """The bias on unseen classes with which the fraction `rate` of these samples is called unseen.

    Parameters
    ----------
    logits : NDArray[np.float32]
        (T, C) of samples of seen classes.
    unseen : NDArray[np.int64]
        (U,) indices of the unseen classes.
    rate : float
        The fraction, in [0, 1].
    """
    is_unseen = np.isin(np.arange(logits.shape[1]), unseen)
    margin = logits[:, ~is_unseen].max(axis=1) - logits[:, is_unseen].max(axis=1)
    return float(np.quantile(margin, rate))


def without_bias(choice: Choice | None) -> Choice | None:
    """A member's own choice; the bias is the stack's alone."""
    return choice and replace(choice, real_rate=None)


def _fewer_synthetic(recipe: Recipe, share: float) -> Recipe:
    """The recipe with a share of the synthetic features: a head takes what it saw more often for more likely."""
    each = max(1, round(share * recipe.head.synthetic_per_class))
    return replace(recipe, head=replace(recipe.head, synthetic_per_class=each))
