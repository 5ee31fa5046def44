"""The pre-split layout of the authors' CUB and FLO folders: ``data.mat`` and ``label.mat``.

``data.mat``: ``train_fea``, ``test_seen_fea``, ``test_unseen_fea`` (N x D each), ``attribute`` (C x A, all
classes); and the same values again as ``seen_pro`` and ``unseen_pro`` (rows of ``attribute``) and ``att_train``
(one row for each training sample). ``label.mat``: 1-based rows of ``attribute`` as ``train_idx``,
``test_seen_idex``, ``test_unseen_idex``; and ``train_label_new``, the seen class of each training sample
renumbered. Values that are stored twice are compared, and contradictions are refused.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.data.problem import Counts, Problem
from gsmflow.files.narrowing import narrowed, off
from gsmflow.sources.absent import Indices, drop_absent, numbered
from gsmflow.sources.matfile import MatFile
from gsmflow.sources.published import same_counts, semantics_name
from gsmflow.sources.source import Layout

FEATURES = "data"
DATA, LABEL = f"{FEATURES}.mat", "label.mat"
_FEATURES = ("train_fea", "test_seen_fea", "test_unseen_fea")
_LABELS = ("train_idx", "test_seen_idex", "test_unseen_idex")
_TOLERANCE = 1e-4  # tolerance for semantics that are stored twice, possibly once in single precision


def load(
    folder: Path, name: str, *, features: str | None = None, semantics: str | None = None, seed: int = 0
) -> Problem:
    """Read a folder of this layout; samples in the order train, test_seen, test_unseen.

    Features are not scaled: the authors scale them by a number that is always 1. The files have no class
    names, so classes are called ``class 1`` and so on by their row in ``attribute``.

    Raises
    ------
    InputError
        A file or variable is missing, damaged or contradicts another; or the arguments name other features or
        semantics than the one set there is.
    """
    given = ["`features`"] * (features not in (None, FEATURES)) + ["`semantics`"] * (semantics is not None)
    if given:
        raise InputError(
            f"{folder}: pre-split data have one set of features and semantics",
            remedy="leave out " + " and ".join(given),
        )
    data, label, labels, vectors = _read(folder)
    _check_said_twice(data, label, labels, vectors)
    sizes = [len(part) for part in labels]
    train, test_seen, test_unseen = np.split(np.arange(sum(sizes)), np.cumsum(sizes[:2]))
    parts = (train, test_seen, test_unseen)
    # Filled part by part, so that not all parts are in memory at once.
    offset = None  # of the training part, used for all parts
    rows = np.empty((sum(sizes), data.shapes[_FEATURES[0]][1]), dtype=np.float32)
    for variable, part in zip(_FEATURES, parts, strict=True):
        exact = data.exact(variable)
        if variable == _FEATURES[0]:
            offset = narrowed(exact)[1]
        rows[part] = off(exact, offset)
    present = drop_absent(np.concatenate(labels), vectors, numbered(len(vectors)), parts)
    notes = {
        "split": _split_name(labels),
        "validation": "classes drawn, because this layout publishes no choice",
        "semantics": f"{DATA}: {semantics_name(vectors)}",
        "class_order": "no names in the files, numbered by row of attribute",
    }
    if present.dropped:
        notes["dropped_classes"] = f"{len(present.dropped)} without images: {listed(present.dropped)}"
    return Problem(
        name=name,
        features=rows,
        offset=offset,
        labels=present.labels,
        semantics=present.semantics,
        classes=present.classes,
        train=train,
        test_seen=test_seen,
        test_unseen=test_unseen,
        origins={
            "features": f"{data.path}: train_fea, test_seen_fea and test_unseen_fea, one after the other",
            "labels": f"{label.path}: train_idx, test_seen_idex and test_unseen_idex, one after the other",
            "semantics": data.where("attribute"),
            "train": data.where("train_fea"),
            "test_seen": data.where("test_seen_fea"),
            "test_unseen": data.where("test_unseen_fea"),
        },
        notes=notes,
    )


def survey(folder: Path) -> tuple[Counts, str]:
    """Counts and what is known about the split, without reading any features.

    Raises
    ------
    InputError
        The same errors as in [`load`][gsmflow.sources.presplit.load], for the files that are read here.
    """
    data, _, labels, semantics = _read(folder)
    counts = Counts(
        samples=sum(map(len, labels)),
        feature_dim=data.shapes[_FEATURES[0]][1],
        semantic_dim=semantics.shape[1],
        seen=len(np.unique(labels[0])),
        unseen=len(np.unique(labels[2])),
        train=len(labels[0]),
        test_seen=len(labels[1]),
        test_unseen=len(labels[2]),
    )
    return counts, _split_name(labels)


def _read(folder: Path) -> tuple[MatFile, MatFile, list[Indices], NDArray[np.float32]]:
    """Both files, the labels of the three parts counted from 0, and the semantics (C, A)."""
    data, label = MatFile(folder / DATA), MatFile(folder / LABEL)
    data.require(*_FEATURES, "attribute")
    label.require(*_LABELS)
    semantics = np.ascontiguousarray(data.matrix("attribute"))
    labels = [label.one_based(name, len(semantics), f"rows of attribute in {DATA}") for name in _LABELS]
    dims = data.shapes[_FEATURES[0]][-1:]
    for part, name, numbers in zip(_FEATURES, _LABELS, labels, strict=True):
        shape = data.shapes[part]
        if len(shape) != 2 or shape[0] != len(numbers) or shape[1:] != dims:
            turned = "; it looks transposed" if shape[1:] == (len(numbers),) else ""
            raise InputError(
                f"{data.where(part)}: shape {shape}, expected {len(numbers)} samples (as many as {name} in "
                f"{LABEL}) x {dims[0] if dims else 0} dimensions (as train_fea){turned}"
            )
    return data, label, labels, semantics


def _check_said_twice(
    data: MatFile, label: MatFile, labels: list[Indices], semantics: NDArray[np.float32]
) -> None:
    """Refuse the folder if one of the redundant variables contradicts the others."""
    train, _, unseen = labels
    if "att_train" in data:
        given = data.matrix("att_train")
        expected = (len(train), semantics.shape[1])
        if given.shape != expected:
            raise InputError(f"{data.where('att_train')}: shape {given.shape}, expected {expected}")
        wrong = np.flatnonzero(np.abs(given - semantics[train]).max(axis=1) > _TOLERANCE)
        if wrong.size:
            raise InputError(
                f"{data.where('att_train')}: row {wrong[0] + 1} is not row {train[wrong[0]] + 1} of "
                f"attribute, which train_idx in {LABEL} names; the two files do not belong together"
            )
    seen, tested = np.unique(train), np.unique(unseen)
    others = np.setdiff1d(np.arange(len(semantics)), seen)
    for name, needed, allowed in (("seen_pro", seen, seen), ("unseen_pro", tested, others)):
        if name in data:
            _check_prototypes(data, name, semantics, needed, allowed)
    if "train_label_new" in label:
        _check_renumbering(label, train)


def _check_prototypes(
    data: MatFile, name: str, semantics: NDArray[np.float32], needed: Indices, allowed: Indices
) -> None:
    """Check that the rows of a variable are those of `allowed` classes, with every `needed` class, in any order."""
    given = data.matrix(name)
    if given.shape[1] != semantics.shape[1]:
        raise InputError(
            f"{data.where(name)}: {given.shape[1]} dimensions, but attribute has {semantics.shape[1]}"
        )
    for index, row in enumerate(given):
        if not len(allowed) or np.abs(semantics[allowed] - row).max(axis=1).min() > _TOLERANCE:
            raise InputError(
                f"{data.where(name)}: row {index + 1} is not in attribute, or belongs to a class of the "
                f"other side by {LABEL}; the two files do not belong together"
            )
    for index in needed:
        if np.abs(given - semantics[index]).max(axis=1).min() > _TOLERANCE:
            raise InputError(
                f"{data.where(name)}: lacks row {index + 1} of attribute, a class that {LABEL} uses; the two "
                "files do not belong together"
            )


def _check_renumbering(label: MatFile, train: Indices) -> None:
    """Check that train_label_new gives each seen class one number and each number one class."""
    where, given = label.where("train_label_new"), label.whole("train_label_new")
    if len(given) != len(train):
        raise InputError(f"{where}: {len(given)} entries, but train_idx has {len(train)}")
    pairs = np.unique(np.stack([train, given]), axis=1)
    for row, what in ((0, "class"), (1, "number")):
        values, times = np.unique(pairs[row], return_counts=True)
        if (times > 1).any():
            value = values[times > 1][0] + (1 - row)
            raise InputError(
                f"{where}: {what} {value} goes with more than one {'number' if row == 0 else 'class'} of "
                "train_idx; the two variables contradict each other"
            )


def _split_name(labels: list[Indices]) -> str:
    """The name of the split, recognised by counts alone, because this layout does not identify its images."""
    train, test_seen, test_unseen = map(len, labels)
    same = same_counts(train, test_seen, test_unseen)
    if same:
        return f"pre-split, as many images in each part as the Proposed Splits, {same}"
    return "pre-split, unknown split"


LAYOUT = Layout(
    "presplit",
    files=f"{DATA} and {LABEL}",
    owns=lambda names: DATA in names and LABEL in names,
    begun=lambda names: DATA in names or LABEL in names,
    load=load,
    features=lambda folder: (FEATURES,),
)
