"""The xlsa17 layout of Xian et al.: AWA1, AWA2, APY, CUB, SUN and FLO.

``res101.mat`` (or another feature file) holds ``features`` (D x N) and ``labels``; ``att_splits.mat`` holds
``att`` (A x C), usually ``allclasses_names``, and the parts of the split, 1-based columns of ``features``.

Another class embedding is in a file ``<semantics>_splits.mat`` beside it. If that file has a split and names, they
are used; what it lacks is taken from ``att_splits.mat``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import instead_of, listed
from gsmflow.data.problem import Counts, Problem
from gsmflow.files.narrowing import narrowed
from gsmflow.sources.absent import Indices, drop_absent, numbered
from gsmflow.sources.file_names import file_names
from gsmflow.sources.matfile import MatFile
from gsmflow.sources.published import semantics_name, split_name
from gsmflow.sources.source import Layout

FEATURES, SEMANTICS = "res101", "att"
_PARTS = ("trainval_loc", "test_seen_loc", "test_unseen_loc")
_VALIDATION = ("train_loc", "val_loc")
_PRESPLIT = ("data.mat", "label.mat")


def feature_files(folder: Path) -> tuple[str, ...]:
    """The possible values of `features`: every .mat file that is neither a class embedding nor pre-split."""
    return tuple(
        name.removesuffix(".mat")
        for name in file_names(folder)
        if name.endswith(".mat") and not name.endswith("_splits.mat") and name not in _PRESPLIT
    )


def semantics_files(folder: Path) -> tuple[str, ...]:
    """The possible values of `semantics`."""
    return tuple(
        name.removesuffix("_splits.mat") for name in file_names(folder) if name.endswith("_splits.mat")
    )


def load(
    folder: Path, name: str, *, features: str | None = None, semantics: str | None = None, seed: int = 0
) -> Problem:
    """Read a folder of this layout.

    Features (N, D) are not changed. Classes with semantics but without an image in any part of the split are
    dropped and noted. Of ``train_loc`` and ``val_loc`` only the classes are used, for validation, because in older
    files they contain test images.

    Raises
    ------
    InputError
        A file or variable is missing, damaged or contradicts another; see the message.
    """
    chosen = _choose(folder, features, FEATURES, feature_files(folder), ".mat", "features")
    images = MatFile(chosen)
    images.require("features", "labels")
    described = _read_semantics(folder, semantics)
    labels = _read_labels(images, described)
    split = _read_split(described.split_file, len(labels))
    parts = (split.train, split.test_seen, split.test_unseen)
    present = drop_absent(labels, described.semantics, described.classes, parts)
    playing, validation = _validation_classes(split, labels)
    notes = {
        "split": split_name(*parts),
        "train_val": _edition(split),
        "validation": validation,
        "semantics": f"{described.file.path.name}: {semantics_name(described.semantics)}",
        "class_order": _order(described),
    }
    if present.dropped:
        notes["dropped_classes"] = f"{len(present.dropped)} without images: {listed(present.dropped)}"
    rows, offset = narrowed(images.exact("features").T)
    return Problem(
        name=name,
        features=rows if present.rows is None else rows[present.rows],
        offset=offset,
        labels=present.labels,
        semantics=present.semantics,
        classes=present.classes,
        train=present.parts[0],
        test_seen=present.parts[1],
        test_unseen=present.parts[2],
        validation_unseen=None if playing is None else present.number[playing],
        origins={
            "features": images.where("features"),
            "labels": images.where("labels"),
            "semantics": described.file.where("att"),
            "classes": described.names_file.where("allclasses_names"),
            "train": described.split_file.where("trainval_loc"),
            "test_seen": described.split_file.where("test_seen_loc"),
            "test_unseen": described.split_file.where("test_unseen_loc"),
            "validation_unseen": described.split_file.where("val_loc"),
        },
        notes=notes,
    )


def survey(folder: Path) -> tuple[Counts | None, str]:
    """Counts and the name of the split, without reading any features; the counts are None without a feature file.

    Raises
    ------
    InputError
        The same errors as in [`load`][gsmflow.sources.xlsa17.load], for the files that are read here.
    """
    described = _read_semantics(folder, None)
    available = feature_files(folder)
    if not available:
        split = _read_split(described.split_file, None)
        return None, split_name(split.train, split.test_seen, split.test_unseen)
    images = MatFile(folder / f"{FEATURES if FEATURES in available else available[0]}.mat")
    images.require("features", "labels")
    labels = _read_labels(images, described)
    split = _read_split(described.split_file, len(labels))
    counts = Counts(
        samples=len(labels),
        feature_dim=images.shapes["features"][0],
        semantic_dim=described.semantics.shape[1],
        seen=len(np.unique(labels[split.train])),
        unseen=len(np.unique(labels[split.test_unseen])),
        train=len(split.train),
        test_seen=len(split.test_seen),
        test_unseen=len(split.test_unseen),
    )
    return counts, split_name(split.train, split.test_seen, split.test_unseen)


# -- the two files ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Described:
    """Semantics (C, A) and class names, and the files that semantics, names and split come from."""

    semantics: NDArray[np.float32]
    classes: tuple[str, ...]
    named: bool
    file: MatFile
    names_file: MatFile
    split_file: MatFile


@dataclass(frozen=True)
class _Split:
    """Samples, counted from 0. fit and val: the published cut of the training part for tuning, if any."""

    train: Indices
    test_seen: Indices
    test_unseen: Indices
    fit: Indices | None
    val: Indices | None


def _choose(
    folder: Path, asked: str | None, default: str, available: tuple[str, ...], ending: str, option: str
) -> Path:
    """The named file, or the default one; any other choice is an error."""
    name = asked or default
    if name in available:
        return folder / f"{name}{ending}"
    if not available:
        remedy = (
            f"no other file that `{option}` could name is there either; gsmflow data says where to obtain it"
        )
    elif asked:
        remedy = instead_of(asked, available)
    else:
        remedy = f"choose one that is there: {' or '.join(f'`{option}` {a}' for a in available)}"
    raise InputError(f"{folder}: no {name}{ending}", remedy=remedy)


def _read_semantics(folder: Path, semantics: str | None) -> _Described:
    available = semantics_files(folder)
    file = MatFile(_choose(folder, semantics, SEMANTICS, available, "_splits.mat", "semantics"))
    file.require("att")
    other = file
    if SEMANTICS in available and not all(name in file for name in (*_PARTS, "allclasses_names")):
        other = MatFile(folder / f"{SEMANTICS}_splits.mat")
    split_file = file if all(part in file for part in _PARTS) else other
    names_file = file if "allclasses_names" in file else other
    split_file.require(*_PARTS)
    vectors = file.matrix("att").T
    named = "allclasses_names" in names_file
    classes = names_file.texts("allclasses_names") if named else numbered(len(vectors))
    if len(classes) != len(vectors):
        turned = "; it looks transposed" if len(classes) == vectors.shape[1] else ""
        raise InputError(
            f"{file.where('att')}: {vectors.shape[1]} x {len(vectors)} for {len(classes)} names in "
            f"{names_file.where('allclasses_names')}; expected one column a class{turned}"
        )
    return _Described(vectors, classes, named, file, names_file, split_file)


def _read_labels(images: MatFile, described: _Described) -> Indices:
    """Labels counted from 0, checked against the shape of the features and the number of classes."""
    count, dims = len(described.semantics), described.semantics.shape[1]
    labels = images.one_based("labels", count, f"classes in {described.file.path.name}")
    shape = images.shapes["features"]
    if len(shape) != 2 or shape[1] != len(labels):
        turned = "; it looks transposed" if shape[:1] == (len(labels),) else ""
        raise InputError(
            f"{images.where('features')}: shape {shape} for {len(labels)} labels; expected dimensions x "
            f"samples{turned}"
        )
    # Without names, a transposed embedding is recognised only by labels that use all its rows.
    if not described.named and len(labels) and labels.max() + 1 == dims != count:
        raise InputError(
            f"{described.file.where('att')}: {dims} x {count}, but the labels name {dims} classes; expected "
            "one column a class, so transpose it"
        )
    return labels


def _read_split(file: MatFile, samples: int | None) -> _Split:
    train, test_seen, test_unseen = (file.one_based(part, samples, "samples") for part in _PARTS)
    fit = val = None
    if all(part in file for part in _VALIDATION):
        fit, val = (file.one_based(part, samples, "samples") for part in _VALIDATION)
    return _Split(train, test_seen, test_unseen, fit, val)


# -- what is noted ----------------------------------------------------------------------------


def _validation_classes(split: _Split, labels: Indices) -> tuple[Indices | None, str]:
    """The seen classes that validation holds out as unseen, and the origin of this choice."""
    if split.fit is None or split.val is None:
        return None, "classes drawn, because the file has no train_loc and val_loc"
    seen = np.unique(labels[split.train])
    fit, val = (np.intersect1d(labels[part], seen) for part in (split.fit, split.val))
    if np.intersect1d(fit, val).size:
        return None, "classes drawn, because train_loc and val_loc share classes"
    if not 1 <= len(val) <= len(seen) - 2:
        return None, f"classes drawn, because val_loc covers {len(val)} of {len(seen)} seen classes"
    return val, f"the {len(val)} classes of val_loc play unseen"


def _edition(split: _Split) -> str:
    """How train_loc and val_loc relate to the split: see [`gsmflow.sources.published`][gsmflow.sources.published]."""
    if split.fit is None or split.val is None:
        return "no train_loc and val_loc, as in the files of September 2019"
    both = np.concatenate([split.fit, split.val])
    leaked = len(np.intersect1d(both, split.test_seen))
    if leaked:
        return f"train_loc and val_loc contain {leaked} test_seen images, as in the files up to 2018"
    if np.array_equal(np.unique(both), np.sort(split.train)):
        return "train_loc and val_loc cover trainval exactly, as in the later files"
    return "train_loc and val_loc are of their own"


def _order(described: _Described) -> str:
    if not described.named:
        return "no names in the file, numbered by label"
    alphabetical = list(described.classes) == sorted(described.classes)
    return "alphabetical" if alphabetical else "the file's own, not alphabetical"


LAYOUT = Layout(
    "xlsa17",
    files=f"{FEATURES}.mat and {SEMANTICS}_splits.mat",
    owns=lambda names: f"{FEATURES}.mat" in names or any(name.endswith("_splits.mat") for name in names),
    load=load,
    features=feature_files,
)
