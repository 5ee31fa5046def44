"""What DAP and IAP share (Lampert et al., PAMI 2014): binary attributes, classes scored by them, base classifiers.

With the attributes a_z of class z in {0, 1}^M, probabilities p(a_m = 1 | x) from either method, and as prior of an
attribute the share pi_m of seen classes that have it::

    logit_z = sum_m log p(a_m = a_zm | x) - sum_m log p(a_m = a_zm),    p(a_m = 1) = pi_m

Semantics that are not binary are divided at their mean over the seen classes, one threshold for each dimension.
Dimensions in which all seen classes are alike cannot be learnt and are left out.

Features are centred, with one scale for all dimensions, so that a regularizer means the same for all. Base classifiers
are scikit-learn's logistic regression, whose log-odds are linear in the features, and its Gaussian naive Bayes, whose
log-odds are linear in the features and their squares. So both become layers of a head, which is stored, served and
exported like any other.

Different from the paper: logistic regression and naive Bayes replace support vector machines with a kernel for
histograms; all classes, seen ones too, are scored by their attributes; the regularizer is chosen in validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.compute.finite import positive
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.attributes import AttributeOptions

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Attributes:
    """Binary attributes of all classes.

    Parameters
    ----------
    values : Array
        (C, M) of 0 and 1.
    prior : Array
        (M,) the share of the seen classes that have each attribute, above 0 and below 1.
    """

    values: Array
    prior: Array

    @staticmethod
    def of(data: TrainingData) -> Attributes:
        """The semantics divided at their mean over the seen classes.

        Raises
        ------
        InputError
            The seen classes do not differ in any dimension.
        """
        semantics = data.semantics.double().cpu().numpy()
        seen = semantics[data.seen.cpu().numpy()]
        lowest, highest = seen.min(axis=0), seen.max(axis=0)
        if not (lowest < highest).any():
            raise InputError(
                f"semantics: {len(seen)} seen classes that differ in no attribute, expected two at least that do; "
                "attribute prediction has nothing to learn from: choose another method"
            )
        # The mean of equal numbers can differ from them by rounding.
        values = (semantics > np.clip(seen.mean(axis=0), lowest, highest))[:, lowest < highest].astype(float)
        return Attributes(values, values[data.seen.cpu().numpy()].mean(axis=0))

    def offsets(self) -> Array:
        """- sum_m log p(a_m = a_zm), (C,)."""
        return -(self.values @ np.log(self.prior) + (1 - self.values) @ np.log1p(-self.prior))


@dataclass(frozen=True)
class Units:
    """Centred features with one scale, and for naive Bayes also their squares.

    Parameters
    ----------
    middle : Array
        (D,) the mean feature.
    spread : float
        The root of the mean variance.
    """

    middle: Array
    spread: float

    @staticmethod
    def of(data: TrainingData) -> Units:
        """The units of the training features."""
        spread = positive(data.features.double().var(dim=0, correction=0).mean().sqrt())
        return Units(data.features.double().mean(dim=0).cpu().numpy(), float(spread))

    def __call__(self, features: Tensor) -> NDArray[np.float32]:
        """Features (N, D) in these units."""
        return ((features.double().cpu().numpy() - self.middle) / self.spread).astype(np.float32)

    def layer(self, device: torch.device) -> tuple[Tensor, Tensor, str]:
        """The layer of a head that computes features in these units and their squares, (N, 2 D)."""
        scale = torch.full((len(self.middle),), 1 / self.spread, device=device)
        return scale, tensor(-self.middle / self.spread, device), "squares"


@dataclass(frozen=True)
class BaseClassifier:
    """A kind of classifier with its regularizer.

    Parameters
    ----------
    bayes : bool
        True: Gaussian naive Bayes; False: logistic regression.
    exponent : float
        The exponent of its smoothing or its ridge.
    """

    bayes: bool
    exponent: float

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters that record the choice."""
        return {"bayes": float(self.bayes), "smoothing" if self.bayes else "ridge": self.exponent}

    def fit(self, features: NDArray[np.float32], labels: NDArray[np.integer]) -> tuple[Array, Array]:
        """Weights (K, D), or (K, 2 D) over features and their squares, and biases (K,).

        Two labels have one log-odds, K = 1; with more labels each has a logit.
        """
        if self.bayes:
            return self._fit_bayes(features, labels)
        strength = 1 / (len(features) * 10**self.exponent)
        logistic = LogisticRegression(C=strength, tol=1e-3, max_iter=1000).fit(features, labels)
        return logistic.coef_.astype(float), logistic.intercept_.astype(float)

    def _fit_bayes(self, features: NDArray[np.float32], labels: NDArray[np.integer]) -> tuple[Array, Array]:
        bayes = GaussianNB(var_smoothing=10**self.exponent).fit(features.astype(float), labels)
        variance = np.maximum(bayes.var_, np.finfo(np.float32).tiny)
        weights = np.hstack((bayes.theta_ / variance, -0.5 / variance))
        biases = np.log(bayes.class_prior_) - 0.5 * (np.log(variance) + bayes.theta_**2 / variance).sum(
            axis=1
        )
        return (np.diff(weights, axis=0), np.diff(biases)) if len(biases) == 2 else (weights, biases)

    def inputs(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The input of the classifier: features (N, D) in units, and for naive Bayes their squares beside them."""
        return np.hstack((features, features**2)) if self.bayes else features


def classifiers(options: AttributeOptions) -> Iterator[BaseClassifier]:
    """The classifiers to try; the one in the options comes first."""
    kinds = (options.classifier, "bayes" if options.classifier == "logistic" else "logistic")
    for kind in kinds if options.tried else kinds[:1]:
        middle = options.smoothing if kind == "bayes" else options.ridge
        for shift in sorted(range(-options.tried, options.tried + 1), key=abs):
            yield BaseClassifier(kind == "bayes", middle + shift)


def tensor(array: Array, device: torch.device) -> Tensor:
    """The array, of any shape (...), in float32 on a device."""
    return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device)
