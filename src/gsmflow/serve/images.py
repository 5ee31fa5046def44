"""Where images become features: the one place the service asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow import run as runs
from gsmflow.errors import InputError
from gsmflow.images.backbone import open_backbone
from gsmflow.images.reading import UnreadableImage, read_image

Extractor = Callable[[bytes], NDArray[np.float32]]
"""The bytes of an image file to its features (D,), as the run was trained on them.

Raises :class:`gsmflow.errors.InputError` for bytes that are no image. Called from several threads at once.
"""


def extractor_of(run: Path, device: torch.device) -> Extractor | None:
    """How a run makes features of an image; None where it was trained on features and knows no backbone.

    Raises
    ------
    InputError: the run names a backbone that cannot be opened; the message says which file is needed.
    """
    if "backbone" not in runs.read_config(run):
        return None
    backbone = open_backbone(runs.load_backbone(run), device)
    one_at_a_time = threading.Lock()  # models are not promised to be safe to share

    def features(content: bytes) -> NDArray[np.float32]:
        try:
            picture = backbone.prepare(read_image(content))
        except UnreadableImage as error:
            raise InputError(f"image: {error}") from None
        with one_at_a_time:
            made = backbone.features(picture[None])[0]
        if not np.isfinite(made).all():
            raise InputError("image: the backbone gives features that are not finite; use another image")
        return made

    return features
