"""Features that are pictures, shown as pictures: real and synthetic samples of each class."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gsmflow.report.reading import Record

_EACH = 8  # pictures of a class and kind


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


def strips(record: Record) -> list[Strip]:
    """A strip for each class of the samples; empty where features are no pictures."""
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

    found = []
    for label in np.unique(samples.labels):
        rows = np.flatnonzero(samples.labels == label)[:_EACH]
        found.append(
            Strip(problem.classes[label], pictures(samples.real, rows), pictures(samples.synthetic, rows))
        )
    return found


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
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
