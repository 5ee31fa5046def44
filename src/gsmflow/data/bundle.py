"""A whole problem in one file, for runs that must not depend on the source of their data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem

_ARRAYS = ("features", "labels", "semantics", "train", "test_seen", "test_unseen")


def save(problem: Problem, path: Path) -> None:
    """Write a problem as a safetensors file: about N x D x 4 bytes.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    import torch

    from gsmflow.files.tensors import write_tensors

    arrays = {name: np.ascontiguousarray(getattr(problem, name)) for name in _ARRAYS}
    meta = {
        "name": problem.name,
        "classes": problem.classes,
        "semantic_names": problem.semantic_names,
        "image_shape": problem.image_shape,
        "notes": dict(problem.notes),
        "backbone": dict(problem.backbone) if problem.backbone else None,
        "semantic_origin": dict(problem.semantic_origin) if problem.semantic_origin else None,
        "pictures": problem.pictures,
        "feature_names": problem.feature_names,
    }
    if problem.offset is not None:
        arrays["offset"] = problem.offset
    write_tensors(path, {name: torch.from_numpy(array) for name, array in arrays.items()}, meta)


def load(path: Path) -> Problem:
    """Inverse of [`save`][gsmflow.data.bundle.save].

    Raises
    ------
    InputError
        The file is missing, damaged or holds something else.
    """
    from gsmflow.files.tensors import read_tensors

    tensors, meta = read_tensors(path)
    try:
        arrays: dict[str, Any] = {name: tensors[name].numpy() for name in _ARRAYS}
        shape, names = meta["image_shape"], meta["semantic_names"]
        columns = meta.get("feature_names")  # older bundles have no names and no offset
        offset = tensors["offset"].numpy() if "offset" in tensors else None
        return Problem(
            name=meta["name"],
            classes=tuple(meta["classes"]),
            semantic_names=tuple(names) if names else None,
            image_shape=tuple(shape) if shape else None,
            notes=meta["notes"],
            backbone=meta["backbone"],
            semantic_origin=meta.get("semantic_origin"),
            pictures=tuple(meta["pictures"]) if meta.get("pictures") else None,
            feature_names=tuple(columns) if columns else None,
            offset=offset,
            origins={name: f"{path}: {name}" for name in (*_ARRAYS, "classes")},
            **arrays,
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: {error} is missing, so it holds no problem; make the run again") from None
