"""What a protocol chooses, and the result of a run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.heads.base import Head
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.learning.head_data import Pool, Stream
from gsmflow.learning.learner import Learner
from gsmflow.recipes.recipe import Recipe
from gsmflow.scores.gzsl import Scores


class ChosenOn(StrEnum):
    """What a choice was made on; the value is the text in ``metrics.json``."""

    VALIDATION = "validation problem, cut from the training part"
    HELD_OUT = "held-out samples of seen classes, by a head on synthetic ones"
    TEST = "the test set: an upper bound, not a result"


@dataclass(frozen=True)
class Choice:
    """Everything a protocol may choose.

    Parameters
    ----------
    epochs : float
        Training length in epochs (fractions allowed).
    head_epochs : int
        Length of the head's training, in epochs.
    bias : float
        Added to the unseen logits on the problem where it was chosen.
    real_rate : float | None
        Fraction of real training features that the head calls unseen, or of held-out features if `unseen` is given.
        It determines the bias of the final classifier, see
        [`gsmflow.protocol.unseen_bias`][gsmflow.protocol.unseen_bias].
    unseen : int | None
        Number of unseen classes for which a rate of held-out samples holds; None if rates are of training samples.
    synthetic_rate : float | None
        Fraction of synthetic training features that the head calls unseen.
    temperature : float
        Logits are divided by it before the softmax. It is fitted to the samples that the choice was made on (see
        [`gsmflow.heads.calibration`][gsmflow.heads.calibration]); 1 if validation is not trusted.
    parameters : dict[str, float]
        The parameters of a direct method by name.
    averaged : list[dict[str, float]]
        Parameters of further heads of a direct method. The logits of all heads are divided by their spread and
        averaged. Empty if one head was chosen.
    U : float
        Accuracy on unseen classes in the problem that the choice was made on, in [0, 1].
    S : float
        Accuracy on seen classes there, in [0, 1]; the only score if validation is not trusted.
    H : float
        Their harmonic mean.
    AUSUC : float
        Area under the seen-unseen curve there, in [0, 1].
    """

    epochs: float = 0.0
    head_epochs: int = 0
    bias: float = 0.0
    real_rate: float | None = None
    unseen: int | None = None
    synthetic_rate: float | None = None
    temperature: float = 1.0
    parameters: dict[str, float] = field(default_factory=dict)
    averaged: list[dict[str, float]] = field(default_factory=list)
    U: float = 0.0
    S: float = 0.0
    H: float = 0.0
    AUSUC: float = 0.0


def without_bias(choice: Choice | None) -> Choice | None:
    """The same choice without a bias."""
    return choice and replace(choice, real_rate=None)


@dataclass(frozen=True)
class Candidate:
    """A head that may be chosen.

    Parameters
    ----------
    choice : Choice
        Epochs, epochs of the head and parameters; the scores are not known yet.
    head : Head
        The classifier of transformed features.
    pool : Pool | Stream
        The features it was trained on, or the real features that its rates are measured on.
    trained_head : Head
        The same classifier for the features in the pool; it differs from `head` only if these are
        represented.
    """

    choice: Choice
    head: Head
    pool: Pool | Stream
    trained_head: Head


def last_step(choice: Choice | None, learner: Learner) -> int:
    """The step at which a training ends: the chosen one, or the last one."""
    if choice is None:
        return learner.total_steps
    return min(learner.total_steps, max(1, round(choice.epochs * learner.steps_per_epoch)))


@dataclass(frozen=True)
class Outcome:
    """The result of a run.

    Parameters
    ----------
    choice : Choice | None
        The choice; None under ``last``.
    scores : Scores
        Scores on the test set under the protocol.
    oracle : Choice | None
        The best choice on the test set; None unless asked for.
    classifier : FittedClassifier
        The final classifier.
    weights : dict[str, Tensor]
        The generator's weights by name, empty for a direct method.
    steps : int
        Steps of the generator's final training.
    shifts : dict[str, Any] | None
        What [`gsmflow.scores.shifts`][gsmflow.scores.shifts] measured after scoring, as plain values; None
        for a direct method and for a run without a folder.
    confidence : dict[str, float]
        How reliable its probabilities are on the test set: temperature and expected calibration errors.
    samples : dict[str, Tensor]
        The features that the shifts were measured on; empty if they were not measured.
    members : list[dict[str, Any]]
        The choice for each member of a composite method, as plain values; empty for other methods.
    left_out : dict[str, str]
        Why a member of a composite method was left out, by the label of the member.
    better : list[dict[str, Any]]
        What is far better on the same validation problems: a ``method``, or the ``settings`` of another size beside the
        run's ``own_settings``; each with its ``H`` and the run's ``own``.
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
    members: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    better: list[dict[str, Any]] = field(default_factory=list)


def nothing_synthesized(recipe: Recipe) -> InputError:
    """The error about a method without synthesis if validation is not trusted."""
    why = "synthesizes nothing, so without trust in validation nothing can judge it; use protocol last"
    return InputError(f"method '{recipe.method.name}' {why}")
