"""The answers of the service, from a version of the run."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.heads.calibration import softmax
from gsmflow.runs.examples import Examples
from gsmflow.runs.thumbnails import media_type
from gsmflow.serve.messages import Attribute, Prediction, Predictions, RankedClass, Reason, Sample, Scores
from gsmflow.serve.reasons import reasons, standing
from gsmflow.serve.service import Version

_TEXTS_ALONE = (
    "The classes of this run are described by texts. Vectors of texts have no named parts, so no attributes are "
    "listed."
)


def predictions(version: Version, logits: NDArray[np.float32], top: int, explain: int) -> Predictions:
    """The `top` most probable classes of each sample, and the `explain` attributes that decided."""
    classifier = version.classifier
    probabilities = softmax(logits, classifier.temperature)
    unseen = set(classifier.unseen.tolist())
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, : min(top, len(classifier.classes))]
    answered = []
    for row, z, best in zip(probabilities, logits, order, strict=True):
        ranked = [
            RankedClass(
                index=int(c),
                name=classifier.classes[c],
                seen=int(c) not in unseen,
                probability=min(1.0, float(row[c])),
            )
            for c in best
        ]
        answered.append(Prediction(classes=ranked, **_explained(version, z, best, explain)))
    return Predictions(run=version.name, predictions=answered)


def _explained(
    version: Version, logits: NDArray[np.float32], best: NDArray[np.int64], most: int
) -> dict[str, Any]:
    if not most:
        return {}
    if not version.describer.by_hand:
        return {"note": _TEXTS_ALONE}
    scaled = logits.astype(np.float64) / version.classifier.temperature
    why = reasons(scaled, version.semantics.astype(np.float64), best)
    place = {dimension: rank for rank, dimension in enumerate(why.order.tolist())}
    told = []
    for name, dimensions in version.describer.told_apart():
        spoken = why.contributions[:, dimensions].sum(axis=1)
        weight = why.weights[dimensions]
        size = float(weight[0]) if len(dimensions) == 1 else float(np.linalg.norm(weight))
        apart = abs(spoken[0] - (spoken[1:].mean() if len(spoken) > 1 else 0.0))
        reason = Reason(name=name, weight=size, contributions=spoken.tolist())
        told.append((-apart, min(place[d] for d in dimensions), reason))
    told.sort(key=lambda each: each[:2])
    return {"reasons": [reason for *_, reason in told[:most]], "explained": why.explained}


def class_of(version: Version, index: int) -> dict[str, Any]:
    """The description of a class that every answer has."""
    classifier = version.classifier
    return {
        "index": index,
        "name": classifier.classes[index],
        "seen": not np.isin(index, classifier.unseen),
        "added": index >= version.trained,
    }


def attributes(version: Version, index: int) -> list[Attribute]:
    """The values that a class is described by, in their own units, and how they compare with those of all classes."""
    names, values = version.describer.own_of_all(version.semantics)
    semantics = values.astype(np.float64)
    low, high, stands = semantics.min(axis=0), semantics.max(axis=0), standing(semantics)
    return [
        Attribute(
            name=name,
            value=float(semantics[index, d]),
            low=float(low[d]),
            high=float(high[d]),
            standing=float(stands[index, d]),
        )
        for d, name in enumerate(names)
    ]


def samples(version: Version, examples: Examples) -> list[Sample]:
    """The test samples stored with the run, with their pixels or small pictures if there are any."""
    pixels = (np.clip(examples.features, 0, 1) * 255).round().astype(int) if examples.image_shape else None
    return [
        Sample(
            index=index,
            label=int(label),
            name=version.classifier.classes[label],
            seen=not np.isin(label, version.classifier.unseen),
            pixels=None if pixels is None else pixels[index].tolist(),
            picture=_data_uri(examples.pictures[index]) if index < len(examples.pictures) else None,
        )
        for index, label in enumerate(examples.labels)
    ]


def _data_uri(content: bytes) -> str | None:
    if not content:
        return None
    return f"data:{media_type(content)};base64,{base64.b64encode(content).decode()}"


def scores(told: dict[str, Any]) -> Scores:
    """U, S and H of a run's metrics."""
    return Scores(U=told["U"], S=told["S"], H=told["H"])
