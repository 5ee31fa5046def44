"""Example requests in the API reference, with numbers and names of the run that is served."""

from __future__ import annotations

from typing import Any

import numpy as np

from gsmflow.serve.service import Service

Examples = dict[str, Any]


def examples(service: Service) -> tuple[Examples, Examples]:
    """Bodies that label samples, and that add a class."""
    version, examples = service.version, service.examples
    features = [0.0] * version.classifier.transform.in_dim
    if examples is not None:
        features = [round(float(value), 3) for value in examples.features[0]]
    like = version.classifier.classes[0]
    every = [version.own_values(index) for index in range(len(version.semantics))]
    values, differs, middle = every[0], {}, {}
    for first in list(values)[:1]:
        low, high = (float(f([of_class[first] for of_class in every])) for f in (np.min, np.max))
        middle = {first: (low + high) / 2}
        differs = {first: low if values[first] > middle[first] else high}
    labels = {
        "one sample": {
            "summary": "A test sample: its three most probable classes, and the five attributes that decided",
            "value": {"features": [features], "top": 3, "explain": 5},
        }
    }
    classes = {
        "like another": {
            "summary": "As another class, with differences",
            "value": {"name": "new class", "like": like, "semantics": differs},
        },
    }
    joined = version.describer.joined
    if values and not (joined and version.describer.takes_text and service.encode is None):
        classes["all values"] = {
            "summary": "All attributes by name",
            "value": {"name": "new class", "semantics": values | middle},
        }
    if service.encode is not None and not joined:
        classes["text"] = {
            "summary": "By a sentence",
            "value": {"name": "new class", "text": "a striped animal with hooves"},
        }
    return labels, classes
