"""A person's own data: a folder with a table of features and a table of classes.

``features.npz`` (arrays ``features`` (N x D), ``labels``, and optionally ``split``, ``names`` and ``backbone``),
``features.csv`` or ``features.parquet`` (columns ``label``, optionally ``split`` and ``name``; every other
column is a feature dimension), or ``features.npy`` larger than memory (see :mod:`gsmflow.store`); and
``classes.csv`` (column ``name`` first, then the semantics).

Classes without training rows are the unseen ones; they may have test rows or none at all. The split column
says ``train`` or ``test``. Without one, all classes with rows are seen, and a fifth of each one's rows is
drawn for testing.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.checksums import check
from gsmflow.errors import InputError
from gsmflow.problem import Problem
from gsmflow.sources.columns import numbers, read_npz, read_table, row_number, texts
from gsmflow.sources.naming import instead_of, listed
from gsmflow.sources.reading import file_names
from gsmflow.store import open_store

if TYPE_CHECKING:
    import polars as pl

FEATURES, CLASSES = "features", "classes"
ENDINGS = (".npz", ".npy", ".csv", ".parquet")
_TESTED = 0.2
_EXPECTED = (
    "expected features.npz, features.csv or features.parquet (with labels) and classes.csv (column 'name', "
    "then one column a semantic dimension)"
)


@dataclass(frozen=True)
class Rows:
    """A table of features (N, D) and what it says of each row; None where it says nothing.

    backbone: how the features were made of images, see :mod:`gsmflow.images`.
    """

    features: NDArray[np.float32]
    labels: tuple[str, ...] | None
    split: tuple[str, ...] | None
    names: tuple[str, ...] | None
    backbone: dict[str, Any] | None = None


def read_rows(path: Path) -> Rows:
    """A table of features and what it says of each row.

    Raises
    ------
    InputError: the file is missing, damaged, of an unknown kind, or has a cell that is not a finite number.
    """
    if path.suffix == ".npz":
        return _rows_of_npz(path)
    if path.suffix == ".npy":
        return _rows_of_store(path)
    if path.suffix not in ENDINGS:
        raise InputError(f"{path}: ends in '{path.suffix}', expected .npz, .npy, .csv or .parquet")
    return rows_of_table(path, read_table(path))


def rows_of_table(path: Path, table: pl.DataFrame, first: int = 0) -> Rows:
    """A table's columns sorted into features and what is said of each row.

    first: of which sample (from 0) of the file the table's first row is.

    Raises
    ------
    InputError: a cell is empty, or not a finite number where one is expected.
    """
    said = [column for column in ("label", "split", "name") if column in table.columns]
    given = {column: texts(path, table, column, first) for column in said}
    columns = [column for column in table.columns if column not in given]
    features = numbers(path, table, columns, first)
    return Rows(features, given.get("label"), given.get("split"), given.get("name"))


def is_table(names: list[str]) -> bool:
    """Whether a folder with these files is of this layout."""
    return f"{CLASSES}.csv" in names or any(f"{FEATURES}{ending}" in names for ending in ENDINGS)


def images_of(folder: Path) -> Path | None:
    """The images that a folder's features can be made of: ``images/`` or ``images.csv`` in it, if there."""
    return next((folder / name for name in ("images", "images.csv") if (folder / name).exists()), None)


def feature_files(folder: Path) -> tuple[str, ...]:
    """What ``--features`` can name."""
    names = file_names(folder)
    stems = {Path(name).stem for name in names if name.endswith(ENDINGS) and ".rows." not in name}
    return tuple(sorted(stems - {CLASSES}))


