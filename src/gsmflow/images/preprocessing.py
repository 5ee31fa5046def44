"""Prepares pictures for backbones in files: resize, crop, normalize. Models of timm have their own preparation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

INTERPOLATIONS = ("bilinear", "bicubic")
# Mean and standard deviation of each colour, of values in [0, 1].
NORMALIZATIONS: Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
NORMALIZATIONS_IN_WORDS: Mapping[str, str] = {
    "imagenet": "mean 0 and variance 1 over ImageNet",
    "clip": "mean 0 and variance 1 over CLIP's pictures",
    "half": "-1 to 1",
    "none": "0 to 1",
}


@dataclass(frozen=True)
class Preprocessing:
    """The usual transform for evaluation, equal to torchvision's Resize, CenterCrop and Normalize in every pixel.

    Parameters
    ----------
    size : int
        Side of the square that is cut out of the middle, in pixels.
    crop : float
        The side of that square as a fraction of the picture's shorter side; 1: the whole shorter side.
    interpolation : str
        One of INTERPOLATIONS, antialiased.
    normalization : str
        One of NORMALIZATIONS.

    Raises
    ------
    InputError
        A value is none of these.
    """

    size: int = 224
    crop: float = 0.875
    interpolation: str = "bicubic"
    normalization: str = "imagenet"

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 4096:
            raise InputError(f"{self.size}: expected 1 to 4096 pixels", parameter="size")
        if not 0 < self.crop <= 1:
            raise InputError(f"{self.crop}: expected a fraction above 0, at most 1", parameter="crop")
        in_words = tuple(f"{name} ({words})" for name, words in NORMALIZATIONS_IN_WORDS.items())
        for parameter, value, known, said in (
            ("interpolation", self.interpolation, INTERPOLATIONS, INTERPOLATIONS),
            ("normalization", self.normalization, tuple(NORMALIZATIONS), in_words),
        ):
            if value not in known:
                raise InputError(f"{value}: expected one of {', '.join(said)}", parameter=parameter)

    def __call__(self, image: Image) -> NDArray[np.float32]:
        """An RGB picture as float32 (3, size, size)."""
        from PIL.Image import Resampling

        shorter = int(self.size / self.crop)
        width, height = image.size
        # The longer side is cut down to whole pixels, as torchvision does.
        to = (shorter * width // min(image.size), shorter * height // min(image.size))
        resized = image.resize(to, Resampling[self.interpolation.upper()])
        left, top = (round((side - self.size) / 2) for side in to)
        cut = resized.crop((left, top, left + self.size, top + self.size))
        mean, std = (np.array(values, np.float32) for values in NORMALIZATIONS[self.normalization])
        colours = np.asarray(cut, np.float32) / 255
        return np.ascontiguousarray(((colours - mean) / std).transpose(2, 0, 1), np.float32)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return {
            "size": self.size,
            "crop": self.crop,
            "interpolation": self.interpolation,
            "normalization": self.normalization,
        }
