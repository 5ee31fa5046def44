"""From images to features, for the service."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.images.opening import open_backbone
from gsmflow.images.reading import UnreadableImage, read_image
from gsmflow.runs.folder import load_backbone, read_config

if TYPE_CHECKING:
    import torch

Extractor = Callable[[bytes], NDArray[np.float32]]
"""Turns the bytes of an image file into its features (D,), as the run was trained on them.

Raises [`InputError`][gsmflow.base.errors.InputError] for bytes that are no image. It is called from several
threads at once.
"""


def extractor_of(
    run: Path, device: torch.device, *, backbone: str | None = None, weights: str | None = None
) -> Extractor | None:
    """The function that computes a run's features of an image; None if the run's backbone is not known.

    Parameters
    ----------
    run : Path
        The run folder.
    device : torch.device
        Where the backbone computes.
    backbone : str | None
        Where the backbone's file is now, if it was moved.
    weights : str | None
        Where the backbone's weights are now, if they were moved.

    Raises
    ------
    InputError
        The backbone's file or package is missing, or it is not the backbone of the run.
    """
    if "backbone" not in read_config(run):
        return None
    opened = open_backbone(load_backbone(run).moved(backbone, weights), device)

    def extract(content: bytes) -> NDArray[np.float32]:
        try:
            picture = read_image(BytesIO(content))
        except UnreadableImage as error:
            raise InputError(f"image: {error}") from None
        return opened.features(opened.prepare(picture)[None])[0]

    return extract
