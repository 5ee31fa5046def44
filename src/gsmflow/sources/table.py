"""The user's own data: a folder with a table of features and a table of classes.

``features.npz`` (arrays ``features`` (N x D), ``labels``, and optionally ``split``, ``names`` and ``backbone``),
``features.csv`` or ``features.parquet`` (columns ``label``, optionally ``split`` and ``name``; every other
column is a feature dimension), or ``features.npy`` larger than memory (see
[`gsmflow.files.feature_store`][gsmflow.files.feature_store]); and
``classes.csv`` (column ``name`` first, then the semantics) or ``classes.npz`` (arrays ``semantics``, C x A, and
``names``; without names the classes are called 0, 1, ..., C - 1).

Classes without training rows are unseen; they may have test rows or no rows at all. The split column has ``train``,
``val`` or ``test``. Without a split column all classes with rows are seen, and a fifth of the rows of each class is
drawn for testing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.data.problem import Problem
from gsmflow.files.class_names import alike, matched, part
from gsmflow.files.class_table import ClassTable, read_class_table
from gsmflow.files.endings import remedy_of_ending
from gsmflow.files.narrowing import narrowed
from gsmflow.files.rows import ENDINGS, Rows, read_rows
from gsmflow.files.semantic_origin import read_origin
from gsmflow.sources.file_names import file_names
from gsmflow.sources.joining import NamedSemantics
from gsmflow.sources.source import Layout

FEATURES, CLASSES = "features", "classes"
# Semantics that `train` makes of names or sentences, and of a file elsewhere.
_TEXT, _ATTRIBUTES = "text", "attributes"
_TABLES = (".csv", ".npz")  # of classes
_TESTED = 0.2
_EXPECTED = (
    "expected features.npz, features.csv or features.parquet (with labels) and classes.csv (column 'name', "
    "then one column a semantic dimension) or classes.npz (arrays semantics and names)"
)


def is_table(names: Sequence[str]) -> bool:
    """Whether a folder with these files has this layout."""
    usual = [*(f"{CLASSES}{each}" for each in _TABLES), *(f"{FEATURES}{each}" for each in ENDINGS)]
    return any(name in names for name in usual)


def images_of(folder: Path) -> Path | None:
    """The images from which the features of a folder can be computed: its ``images/`` or ``images.csv``, if any."""
    return next((folder / name for name in ("images", "images.csv") if (folder / name).exists()), None)


def feature_files(folder: Path) -> tuple[str, ...]:
    """The possible values of `features`."""
    names = file_names(folder)
    stems = {Path(name).stem for name in names if name.endswith(ENDINGS) and ".rows." not in name}
    return tuple(sorted(stems - {CLASSES}))


def label_place(path: Path) -> str:
    """Where the classes of the rows of a table of this kind are named, in words."""
    places = {".npz": "an array 'labels'", ".npy": f"a column 'label' of {path.stem}.rows.parquet"}
    return places.get(path.suffix, "a column 'label'")


def load(
    folder: Path,
    name: str,
    *,
    features: str | None = None,
    semantics: str | None = None,
    seed: int = 0,
) -> Problem:
    """Read a folder of this layout; `features` and `semantics` name other files than the usual ones.

    Raises
    ------
    InputError
        A file or column is missing, damaged or contradicts another; see the message.
    """
    names = file_names(folder)
    rows_file = _features_file(folder, names, features or FEATURES)
    classes_file = _classes_file(folder, names, semantics or _usual(folder, names), rows_file.stem)
    try:
        described = read_class_table(classes_file)
    except InputError as error:
        if semantics or f"{_TEXT}.csv" not in names:
            raise
        raise InputError(
            error.message, remedy=f"or use what was made of its texts: `semantics` {_TEXT}"
        ) from None
    classes, vectors = described.names, described.semantics.astype(np.float32)
    rows = read_rows(rows_file)
    if rows.labels is None:
        raise InputError(
            f"{rows_file}: no labels; name the class of each row in {label_place(rows_file)}"
            + _one_hot(rows.columns or (), classes)
        )
    if set(rows.labels) <= set(described.dimensions) and not set(rows.labels) & set(classes):
        raise InputError(
            f"{classes_file}: the classes ({listed(sorted(set(rows.labels)))}) stand in columns, expected one row a "
            "class; transpose the table"
        )
    values, offset = narrowed(rows.features)
    meant = matched(
        rows.labels,
        classes,
        lambda row: f"{rows_file}: {rows.place(row)} is labelled",
        f"{classes_file}, column 'name'",
    )
    labels = np.array(meant.index, dtype=np.int64)
    playing = None
    if rows.split is None:
        is_train = _draw(labels, seed)
        split = f"drawn with seed {seed}: {_TESTED:.0%} of the rows of each class for testing"
    else:
        is_train, playing, used = _divided(rows_file, rows, labels)
        split = f"given in {rows_file.name}{used}"
    is_seen = np.isin(labels, labels[is_train])
    return Problem(
        name=name,
        features=values,
        labels=labels,
        semantics=vectors,
        classes=classes,
        train=np.flatnonzero(is_train),
        test_seen=np.flatnonzero(~is_train & is_seen),
        test_unseen=np.flatnonzero(~is_train & ~is_seen),
        validation_unseen=playing,
        semantic_names=described.dimensions,
        origins={
            "features": f"{rows_file}: features",
            "labels": f"{rows_file}: labels",
            "semantics": str(classes_file),
            "classes": f"{classes_file}: column 'name'",
            "train": f"{rows_file}: split train",
            "test_seen": f"{rows_file}: split test",
            "test_unseen": f"{rows_file}: split test",
            "validation_unseen": f"{rows_file}: split val",
        },
        backbone=rows.backbone,
        semantic_origin=read_origin(classes_file),
        pictures=_pictures(folder, rows.names) if rows.backbone else None,
        feature_names=rows.columns,
        offset=offset,
        notes={
            "split": split,
            "semantics": f"{classes_file.name}: {vectors.shape[1]} dimensions",
            **({"names": meant.note} if meant.note else {}),
            **_written(rows_file, rows, classes_file, described),
            **_remarks(rows_file, rows, classes_file, described),
        },
    )


def semantics_alone(folder: Path, name: str) -> NamedSemantics:
    """The semantics in a table of classes in a folder of this layout.

    Raises
    ------
    InputError
        The table is missing or damaged.
    """
    file = _classes_file(folder, file_names(folder), name, FEATURES)
    table = read_class_table(file)
    vectors = table.semantics.astype(np.float32)
    return NamedSemantics(name, table.names, vectors, table.dimensions, read_origin(file), str(file))


# -- files ------------------------------------------------------------------------------------


def _features_file(folder: Path, names: list[str], stem: str) -> Path:
    tables = [f"{stem}{ending}" for ending in ENDINGS if f"{stem}{ending}" in names]
    if not tables:
        others = [f"`features` {other}" for other in feature_files(folder)]
        hint = f"there is {listed(others)}; " if others else _nearly(names, stem)
        if images := images_of(folder):
            hint = (
                f"make it of the images {images} with `gsmflow extract`, or train with `backbone` resnet101; "
            )
        raise InputError(
            f"{folder}: no {stem}.npz, {stem}.csv or {stem}.parquet", remedy=f"{hint}{_EXPECTED}"
        )
    if len(tables) > 1:
        raise InputError(f"{folder}: {' and '.join(tables)} are both there; keep one")
    return folder / tables[0]


def _classes_file(folder: Path, names: Sequence[str], stem: str, features: str) -> Path:
    there = [f"{stem}{ending}" for ending in _TABLES if f"{stem}{ending}" in names]
    if len(there) > 1:
        raise InputError(f"{folder}: {' and '.join(there)} are both there; keep one")
    if there:
        return folder / there[0]
    tables = {Path(name).stem for name in names if name.endswith(_TABLES) and ".rows." not in name}
    others = sorted(tables - {features, f"{features}.unreadable", CLASSES})
    hint = (
        f"there is {listed(f'`semantics` {other}' for other in others)}; "
        if others
        else _nearly(names, stem, _TABLES)
    )
    raise InputError(f"{folder}: no {stem}.csv", remedy=f"{hint}{_EXPECTED}")


def _usual(folder: Path, names: Sequence[str]) -> str:
    """The semantics where none are named: ``classes.csv``, or the only table that `train` has made in its place."""
    written = [
        stem
        for stem in (_TEXT, _ATTRIBUTES)
        if f"{stem}.csv" in names and read_origin(folder / f"{stem}.csv")
    ]
    return CLASSES if len(written) != 1 or {"classes.csv", "classes.npz"} & set(names) else written[0]


def _nearly(names: Sequence[str], stem: str, endings: Sequence[str] = ENDINGS) -> str:
    """What to do with a file whose name differs from the wanted one only in case or ending; empty without one."""
    for name in names:
        file = Path(name)
        if name.casefold().split(".")[0] != stem.casefold() or not file.suffix:
            continue
        ending = file.suffix.casefold()
        if ending in endings:
            return f"there is {name}: rename it to {stem}{ending}; "
        if ending in ENDINGS:
            return f"there is {name}: save it as {stem}.csv; "
        if what_to_do := remedy_of_ending(file, stem):
            return f"there is {name}: {what_to_do}; "
        return f"there is {name}, of a kind that is not read; "
    return ""


def _pictures(folder: Path, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Paths of the pictures that the rows with these names were computed from, in ``images/`` or in class folders in
    the folder itself; None if they are not there.
    """
    images = images_of(folder)
    if names is None or (images is None and not (folder / names[0]).is_file()):
        return None
    root = images if images is not None and images.is_dir() else folder
    return tuple(str(root / name) for name in names)


