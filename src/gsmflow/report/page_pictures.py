"""Pictures on the page: small ones of test samples, and features that are pictures, real and synthetic."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gsmflow.report.record import Record
from gsmflow.runs.thumbnails import KINDS, media_type

_EACH = 8  # most pictures of a class and kind


@dataclass(frozen=True)
class Strip:
    """Pictures of one class side by side.

    Parameters
    ----------
    name : str
        The class.
    real : NDArray[np.float32]
        (n, height, width) in [0, 1].
    synthetic : NDArray[np.float32]
        (n, height, width) in [0, 1].
    """

    name: str
    real: NDArray[np.float32]
    synthetic: NDArray[np.float32]


@dataclass(frozen=True)
class Picture:
    """A small picture of a test sample.

    Parameters
    ----------
    address : str
        A data URI.
    text : str
        The picture in words, for readers who cannot see it.
    caption : str
        The text below it.
    """

    address: str
    text: str
    caption: str


@dataclass(frozen=True)
class Row:
    """Pictures of one class.

    Parameters
    ----------
    name : str
        The class's name.
    kind : str
        ``seen`` or ``unseen``.
    accuracy : str
        How many of its test samples are recognised, in words.
    pictures : dict[str, list[Picture]]
        The pictures of each kind: mistakes, and the recognised ones with the highest and the lowest probability.
    """

    name: str
    kind: str
    accuracy: str
    pictures: dict[str, list[Picture]]


def rows(record: Record) -> list[Row]:
    """A row for every class with pictures, those with most mistakes first."""
    small = record.thumbnails
    if small is None:
        return []
    classes, rates = record.classifier.classes, record.metrics["per_class"]
    by_class = []
    for label in sorted(np.unique(small.labels).tolist(), key=lambda c: rates.get(classes[c], 1.0)):
        pictures: dict[str, list[Picture]] = {kind: [] for kind in KINDS}
        for i in np.flatnonzero((small.labels == label) & (small.kind >= 0) & (small.kind < len(KINDS))):
            if not small.pictures[i]:
                continue
            kind, given, chance = (
                KINDS[small.kind[i]],
                classes[small.given[i]],
                f"{small.probability[i]:.0%}",
            )
            wrong = kind == "mistake"
            pictures[kind].append(
                Picture(
                    _data_uri(small.pictures[i], media_type(small.pictures[i])),
                    f"{classes[label]}, taken for {given}" if wrong else f"{classes[label]}, {chance} sure",
                    f"{given} {chance}" if wrong else chance,
                )
            )
        if any(pictures.values()):
            rate, seen = rates.get(classes[label]), record.seen[classes[label]]
            by_class.append(
                Row(
                    classes[label],
                    "seen" if seen else "unseen",
                    "" if rate is None else f"{rate:.0%} right",
                    pictures,
                )
            )
    return by_class


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def strips(record: Record) -> list[Strip]:
    """A strip for each class of the samples; empty where features are not pictures."""
    problem, samples = record.problem, record.samples
    if problem is None or problem.image_shape is None or samples is None:
        return []
    transform = record.classifier.transform
    if samples.real.shape[1] != transform.out_dim:
        return []
    low, high = (float(f(problem.features[problem.train])) for f in (np.min, np.max))

    def pictures(features: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        raw = transform.inverse(features[rows])
        return np.clip((raw - low) / ((high - low) or 1.0), 0, 1).reshape(-1, *(problem.image_shape or ()))

    shown = []
    for label in np.unique(samples.labels):
        rows = np.flatnonzero(samples.labels == label)[:_EACH]
        shown.append(
            Strip(problem.classes[label], pictures(samples.real, rows), pictures(samples.synthetic, rows))
        )
    return shown


def as_data_uri(images: NDArray[np.float32]) -> str:
    """One PNG of images (n, height, width) in [0, 1] side by side, with a pixel between them, as a data URI."""
    from PIL import Image

    count, height, width = images.shape
    sheet = np.zeros((height, count * (width + 1) - 1, 2), np.uint8)  # grey and opacity
    for index, image in enumerate(images):
        start = index * (width + 1)
        sheet[:, start : start + width, 0] = np.round(255 * image)
        sheet[:, start : start + width, 1] = 255
    buffer = io.BytesIO()
    Image.fromarray(sheet, "LA").save(buffer, "PNG", optimize=True)
    return _data_uri(buffer.getvalue(), "image/png")
