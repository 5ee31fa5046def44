"""DAP, direct attribute prediction (Lampert et al., PAMI 2014): a classifier for every attribute.

Each attribute has a classifier, trained on all training samples, with the attribute of a sample's class as label.
[`gsmflow.methods.workings.attributes`][gsmflow.methods.workings.attributes] says how classes are scored. With log-odds
l_m(x) = log p(a_m = 1 | x) - log p(a_m = 0 | x) and without the terms common to all classes, this is::

    logit_z = sum_m a_zm l_m(x) - sum_m log p(a_m = a_zm)

So DAP with logistic regression is one linear head, and with naive Bayes a linear head on features and squares.

Platt scaling (Platt 1999) is l_m -> s_m l_m + t_m with s_m >= 0. A classifier trained on four fifths of the samples
gives the log-odds of the others, on which s_m and t_m are fitted. The paper needs it for support vector machines.
Classifiers that give probabilities gain from it if attributes are hard to predict, and lose if attributes are
separated without error in training. So both are tried.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from gsmflow.compute.randomness import stream
from gsmflow.heads.base import Head
from gsmflow.heads.linear import LinearHead
from gsmflow.heads.representation import Representation, RepresentedHead
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.dap import DAPOptions
from gsmflow.methods.workings.attributes import Array, Attributes, BaseClassifier, Units, classifiers, tensor

_HELD_OUT = 5  # one in so many samples is held out for Platt scaling


def solutions(data: TrainingData, options: DAPOptions) -> Iterator[tuple[dict[str, float], Head]]:
    """A head for every classifier, with Platt scaling and without; the one in the options comes first."""
    attributes, units = Attributes.of(data), Units.of(data)
    features, labels = units(data.features), data.labels.cpu().numpy()
    targets = attributes.values[data.seen.cpu().numpy()][labels].astype(int)
    scaled = (options.platt, not options.platt) if options.tried else (options.platt,)
    for base in classifiers(options):
        weights, biases = log_odds(base, features, targets)
        for platt in scaled:
            odds = (weights, biases)
            if platt:
                slopes, offsets = platt_scaling(base, features, targets)
                odds = (weights * slopes[:, None], biases * slopes + offsets)
            head = _head(attributes, units, base, odds, data.device)
            yield {**base.parameters, "platt": float(platt)}, head


def log_odds(
    base: BaseClassifier, features: NDArray[np.float32], targets: NDArray[np.integer]
) -> tuple[Array, Array]:
    """Weights (M, F) and biases (M,) of the log-odds of all attributes, from targets (N, M) of 0 and 1."""
    fitted = [base.fit(features, target) for target in targets.T]
    inputs = base.inputs(features[:1]).shape[1]
    weights = np.concatenate([np.zeros((0, inputs)), *(weight for weight, _ in fitted)])
    return weights, np.concatenate([np.zeros(0), *(bias for _, bias in fitted)])


def platt_scaling(
    base: BaseClassifier, features: NDArray[np.float32], targets: NDArray[np.integer]
) -> tuple[Array, Array]:
    """Slopes and offsets (M,) that fit log-odds to samples that the classifier was not trained on.

    If an attribute has only one label in either part of the samples, its log-odds stay as they are.
    """
    order = torch.randperm(len(features), generator=stream("cpu", 0, "platt")).numpy()
    judged = order[: len(order) // _HELD_OUT]
    fitted_on = order[len(order) // _HELD_OUT :]
    inputs = base.inputs(features[judged])
    slopes, offsets = np.ones(targets.shape[1]), np.zeros(targets.shape[1])
    for index, target in enumerate(targets.T):
        if any(len(np.unique(target[part])) < 2 for part in (judged, fitted_on)):
            continue
        weight, bias = base.fit(features[fitted_on], target[fitted_on])
        odds = inputs @ weight[0] + bias[0]
        size = max(float(np.abs(odds).mean()), 1e-12)
        # The prior of the slope, relative to the size of the log-odds, keeps it finite if all samples are right.
        scaling = LogisticRegression(C=1.0).fit(odds[:, None] / size, target[judged])
        slopes[index], offsets[index] = max(scaling.coef_[0, 0] / size, 0.0), scaling.intercept_[0]
    return slopes, offsets


def _head(
    attributes: Attributes,
    units: Units,
    base: BaseClassifier,
    odds: tuple[Array, Array],
    device: torch.device,
) -> Head:
    """The head from weights and biases of the log-odds, which take features in units."""
    weights, biases = odds
    by_class = attributes.values @ weights
    bias = attributes.values @ biases + attributes.offsets()
    if base.bayes:
        head = LinearHead(tensor(by_class, device), tensor(bias, device))
        return RepresentedHead(Representation((units.layer(device),), (1,)), head)
    by_class /= units.spread
    return LinearHead(tensor(by_class, device), tensor(bias - by_class @ units.middle, device))
