"""What a run is scored on: a problem, a table of labelled features, or labelled pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os.path import isdir
from pathlib import Path
from typing import Any

from gsmflow import sources
from gsmflow.base.errors import InputError
from gsmflow.files.chunks import shards
from gsmflow.files.class_names import alike, matched
from gsmflow.files.rows import ENDINGS
from gsmflow.images.listing import Listing, holds_classes, is_image, list_labelled
from gsmflow.runs.classes import class_names
from gsmflow.runs.pictures import has_features
from gsmflow.sources.file_names import file_names
from gsmflow.sources.layouts import find
from gsmflow.sources.source import layouts_of
from gsmflow.sources.table import FEATURES, images_of

_PARTS = ("test", "val", "train")  # the first of these that there is, is scored


def holds_samples(data: str, *, data_root: Path) -> bool:
    """Whether a name or path stands for labelled samples, pictures or rows. A problem with a test part does not, nor
    does what is not there.

    Parameters
    ----------
    data : str
        What was given.
    data_root : Path
        The folder that holds the named data sets.

    Raises
    ------
    InputError
        A pattern for .parquet files matches none.
    """
    if sources.is_named(data, data_root) or find(data_root, data):
        return False
    path = Path(data)
    if not isdir(data):
        return path.exists() or shards(path) is not None
    names = file_names(path)
    if not has_features(path) and (
        images_of(path) or holds_classes(path) or any(map(is_image, path.iterdir()))
    ):
        return True
    if layouts_of(names):
        return False
    return bool(shards(path)) or any(map(is_image, path.rglob("*")))


def is_own_table(file: Path, config: Mapping[str, Any]) -> bool:
    """Whether a file is the table of features that a run of this configuration was trained on."""
    stem = config["run"].get("features") or FEATURES
    return file.stem == stem and file.suffix in ENDINGS and _is_own_folder(file.parent, config)


def labelled_pictures(
    run: Path, path: Path, config: Mapping[str, Any], root: Path | None = None
) -> tuple[Listing, tuple[str, ...]]:
    """Pictures of the classes of a run, and remarks: which of them are scored, and how their classes are written.

    Parameters
    ----------
    run : Path
        The run.
    path : Path
        A folder or CSV as [`list_labelled`][gsmflow.images.listing.list_labelled] takes, or a folder with one of them
        called ``images``. Of folders of parts only one is taken, see
        [`scored_part`][gsmflow.runs.evaluation_data.scored_part].
    config : Mapping[str, Any]
        The run's configuration.
    root : Path | None
        The folder that paths in a CSV are relative to.

    Raises
    ------
    InputError
        There are none, they have no classes, or a class that the run does not know.
    """
    is_folder = path.is_dir()
    if is_image(path) and not is_folder:
        raise InputError(
            f"{path}: is one picture, and nothing says its class; put it into a folder named after its class and name "
            "the folder around that, or label it by `gsmflow predict`"
        )
    classes = class_names(run)
    if is_folder and alike(path.resolve().name) in map(alike, classes) and not holds_classes(path):
        raise InputError(f"{path}: is the folder of one class; name the folder around it")
    listing = list_labelled((images_of(path) if is_folder else None) or path, root)
    remarks = []
    if listing.split and listing.labels:
        of_part = scored_part(listing.split)
        chosen = [index for index, part in enumerate(listing.split) if part == of_part]
        remarks.append(about_part(of_part, len(chosen)))
        names, labels = ([column[index] for index in chosen] for column in (listing.names, listing.labels))
        listing = replace(listing, names=tuple(names), labels=tuple(labels), split=None)
    elif _is_own_folder(path, config):
        remarks.append(
            f"{path}: the run was trained on these pictures, so S is too good; name pictures that it has never seen"
        )
    said = "has a folder" if is_folder else "has the label"
    meant = matched(
        listing.labels or (),
        classes,
        lambda _: f"{path}: {said}",
        str(run),
        missing="is no class of",
        otherwise="leave it out, or add it by `gsmflow add-class`",
    )
    labels = tuple(classes[index] for index in meant.index)
    return replace(listing, labels=labels), tuple(filter(None, (*remarks, meant.note)))


def scored_part(parts: Iterable[str]) -> str:
    """The part of a split that is scored: ``test``; if there is none, ``val``; otherwise ``train``.

    >>> scored_part(["train", "val"]), scored_part(["test", "train"])
    ('val', 'test')
    """
    there = set(parts)
    return next(part for part in _PARTS if part in there)


def about_part(part: str, count: int) -> str:
    """A remark on what it means that only a part with `count` samples is scored."""
    if part == "train":
        return "all are of the part train: if the run has learned from them, S is too good"
    return f"scored are the {count} of the part {part} alone, since the run may have learned from the others"


def _is_own_folder(folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether a folder is the one that the run was trained on, or the pictures in it."""
    own = Path(str(config["run"].get("problem", "")))
    if not isdir(own):
        return False
    return folder.resolve() in (own.resolve(), (images_of(own) or own).resolve())