def load(
    folder: Path, name: str, *, features: str | None = None, semantics: str | None = None, seed: int = 0
) -> Problem:
    """Read a folder of this layout; `features` and `semantics` name other files than the usual ones.

    Raises
    ------
    InputError: a file or column is missing, damaged or contradicts another; see the message.
    """
    names = file_names(folder)
    rows_file = _features_file(folder, names, features or FEATURES)
    classes_file = folder / f"{semantics or CLASSES}.csv"
    if classes_file.name not in names:
        raise InputError(f"{folder}: no {classes_file.name}; {_EXPECTED}")
    classes, vectors, dimensions = read_classes(classes_file)
    rows = read_rows(rows_file)
    if rows.labels is None:
        raise InputError(f"{rows_file}: no labels; name the class of each row in " + _label_place(rows_file))
    labels = _number(rows_file, rows.labels, classes, classes_file)
    if rows.split is None:
        is_train = _draw(labels, seed)
        split = f"drawn with seed {seed}: {_TESTED:.0%} of the rows of each class for testing"
    else:
        is_train = _is_train(rows_file, rows.split)
        split = f"given in {rows_file.name}"
    is_seen = np.isin(labels, labels[is_train])
    return Problem(
        name=name,
        features=rows.features,
        labels=labels,
        semantics=vectors,
        classes=classes,
        train=np.flatnonzero(is_train),
        test_seen=np.flatnonzero(~is_train & is_seen),
        test_unseen=np.flatnonzero(~is_train & ~is_seen),
        semantic_names=dimensions,
        origins={
            "features": f"{rows_file}: features",
            "labels": f"{rows_file}: labels",
            "semantics": str(classes_file),
            "classes": f"{classes_file}: column 'name'",
            "train": f"{rows_file}: split train",
            "test_seen": f"{rows_file}: split test",
            "test_unseen": f"{rows_file}: split test",
        },
        backbone=rows.backbone,
        notes={"split": split, "semantics": f"{classes_file.name}: {vectors.shape[1]} dimensions"},
    )