def _written(rows_file: Path, rows: Rows, classes_file: Path, described: ClassTable) -> dict[str, str]:
    """The dialects of the .csv files, so that users can check how they were read."""
    dialects = ((rows_file, rows.dialect), (classes_file, described.dialect))
    said = [f"{file.name}: {dialect}" for file, dialect in dialects if dialect]
    return {"read as": "; ".join(said)} if said else {}


def _remarks(rows_file: Path, rows: Rows, classes_file: Path, described: ClassTable) -> dict[str, str]:
    """Columns that were left out, and columns of which float32 holds few digits."""
    remarks: dict[str, str] = {}
    told = [
        f"{file.name}: {note}"
        for file, note in ((rows_file, rows.note), (classes_file, described.note))
        if note
    ]
    if told:
        remarks["left out"] = "; ".join(told)
    truths = [
        f"{file.name}: {listed(columns)}"
        for file, columns in ((rows_file, rows.truths), (classes_file, described.truths))
        if columns
    ]
    if truths:
        remarks["read as 1 and 0"] = "; ".join(truths)
    if far := _far(rows.features, rows.columns):
        remarks["digits"] = (
            f"{rows_file.name}: {far}: centred before they become float32, which holds few of their digits"
        )
    if far := _far(described.semantics, described.dimensions):
        remarks["digits of semantics"] = (
            f"{classes_file.name}: {far}: float32 holds few of their digits; scale them by `gsmflow describe`"
        )
    return remarks


