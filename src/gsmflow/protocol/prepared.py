"""A prepared problem: transformed features, the training part as tensors, and scores of heads on its test parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.compute.finite import TrainingFailed, first_not_finite
from gsmflow.data.feature_options import FeatureOptions
from gsmflow.data.problem import Problem
from gsmflow.data.transform import FeatureTransform
from gsmflow.heads.base import Head
from gsmflow.heads.calibration import BINS, expected_calibration_error, fit_temperature, softmax
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.learning.tensors import TrainingData
from gsmflow.protocol.unseen_bias import unseen_margins
from gsmflow.scores.gzsl import Scores, SeenUnseenCurve, Summary, curve_on, score, seen_unseen_curve

_TESTED = 8192  # test samples classified at a time
_AT_HAND = 1 << 25  # most numbers in test features that stay on the device
_FITTED = 1024  # most validation samples that a temperature is fitted on
_SPREAD_OF = 1024  # most training samples that the spread of logits is computed from


@dataclass(frozen=True)
class Prepared:
    """A problem in the space that methods work in.

    Parameters
    ----------
    problem : Problem
        The problem with transformed features (N, D).
    transform : FeatureTransform
        The transformation, fitted on the training part alone.
    data : TrainingData
        The training part as tensors, on the device of the run.
    """

    problem: Problem
    transform: FeatureTransform
    data: TrainingData

    @staticmethod
    def of(problem: Problem, options: FeatureOptions, device: torch.device) -> Prepared:
        """Fit the transformation on the training part of a problem with raw features, and apply it to all."""
        return Prepared.by(FeatureTransform.fit(problem, options), problem, device)

    @staticmethod
    def by(transform: FeatureTransform, problem: Problem, device: torch.device) -> Prepared:
        """Apply a fitted transformation to a problem with raw features."""
        transformed = replace(
            problem,
            features=transform(problem.features),
            image_shape=None,
            feature_names=None,
            offset=None,
        )
        return Prepared(transformed, transform, TrainingData.of(transformed, device))

    @cached_property
    def _spread_of(self) -> Tensor:
        """The training samples that a spread is computed from: the same tensor for every head, so that heads can
        share what they compute from it."""
        return self.data.features[:: -(-len(self.data.features) // _SPREAD_OF)]

    @property
    def device(self) -> torch.device:
        """The device of the tensors."""
        return self.data.device

    @cached_property
    def _tested(self) -> list[Tensor] | None:
        """The features of seen and of unseen test samples, shared by all candidates; None if they are many."""
        problem = self.problem
        if (len(problem.test_seen) + len(problem.test_unseen)) * problem.feature_dim > _AT_HAND:
            return None
        parts = (problem.test_seen, problem.test_unseen)
        return [torch.from_numpy(problem.features[part]).to(self.device) for part in parts]

    def curve(self, head: Head) -> SeenUnseenCurve:
        """The seen-unseen curve of a head of transformed features on the test parts."""
        if self._tested is None:
            return curve_on(self.problem, _logits_of(head))
        problem, summaries = self.problem, []
        for features, part in zip(self._tested, (problem.test_seen, problem.test_unseen), strict=True):
            logits = _checked(head.logits(features))
            summaries.append(Summary.of(logits, problem.labels[part], problem.unseen))
        return seen_unseen_curve(*summaries)

    def called_unseen(self, head: Head, bias: float) -> float:
        """Fraction of the test samples of seen classes that a head with a bias on unseen classes calls unseen."""
        problem = self.problem
        if self._tested is not None:
            logits = _checked(head.logits(self._tested[0]))
        else:
            logits = self.test_logits(head)[0][: len(problem.test_seen)]
        return float((unseen_margins(logits, problem.unseen) < bias).mean()) if len(logits) else 0.0

    def scores(self, classifier: FittedClassifier) -> Scores:
        """All scores of a classifier on the test parts, whose features are transformed already."""
        alone = classifier.unseen_head
        return score(
            self.problem,
            _logits_of(classifier.head),
            unseen_logits=_logits_of(alone) if alone else None,
            bias=classifier.bias,
        )

    def test_logits(self, head: Head, bias: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Logits and labels of the test samples, those of seen classes first.

        Parameters
        ----------
        head : Head
            A head of transformed features.
        bias : float
            Added to the logits of unseen classes.

        Returns
        -------
        NDArray[np.float32]
            Logits (T, C).
        NDArray[np.int64]
            Labels (T,), indices of classes.
        """
        problem = self.problem
        test = np.concatenate((problem.test_seen, problem.test_unseen))
        logits = np.empty((len(test), head.classes), np.float32)
        for start in range(0, len(test), _TESTED):
            rows = test[start : start + _TESTED]
            logits[start : start + len(rows)] = _logits_of(head)(problem.features[rows])
        logits[:, problem.unseen] += np.float32(bias)
        return logits, problem.labels[test]

    def spread(self, head: Head) -> float:
        """Standard deviation of the logits of training samples around each sample's mean; 1 where it is 0.

        Logits of different heads are comparable once they are divided by it.
        """
        logits = head.logits(self._spread_of).double()
        return float((logits - logits.mean(dim=1, keepdim=True)).square().mean().sqrt()) or 1.0

    def temperature(self, head: Head, bias: float) -> float:
        """The temperature that fits the probabilities of a head with this bias to the test samples."""
        features, labels = self._fitted_on
        logits = _checked(head.logits(features)).copy()
        logits[:, self.problem.unseen] += np.float32(bias)
        return fit_temperature(logits, labels)

    @cached_property
    def _fitted_on(self) -> tuple[Tensor, NDArray[np.int64]]:
        """Features and labels of the test samples that temperatures are fitted on, evenly spaced."""
        test = np.concatenate((self.problem.test_seen, self.problem.test_unseen))
        test = test[:: -(-len(test) // _FITTED) or 1]
        return torch.from_numpy(self.problem.features[test]).to(self.device), self.problem.labels[test]

    def confidence(self, classifier: FittedClassifier) -> dict[str, float]:
        """The temperature in use, and the expected calibration error on the test set with it and without one.

        Empty without test samples.
        """
        logits, labels = self.test_logits(classifier.head, classifier.bias)
        if not len(labels):
            return {}
        return {
            "temperature": classifier.temperature,
            "ECE": expected_calibration_error(softmax(logits, classifier.temperature), labels),
            "ECE_at_1": expected_calibration_error(softmax(logits), labels),
            "bins": BINS,
        }


def _logits_of(head: Head) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """The function from features (N, D) to logits (N, C); it refuses logits that are not finite."""
    device = head.device

    def logits(features: NDArray[np.float32]) -> NDArray[np.float32]:
        return _checked(head.logits(torch.from_numpy(np.ascontiguousarray(features)).to(device)))

    return logits


def _checked(logits: Tensor) -> NDArray[np.float32]:
    """Logits (N, C) on the CPU; refused if one is not finite."""
    row = first_not_finite(logits)
    if row is not None:
        raise TrainingFailed(
            f"scoring: the logits of a test sample are not finite (the {row + 1}. of its part): its "
            "features lie too far from the training features; correct them, or choose another "
            "features.scaling"
        )
    return logits.cpu().numpy()
