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

    epochs: training length in epochs (fractions allowed). head_epochs: of the head. bias: on the
    unseen logits, where it was chosen; real_rate, synthetic_rate: how it is carried over, see
    :mod:`gsmflow.protocol.unseen_bias`. temperature: of the probabilities, fitted where the rest was chosen (see
    :mod:`gsmflow.heads.calibration`); 1 where validation is not trusted. parameters: of a direct method.
    U, S, H, AUSUC: reached where it was chosen; where validation is not trusted only S, see :func:`choose`.
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
    direct method. steps: of the generator's final training. shifts: what :mod:`gsmflow.scores.shifts` measured
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
