"""IAP, indirect attribute prediction (Lampert et al., PAMI 2014): attributes from predicted seen classes.

One classifier of the K seen classes is trained. The probability of an attribute is the total probability of the seen
classes that have it. [`gsmflow.methods.workings.attributes`][gsmflow.methods.workings.attributes] says how classes are
scored::

    p(a_m = 1 | x) = sum_k a_km softmax(l(x) / T)_k

A temperature T above 1 spreads the probability over more of the seen classes; the paper has none. Probabilities of
attributes are at least 10^-6.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from gsmflow.heads.base import Head
from gsmflow.heads.linear import LinearHead
from gsmflow.heads.representation import Representation, RepresentedHead
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.iap import IAPOptions
from gsmflow.methods.workings.attributes import Array, Attributes, Units, classifiers, tensor

_TEMPERATURES = (0.0, 2.0, 4.0)


def solutions(data: TrainingData, options: IAPOptions) -> Iterator[tuple[dict[str, float], Head]]:
    """A head for every classifier and temperature; the one in the options comes first."""
    attributes, units = Attributes.of(data), Units.of(data)
    features, labels = units(data.features), data.labels.cpu().numpy()
    also = _TEMPERATURES if options.tried else ()
    for base in classifiers(options):
        weights, biases = base.fit(features, labels)
        if len(biases) == 1:  # two classes, one log-odds
            weights, biases = np.vstack((0 * weights, weights)), np.array([0.0, biases[0]])
        for temperature in dict.fromkeys((options.temperature, *also)):
            logits = (weights / 2**temperature, biases / 2**temperature)
            head = _head(data, attributes, units, logits, base.bayes)
            yield {**base.parameters, "temperature": temperature}, head


def _head(
    data: TrainingData, attributes: Attributes, units: Units, logits: tuple[Array, Array], bayes: bool
) -> Head:
    """The head from weights and biases of the logits, which take features in units."""
    (weights, biases), device = logits, data.device
    layers = [units.layer(device)] if bayes else []
    if not bayes:
        weights = weights / units.spread
        biases = biases - weights @ units.middle
    layers.append((tensor(weights, device), tensor(biases, device), "softmax"))
    values = attributes.values
    seen = values[data.seen.cpu().numpy()].T
    has_or_not = np.vstack((seen, 1 - seen))
    layers.append((tensor(has_or_not, device), torch.zeros(len(has_or_not), device=device), "log"))
    head = LinearHead(tensor(np.hstack((values, 1 - values)), device), tensor(attributes.offsets(), device))
    return RepresentedHead(Representation(tuple(layers), (len(layers),)), head)
