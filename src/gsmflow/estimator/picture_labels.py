"""Labels of pictures, made with the backbone of a run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.images.backbone import BackboneSpec
from gsmflow.images.extraction import features_of
from gsmflow.images.listing import Listing, list_any
from gsmflow.images.opening import open_backbone
from gsmflow.runs.fitted import FittedRun
from gsmflow.runs.folder import CONFIG
from gsmflow.runs.labelling import answers

if TYPE_CHECKING:
    import polars as pl


def label_images(
    run: FittedRun,
    images: str | Path | Iterable[str | Path],
    labels: NDArray[Any],
    *,
    top: int,
    batch_size: int,
    device: torch.device,
    moved: tuple[str | None, str | None] = (None, None),
) -> pl.DataFrame:
    """A row an image, see [`predict_images`][gsmflow.estimator.classifier.ZeroShotClassifier.predict_images].

    Parameters
    ----------
    run : FittedRun
        The run. It must have been trained on images.
    images : str | Path | Iterable[str | Path]
        A folder, one file, or a list of files.
    labels : NDArray[Any]
        (C,) of the classes in the order of the run.
    top : int
        Classes listed for each image.
    batch_size : int
        Images the backbone takes at a time.
    device : torch.device
        Where the backbone runs.
    moved : tuple[str | None, str | None]
        Where the backbone's file and its weights are now, if they were moved.

    Raises
    ------
    InputError
        The run knows no backbone, or it is missing; there are no images, or none can be read.
    """
    import polars as pl

    described = (run.read or {}).get("backbone")
    if described is None:
        raise InputError(
            "predict_images: this classifier was trained on features of unknown origin; load a run that was trained "
            "on images, or give features to predict"
        )
    spec = BackboneSpec.from_dict(described, f"{run.folder or 'run'}/{CONFIG}: backbone").moved(*moved)
    if isinstance(images, str | Path):
        listing = list_any(Path(images))
    else:
        listing = Listing(Path(), tuple(str(each) for each in images))
    if not listing.names:
        raise InputError("predict_images: no images given")
    table = features_of(open_backbone(spec, device), listing, batch_size=batch_size)
    said = answers(
        labels,
        run.classifier.unseen,
        run.classifier.probabilities(run.classifier.transform.narrowed(table.features)),
        top,
    )
    reasons = {each.name: each.reason for each in table.unreadable}
    columns: dict[str, list[Any]] = {"sample": [str(listing.root / name) for name in listing.names]}
    for name, values in said.items():
        column = np.full(len(listing.names), None, dtype=object)
        column[table.readable] = values
        columns[name] = column.tolist()
    columns["unreadable"] = [reasons.get(name) for name in listing.names]
    return pl.DataFrame(columns, schema_overrides={"unreadable": pl.String})