def _far(values: NDArray[Any], names: tuple[str, ...] | None) -> str:
    """Columns that are far from zero compared with their spread, and the range of the first one."""
    offset = narrowed(values)[1]
    if offset is None:
        return ""
    columns = np.flatnonzero(offset)
    called = [names[c] if names else f"column {c + 1}" for c in columns]
    first = values[:, columns[0]]
    return f"{listed(called)} ({called[0]} from {first.min():.12g} to {first.max():.12g})"


# -- from texts to indices --------------------------------------------------------------------


def _one_hot(columns: Sequence[str], classes: Sequence[str]) -> str:
    """A word on columns that are named as the classes are; empty where two or more are not."""
    known = set(map(alike, classes))
    named = [name for name in columns if alike(name) in known or alike(name.partition("_")[2]) in known]
    return f" instead of in a column a class ({listed(named)})" if len(named) > 1 else ""


def _divided(
    path: Path, rows: Rows, labels: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64] | None, str]:
    """Which rows are for training, which classes validation holds out as unseen, and a remark on the use of ``val``.

    Rows of ``val`` are for training too: validation problems are cut from the training part, and hold out the classes
    that occur only in ``val``. If there is no ``test``, ``val`` is the test part.
    """
    given = rows.split or ()
    parts = np.array([part(text) or "" for text in given])
    if (parts == "").any():
        row = int(np.flatnonzero(parts == "")[0])
        raise InputError(f"{path}: {rows.place(row)} has split '{given[row]}', expected train, val or test")
    is_train, is_val = parts == "train", parts == "val"
    if not is_val.any():
        return is_train, None, ""
    if not (parts == "test").any() and is_train.any():
        return is_train, None, "; val is tested on, because there is no test"
    alone = np.setdiff1d(labels[is_val], labels[is_train])
    seen = np.unique(labels[is_train | is_val])
    if 1 <= len(alone) <= len(seen) - 2:
        return is_train | is_val, alone, f"; the {len(alone)} classes of val alone play unseen in validation"
    return is_train | is_val, None, "; val is for training, and validation is cut from that"


def _draw(labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Which rows are for training: four fifths of the rows of each class, and at least one."""
    rng = np.random.default_rng([seed, 0x7AB1E])
    is_train = np.ones(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        is_train[members[: min(round(_TESTED * len(members)), len(members) - 1)]] = False
    return is_train


LAYOUT = Layout(
    "table",
    files="features.npz, features.csv or features.parquet with classes.csv or classes.npz",
    owns=is_table,
    load=load,
    features=feature_files,
    semantics=semantics_alone,
)
