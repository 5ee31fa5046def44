"""One image file in, one RGB picture out; whatever is wrong with the file becomes a reason in words."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing

if TYPE_CHECKING:
    from PIL.Image import Image

# Formats that programs make of photographs. Others (EPS runs an interpreter, for one) are not opened at all.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_LONGEST = 50  # times its width: resizing its shorter side would make a picture of a few pixels enormous


class UnreadableImage(Exception):
    """An image that cannot be used; its text is the reason, without the file's name."""


@contextmanager
def strict_size() -> Iterator[None]:
    """Inside, Pillow refuses images beyond its limit of pixels where it would only warn."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read_image(path: Path | BinaryIO) -> Image:
    """The picture in a file, or in an open one, as RGB, upright as its EXIF data say, transparency on white.

    Of several pictures in a file it is the first. A file is looked at before it is decompressed: more pixels
    than Pillow's ``MAX_IMAGE_PIXELS`` (89 million) are refused, and pictures more than 50 times as long as wide.
    16 bits a pixel are brought to 8.

    Raises
    ------
    UnreadableImage
        The file is missing, damaged, cut short, too large, or of a kind that has no 8-bit colours.
    InputError
        Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise InputError(f"images need Pillow: {installing('images')}") from None
    try:
        if isinstance(path, Path) and not path.is_file():
            raise UnreadableImage("no such file" if not path.exists() else "not a file")
        Image.init()
        # A Pillow built without one of the libraries underneath does not know all of them.
        with Image.open(path, formats=[each for each in _FORMATS if each in Image.OPEN]) as image:
            limit = Image.MAX_IMAGE_PIXELS or 0
            if limit and image.width * image.height > limit:
                raise UnreadableImage(_too_large(limit))
            if max(image.size) > _LONGEST * min(image.size):
                raise UnreadableImage(f"{image.width} x {image.height} pixels are no picture; crop it")
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
    except UnreadableImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImage(_too_large(Image.MAX_IMAGE_PIXELS or 0)) from None
    # Decoders of damaged files raise what they please (struct.error, IndexError, SyntaxError, ...).
    except Exception as error:
        known = isinstance(error, Image.UnidentifiedImageError)
        reason = (
            "not an image, or of a format that is not read" if known else str(error) or type(error).__name__
        )
        raise UnreadableImage(" ".join(reason.split())[:200]) from None


def _too_large(limit: int) -> str:
    return f"more than {limit / 1e6:.0f} million pixels; scale it down"


def _rgb(image: Image) -> Image:
    from PIL import Image

    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise UnreadableImage(
            f"pixels of mode {image.mode}, without a known range; save it with 8 bits a colour"
        )
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image.convert("RGB")