def classes_csv(
    classes: tuple[str, ...], semantics: NDArray[np.float32], names: tuple[str, ...] | None
) -> bytes:
    """What :func:`read_classes` reads back: class names and semantics (C, A), exactly as they are."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *(names or (f"dimension {n + 1}" for n in range(semantics.shape[1])))])
    for name, row in zip(classes, semantics, strict=True):
        writer.writerow([name, *(str(value) for value in row)])
    return text.getvalue().encode()


# -- files ------------------------------------------------------------------------------------


def _features_file(folder: Path, names: list[str], stem: str) -> Path:
    found = [f"{stem}{ending}" for ending in ENDINGS if f"{stem}{ending}" in names]
    if not found:
        others = [f"--features {other}" for other in feature_files(folder)]
        hint = f"there is {listed(others)}; " if others else ""
        if images := images_of(folder):
            hint = (
                f"make it of the images with `gsmflow extract {images} --backbone resnet101 -o {folder / stem}.npz`, "
                "or train with --backbone resnet101; "
            )
        raise InputError(f"{folder}: no {stem}.npz, {stem}.csv or {stem}.parquet; {hint}{_EXPECTED}")
    if len(found) > 1:
        raise InputError(f"{folder}: {' and '.join(found)} are both there; keep one")
    return folder / found[0]


def _rows_of_store(path: Path) -> Rows:
    """Mapped features and, from the table beside them, what is said of each row; see :mod:`gsmflow.store`."""
    features = open_store(check(path))
    beside = [path.with_suffix(f".rows{ending}") for ending in (".parquet", ".csv")]
    found = [file for file in beside if file.exists()]
    if not found:
        return Rows(features, None, None, None)
    table = read_table(found[0])
    if len(table) != len(features):
        raise InputError(
            f"{found[0]}: {len(table)} rows, but {path} has {len(features)}; the two belong to different stores"
        )
    given = {
        column: texts(found[0], table, column) for column in ("label", "split", "name") if column in table
    }
    return Rows(features, given.get("label"), given.get("split"), given.get("name"))


def _rows_of_npz(path: Path) -> Rows:
    arrays = read_npz(path, ("features", "labels", "split", "names", "backbone"))
    if "features" not in arrays:
        raise InputError(f"{path}: no array 'features'; save it with numpy.savez(features=..., labels=...)")
    features = arrays["features"]
    if features.ndim != 2 or 0 in features.shape or features.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: features: shape {features.shape} of {features.dtype}, expected a matrix of numbers "
            "with one row a sample"
        )
    with np.errstate(over="ignore"):  # beyond float32's range becomes inf, and is refused as such
        rows = features.astype(np.float32, copy=False)
    for start in range(0, len(rows), 4096):
        bad = np.argwhere(~np.isfinite(rows[start : start + 4096]))
        if bad.size:
            row, column = int(bad[0][0]) + start, int(bad[0][1])
            raise InputError(
                f"{path}: features: row {row + 1}, column {column + 1} is {features[row, column]}, expected "
                "a finite number; correct it or remove the row"
            )
    said = [_texts_of_npz(path, arrays, name, len(rows)) for name in ("labels", "split", "names")]
    return Rows(rows, *said, backbone=_backbone_of_npz(path, arrays))


def _backbone_of_npz(path: Path, arrays: dict[str, NDArray]) -> dict[str, Any] | None:
    if "backbone" not in arrays:
        return None
    try:
        described = json.loads(str(arrays["backbone"]))
    except ValueError:
        described = None
    if not isinstance(described, dict):
        raise InputError(f"{path}: backbone: expected one text of JSON; make it with `gsmflow extract`")
    return described


def _texts_of_npz(path: Path, arrays: dict[str, NDArray], name: str, rows: int) -> tuple[str, ...] | None:
    if name not in arrays:
        return None
    array = arrays[name]
    if array.dtype.kind != "U":
        raise InputError(
            f"{path}: {name}: values of type {array.dtype}, expected texts; save them with "
            "numpy.array(list_of_str)"
        )
    if array.shape != (rows,):
        raise InputError(f"{path}: {name}: shape {array.shape}, expected ({rows},), one a row of features")
    values = tuple(array.tolist())
    for row, value in enumerate(values):
        if not value.strip():
            raise InputError(f"{path}: {name}: row {row + 1} is empty; fill it in or remove the row")
    return values


def read_classes(path: Path) -> tuple[tuple[str, ...], NDArray[np.float32], tuple[str, ...]]:
    """Class names, semantics (C, A) and names of their dimensions of a table such as ``classes.csv``.

    Raises
    ------
    InputError: the file is missing or damaged, its first column is not ``name``, two classes have the same
        name, or a cell is not a finite number.
    """
    table = read_table(path)
    if table.columns[0] != "name":
        raise InputError(
            f"{path}: the first column is '{table.columns[0]}', expected 'name', then one column a semantic "
            "dimension, separated by commas"
        )
    classes = texts(path, table, "name")
    row_of: dict[str, int] = {}
    for row, name in enumerate(classes):
        if row_of.setdefault(name, row) != row:
            first, second = row_number(path, row_of[name]), row_number(path, row)
            raise InputError(f"{path}: rows {first} and {second} are both named '{name}'; remove one")
    return classes, numbers(path, table, table.columns[1:]), tuple(table.columns[1:])


# -- from texts to indices --------------------------------------------------------------------


def _label_place(path: Path) -> str:
    places = {".npz": "an array 'labels'", ".npy": f"a column 'label' of {path.stem}.rows.parquet"}
    return places.get(path.suffix, "a column 'label'")


def _number(path: Path, labels: tuple[str, ...], classes: tuple[str, ...], table: Path) -> NDArray[np.int64]:
    index = {name: position for position, name in enumerate(classes)}
    for row, label in enumerate(labels):
        if label not in index:
            raise InputError(
                f"{path}: row {row_number(path, row)} is labelled '{label}', which has no row in {table}; "
                f"{instead_of(label, classes)}"
            )
    return np.array([index[label] for label in labels], dtype=np.int64)


def _is_train(path: Path, split: tuple[str, ...]) -> NDArray[np.bool_]:
    for row, value in enumerate(split):
        if value not in ("train", "test"):
            raise InputError(
                f"{path}: row {row_number(path, row)} has split '{value}', expected train or test"
            )
    return np.array([value == "train" for value in split])


def _draw(labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Which rows are for training: all but a fifth of each class's, and always at least one."""
    rng = np.random.default_rng([seed, 0x7AB1E])
    is_train = np.ones(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        is_train[members[: min(round(_TESTED * len(members)), len(members) - 1)]] = False
    return is_train
