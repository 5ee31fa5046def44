"""What a protocol chooses, and what a run gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from gsmflow.heads.classifier import FittedClassifier
from gsmflow.scores.gzsl import Scores


@dataclass(frozen=True)
class Choice:
    """Everything a protocol may choose.

    Parameters
    ----------
    epochs : float
        Training length in epochs (fractions allowed).
    head_epochs : int
        Of the head.
    bias : float
        On the unseen logits, where it was chosen;
    real_rate, synthetic_rate : float | None
        How it is carried over, see [`gsmflow.protocol.unseen_bias`][gsmflow.protocol.unseen_bias].
    temperature : float
        Of the probabilities, fitted where the rest was chosen (see
        [`gsmflow.heads.calibration`][gsmflow.heads.calibration]); 1 where
        validation is not trusted.
    parameters : dict[str, float]
        Of a direct method.
    U, S, H, AUSUC : float
        Reached where it was chosen; where validation is not trusted only S, see `choose`.
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

    Parameters
    ----------
    choice : Choice | None
        What was chosen, None under ``last``.
    scores : Scores
        On the test set under the protocol.
    oracle : Choice | None
        Best on the test set, None unless asked for.
    confidence : dict[str, float]
        How far its probabilities can be believed on the test set, see `_confidence`.
    weights : dict[str, Tensor]
        Of the generator, empty for a direct method.
    steps : int
        Of the generator's final training.
    shifts : dict[str, Any] | None
        What [`gsmflow.scores.shifts`][gsmflow.scores.shifts] measured after scoring, as plain values, and
        samples: the features it
        was measured on; None and empty for a direct method and for a run that is not kept in a folder.
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
