"""Samples that a finished run is given: a table of features, or pictures for its backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gsmflow.base.errors import InputError

if TYPE_CHECKING:
    from gsmflow.cli.options import MovedOptions
    from gsmflow.files.chunks import Part
    from gsmflow.images.listing import Listing
    from gsmflow.images.shards import Reading
    from gsmflow.runs.labelling import Pictures


@dataclass(frozen=True)
class NewSamples:
    """Samples in parts.

    Parameters
    ----------
    parts : Sequence[Part | Pictures]
        The samples.
    total : int
        How many there are.
    images : Reading | None
        How pictures become features; None for a table.
    """

    parts: Sequence[Part | Pictures]
    total: int
    images: Reading | None = None

    @property
    def what(self) -> str:
        """What they are, in a word."""
        return "images" if self.images else "samples"


def holds_images(run: Path, file: Path) -> bool:
    """A folder, an image, or a CSV that lists paths: everything that a table of features is not.

    Raises
    ------
    InputError
        There is no such file or folder.
    """
    from gsmflow.files.chunks import shards
    from gsmflow.files.column_names import is_path, role_of
    from gsmflow.files.encoding import header_words
    from gsmflow.files.missing import no_such
    from gsmflow.images.listing import is_image
    from gsmflow.runs.folder import feature_names, read_config

    if file.suffix.lower() == ".csv":
        words = header_words(file)
        names = feature_names(read_config(run))
        if names is not None and words >= {name.casefold() for name in names}:
            return False
        alone = all(role_of(word) for word in words)
        return "path" in words or (alone and any(is_path(word) for word in words))
    if shards(file) is not None:
        return False
    if not file.exists():
        raise InputError(f"{file}: {no_such(file, 'file or folder')}")
    return file.is_dir() or is_image(file)


def of_images(
    run: Path,
    list_them: Callable[[], Listing],
    moved: MovedOptions,
    *,
    batch_size: int,
    device: str,
) -> NewSamples:
    """Images for the run's backbone, in parts. Files that were passed over are told.

    Raises
    ------
    InputError
        The run has no backbone, or it is not there; or there are no images.
    """
    from gsmflow.cli.display_images import tell_passed_over
    from gsmflow.runs.folder import load_backbone

    spec = load_backbone(run).moved(moved.backbone, moved.weights)
    listing = list_them()
    spec.check()
    from gsmflow.images.shards import SHARD, Reading  # late, as what follows loads torch
    from gsmflow.runs.labelling import Pictures

    tell_passed_over(listing)
    total, labels = len(listing.names), listing.labels
    parts = [
        Pictures(listing.names[start : start + SHARD], labels and labels[start : start + SHARD])
        for start in range(0, total, SHARD)
    ]
    return NewSamples(parts, total, Reading(listing.root, spec, batch_size, device))


def of_table(run: Path, file: Path) -> NewSamples:
    """The rows of a table, in parts; features of images are of the run's own backbone.

    Raises
    ------
    InputError
        The table is missing or damaged, or its features are not those that the run was trained on.
    """
    from gsmflow.files.chunks import parts_of
    from gsmflow.images.backbone import BackboneSpec
    from gsmflow.runs.folder import check_width, feature_names, load_backbone, read_config

    config = read_config(run)
    parts, known, total = parts_of(file, feature_names(config))
    if known and "backbone" in config:
        origin, trained = BackboneSpec.from_dict(known, f"{file}: backbone"), load_backbone(run)
        if not origin.same_as(trained):
            other = f"another backbone ({origin.model}) than {run} was trained on ({trained.model})"
            if origin.sha256 == trained.sha256:
                other = f"images prepared otherwise than those {run} was trained on"
            raise InputError(f"{file}: features of {other}; give it the images themselves")
    if trained := config.get("data", {}).get("feature_dim"):
        check_width(file, parts[0].width(), run, trained, rows=total)
    return NewSamples(parts, total)


def refuse_for_images(file: Path, root: Path | None, moved: MovedOptions) -> None:
    """Refuse options that are for images where features are given.

    Raises
    ------
    InputError
        One of them is given.
    """
    for name, given in (("--root", root), ("--backbone", moved.backbone), ("--weights", moved.weights)):
        if given is not None:
            raise InputError(f"{name} {given}: is for images, but {file} holds features; leave it out")
