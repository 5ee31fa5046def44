"""Folders in the layout of Xian et al. (TPAMI 2018): ``res101.mat`` and ``att_splits.mat``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.errors import InputError
from gsmflow.problem import Problem
from gsmflow.sources.known import identify_split, split_fingerprint
from gsmflow.sources.matfile import numbers, read_mat, texts, whole_numbers

_SPLITS = ("trainval_loc", "test_seen_loc", "test_unseen_loc")


def looks_like(folder: Path) -> bool:
    """Whether the folder holds this layout."""
    return (folder / "att_splits.mat").exists()


def feature_files(folder: Path) -> list[str]:
    """Names of the feature files there (without .mat): every .mat that is not a splits file."""
    return sorted(p.stem for p in folder.glob("*.mat") if not p.stem.endswith("_splits"))


def semantics_files(folder: Path) -> list[str]:
    """Names of the class embeddings there (``att`` for ``att_splits.mat``)."""
    return sorted(p.stem.removesuffix("_splits") for p in folder.glob("*_splits.mat"))


def load(folder: Path, *, features: str | None = None, semantics: str | None = None) -> Problem:
    """Read a data set folder.

    Parameters
    ----------
    features: name of the feature file, ``res101`` unless given.
    semantics: name of the class embedding, ``att`` unless given; the file ``<name>_splits.mat``
        holds it as ``att``. The split is always that of ``att_splits.mat``.

    Classes with semantics but without any image in the split are left out. ``train_loc`` and
    ``val_loc`` only say which seen classes play unseen in validation: on FLO, for one, they
    contain images of the seen test set.

    Raises
    ------
    InputError: a file is missing or damaged, or its contents do not fit together.
    """
    feature_file = _named(folder, features or "res101", "features", feature_files(folder), ".mat")
    splits_file = folder / "att_splits.mat"
    semantics_file = _named(folder, semantics or "att", "semantics", semantics_files(folder), "_splits.mat")
    stored = read_mat(feature_file, ["features", "labels"])
    splits = read_mat(splits_file, [*_SPLITS, "att"], ["allclasses_names", "train_loc", "val_loc"])
    embedding = splits["att"] if semantics_file == splits_file else read_mat(semantics_file, ["att"])["att"]

    labels = whole_numbers(feature_file, "labels", stored["labels"]) - 1
    matrix = numbers(feature_file, "features", stored["features"])
    if matrix.ndim != 2 or matrix.shape[1] != len(labels):
        turned = matrix.ndim == 2 and matrix.shape[0] == len(labels)
        raise InputError(
            f"{feature_file}: features have shape {matrix.shape} for {len(labels)} labels, expected "
            f"(dimensions, {len(labels)}){'; transpose them' if turned else ''}"
        )
    del stored
    attributes = numbers(semantics_file, "att", embedding)
    count = attributes.shape[1] if attributes.ndim == 2 else 0
    outside = np.flatnonzero(labels >= count)
    if outside.size:
        raise InputError(
            f"{feature_file}: labels entry {outside[0] + 1} is {labels[outside[0]] + 1}, but att in "
            f"{semantics_file} has {count} columns (classes); expected (dimensions, classes)"
        )
    names = _class_names(splits_file, splits.get("allclasses_names"), count)
    parts = [whole_numbers(splits_file, name, splits[name]) - 1 for name in _SPLITS]
    for name, part in zip(_SPLITS, parts, strict=True):
        beyond = np.flatnonzero(part >= len(labels))
        if beyond.size:
            raise InputError(
                f"{splits_file}: {name} entry {beyond[0] + 1} is {part[beyond[0]] + 1}, but {feature_file} "
                f"has {len(labels)} samples; the two files are of different data"
            )
    # Classes without images in the split (13 of FLO's 102 in some copies) cannot be told from a
    # class that was never meant to be in the problem: they would only attract test samples.
    used = np.unique(labels[np.concatenate(parts)])
    position = np.full(count, -1, dtype=np.int64)
    position[used] = np.arange(len(used))
    notes = {"split": identify_split(split_fingerprint(*parts))}
    if len(used) < count:
        notes["classes left out"] = f"{count - len(used)} of {count}, without images in the split"
    notes["class order"] = "alphabetical" if names == sorted(names, key=str.lower) else "the file's own"
    playing, note = _validation_unseen(splits_file, splits, labels, parts)
    notes["validation"] = note
    in_split = position[labels]
    if (in_split < 0).any():  # samples of left-out classes belong to no part; any label will do
        in_split = np.maximum(in_split, 0)
    return Problem(
        name=folder.name,
        features=np.ascontiguousarray(matrix.T, dtype=np.float32),
        labels=in_split,
        semantics=np.ascontiguousarray(attributes.T[used], dtype=np.float32),
        classes=tuple(names[c] for c in used),
        train=parts[0],
        test_seen=parts[1],
        test_unseen=parts[2],
        validation_unseen=None if playing is None else position[playing],
        origins={
            "features": f"{feature_file}: features",
            "labels": f"{feature_file}: labels",
            "semantics": f"{semantics_file}: att",
            "classes": f"{splits_file}: allclasses_names",
            "train": f"{splits_file}: trainval_loc",
            "test_seen": f"{splits_file}: test_seen_loc",
            "test_unseen": f"{splits_file}: test_unseen_loc",
            "validation_unseen": f"{splits_file}: val_loc",
        },
        notes=notes,
    )


def _named(folder: Path, name: str, option: str, there: list[str], ending: str) -> Path:
    if "/" in name or "\\" in name or name in ("", ".", ".."):
        raise InputError(
            f"--{option} {name}: expected the name of a file in {folder}, without folder or ending"
        )
    path = folder / f"{name}{ending}"
    if not path.exists():
        hint = f"choose another with --{option} {there[0]}" if there else f"put {name}{ending} there"
        listed = f" (there: {', '.join(there)})" if there else ""
        raise InputError(f"{path}: no such file{listed}; {hint}")
    return path


def _class_names(file: Path, stored: NDArray[Any] | None, count: int) -> list[str]:
    """Names from the file, or ``class 1`` ... where it has none (FLO)."""
    if stored is None:
        return [f"class {index + 1}" for index in range(count)]
    names = texts(stored)
    if len(names) != count:
        raise InputError(f"{file}: {len(names)} names in allclasses_names for {count} classes in att")
    return names


def _validation_unseen(
    file: Path, splits: dict[str, NDArray[Any]], labels: NDArray[np.int64], parts: list[NDArray[np.int64]]
) -> tuple[NDArray[np.int64] | None, str]:
    """The official validation classes that play unseen, and a sentence for the record."""
    if "train_loc" not in splits or "val_loc" not in splits:
        return None, "no official train/val split; classes are drawn"
    members = [whole_numbers(file, name, splits[name]) - 1 for name in ("train_loc", "val_loc")]
    if any((m >= len(labels)).any() for m in members):
        return None, "official train/val split points beyond the samples; classes are drawn"
    train, val = (np.intersect1d(labels[m], labels[parts[0]]) for m in members)
    if not len(val) or len(train) < 2 or np.intersect1d(train, val).size:
        return None, "official train and val parts share classes; classes are drawn"
    return val, f"official: {len(train)} train classes, {len(val)} val classes"
