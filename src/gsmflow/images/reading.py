"""Reads an image file as an RGB picture, or says in words why it cannot be used."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.files.guard import other_kind

if TYPE_CHECKING:
    from PIL.Image import Image

# The usual formats of photographs. Others are never opened (EPS, for example, would run an interpreter).
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_FEW_BITS = (
    4096  # of 16 bits a pixel, below which they hold 12 or fewer: all but black where all 16 are meant
)
_LONGEST = 50  # times its width; beyond that, resizing the shorter side could make a tiny picture enormous


class UnreadableImage(Exception):
    """An image that cannot be used; its text is the reason, without the file's name."""


@contextmanager
def strict_size() -> Iterator[None]:
    """In this context, Pillow refuses images with more pixels than its limit, where it would only warn."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read_image(path: Path | BinaryIO) -> Image:
    """The picture in a file, or in an open one, as RGB, upright as its EXIF data say, transparency on white.

    Of several pictures in a file the first is read. Sizes are checked before anything is decompressed:
    pictures with more pixels than Pillow's ``MAX_IMAGE_PIXELS`` (89 million) or more than 50 times as long as
    wide are refused. 16 bits a pixel are converted to 8.

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
        # Pillow may have been built without some of these formats.
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
    # Decoders raise many kinds of errors on damaged files (struct.error, IndexError, SyntaxError, ...).
    except Exception as error:
        known = isinstance(error, Image.UnidentifiedImageError)
        reason = _kind_of(path) if known else str(error) or type(error).__name__
        raise UnreadableImage(" ".join(reason.split())[:200]) from None


def _kind_of(path: Path | BinaryIO) -> str:
    """Why a file that Pillow does not know cannot be used, by how it begins."""
    try:
        if isinstance(path, Path):
            with open(path, "rb") as file:
                head = file.read(64)
        else:
            path.seek(0)
            head = path.read(64)
    except (OSError, ValueError):
        head = b"?"
    if not head:
        return "the file is empty"
    if head[4:8] == b"ftyp":
        kind = "AVIF" if b"avif" in head[8:32] else "HEIC" if head[8:12] in _HEIC else "a video"
        return f"{kind}, which is not read; save it as JPEG or PNG"
    if other := other_kind(head):
        remedy = "save its pictures as JPEG or PNG" if b"%pdf-" in head.lower() else other[1]
        return f"{other[0]}, not an image; {remedy}"
    return "not an image, or of a format that is not read"


def _too_large(limit: int) -> str:
    return f"more than {limit / 1e6:.0f} million pixels; scale it down"


def _rgb(image: Image) -> Image:
    from PIL import Image

    if image.mode.startswith("I;16"):
        values = np.asarray(image)
        if 255 < values.max(initial=0) < _FEW_BITS:
            raise UnreadableImage(
                f"16 bits a pixel, yet no value above {values.max()}, so that it would be all but black; save it "
                "with 8 bits a pixel"
            )
        image = Image.fromarray((values >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise UnreadableImage(
            f"pixels of mode {image.mode}, without a known range; save it with 8 bits a colour"
        )
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image.convert("RGB")
