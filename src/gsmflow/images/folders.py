"""What the name of a folder of images means: a part of the data, a class, or a place such as ``images``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.files.class_names import normal, part

_BESIDE = {
    *("set", "split", "part", "seg", "seen", "unseen", "folder", "data", "dataset"),
    *("images", "image", "imgs", "img", "pictures", "photos"),
}
_JOINED = re.compile(r"(train|training|test|testing|val|valid|validation)set")
_PLACES = {
    *("images", "image", "imgs", "img", "pictures", "pics", "photos", "data", "dataset", "jpegimages"),
    *("frames", "crops", "labels", "masks", "annotations", "images_raw", "raw", "originals"),
}


def part_of(folder: str) -> str | None:
    """The part that the name of a folder means, ``train``, ``val`` or ``test``, possibly with a number or a word such
    as ``images``; None for other names.

    >>> part_of("Train"), part_of("val2017"), part_of("test_images"), part_of("seg_train"), part_of("train station")
    ('train', 'val', 'test', 'train', None)
    """
    if exactly := part(folder):
        return exactly
    words = re.findall(r"[^\W\d_]+", normal(folder).casefold())
    words = [_JOINED.sub(r"\1", word) for word in words if word not in _BESIDE]
    return part(words[0]) if len(words) == 1 else None


def refuse_places(path: Path, labels: Sequence[str], parts: Sequence[tuple[str, ...]]) -> None:
    """Refuse folders that are not classes: all of them are named as places, or there is one and it holds folders.

    Parameters
    ----------
    path : Path
        The folder that was named.
    labels : Sequence[str]
        (N,) what would be the class of each image.
    parts : Sequence[tuple[str, ...]]
        (N,) the path of each image below the folders of parts.

    Raises
    ------
    InputError
        They are not classes; the message names the folder that may be meant.
    """
    classes = sorted(set(labels))
    deep = all(len(each) > 2 for each in parts)
    if len(classes) == 1 and deep:
        inner = sorted({each[1] for each in parts})
        raise InputError(
            f"{path}: holds one folder of images, {classes[0]}, with folders in it ({listed(inner)}); if those are the "
            f"classes, name {path / classes[0]}; if {classes[0]} is the class, list the images in a CSV"
        )
    if all(name.casefold() in _PLACES or part_of(name) for name in classes):
        raise InputError(
            f"{path}: its folders ({listed(classes)}) are named as places, not as classes; name the folder that holds "
            "one folder a class, or list images and classes in a CSV"
        )


def remark_on_depth(labels: Sequence[str], parts: Sequence[tuple[str, ...]]) -> str:
    """A remark that the top folders are the classes, if all images are in folders below them; otherwise empty."""
    if not all(len(each) > 2 for each in parts):
        return ""
    inner = sorted({each[1] for each in parts})
    return (
        f"the classes are the folders {listed(sorted(set(labels)))}; the folders in them ({listed(inner)}) are not: if "
        "they are meant, put them beside each other"
    )
