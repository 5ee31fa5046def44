"""The checks of a problem. Every error message names the array, the place and the remedy.

`where` gives the origin of an array for messages, see [`where`][gsmflow.data.problem.Problem.where].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsmflow.base.errors import InputError
from gsmflow.files.narrowing import off

Where = Callable[[str], str]

PARTS = ("train", "test_seen", "test_unseen")
_CHUNK = 1 << 21  # entries copied at a time, so that memory-mapped features are never copied as a whole


def matrix(value: ArrayLike, origin: str, unit: str) -> NDArray[np.float32]:
    """Real numbers as a float32 matrix (N, K) with one row for each `unit`; N and K are at least 1.

    Raises
    ------
    InputError
        Another shape, or values of another type.
    """
    return off(real_matrix(value, origin, unit), None)


def real_matrix(value: ArrayLike, origin: str, unit: str, *, rows: bool = True) -> NDArray[Any]:
    """Real numbers as a matrix (N, K) of their own type, with one row for each `unit` and at least one column; with
    `rows`, at least one row.

    Raises
    ------
    InputError
        Another shape, or values of another type.
    """
    try:
        array = value if isinstance(value, np.memmap) else np.asarray(value)
    except ValueError:
        raise InputError(f"{origin}: rows of different lengths, expected a matrix") from None
    if array.ndim != 2 or 0 in (array.shape if rows else array.shape[1:]):
        raise InputError(
            f"{origin}: shape {array.shape}, expected a matrix with one row a {unit} and at least one column"
        )
    if array.dtype == object or not (
        np.issubdtype(array.dtype, np.floating)
        or np.issubdtype(array.dtype, np.integer)
        or array.dtype == bool
    ):
        raise InputError(f"{origin}: values of type {array.dtype}, expected real numbers")
    return array


def whole_numbers(value: ArrayLike, origin: str) -> NDArray[np.int64]:
    """Whole numbers as an int64 vector (N,); floats are accepted if they are whole.

    Raises
    ------
    InputError
        Another shape, or another kind of values.
    """
    array = np.asarray(value)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1:
        raise InputError(f"{origin}: shape {array.shape}, expected one dimension")
    if np.issubdtype(array.dtype, np.integer):
        return array.astype(np.int64)
    if np.issubdtype(array.dtype, np.floating):
        broken = np.flatnonzero(~(np.isfinite(array) & (array == np.round(array))))
        if broken.size:
            raise InputError(f"{origin}: entry {broken[0]} is {array[broken[0]]}, expected whole numbers")
        return array.astype(np.int64)
    raise InputError(f"{origin}: values of type {array.dtype}, expected whole numbers")


def check_classes(classes: tuple[str, ...], semantics: NDArray[np.float32], where: Where) -> None:
    """Check that each row of the semantics has a name, that names differ and that none is empty.

    Raises
    ------
    InputError
        The first violation.
    """
    rows = semantics.shape[0]
    if len(classes) != rows:
        raise InputError(
            f"{where('semantics')}: {rows} rows for {len(classes)} class names; "
            "every class needs one semantic vector"
        )
    first: dict[str, int] = {}
    for index, name in enumerate(classes):
        if not name.strip():
            raise InputError(f"{where('classes')}: class {index} has an empty name")
        if name in first:
            raise InputError(f"{where('classes')}: classes {first[name]} and {index} are both named '{name}'")
        first[name] = index


def check_labels(labels: NDArray[np.int64], samples: int, count: int, where: Where) -> None:
    """Check that each sample has a label in [0, `count`).

    Raises
    ------
    InputError
        The first violation.
    """
    if len(labels) != samples:
        raise InputError(
            f"{where('labels')}: {len(labels)} labels for {samples} samples in {where('features')}"
        )
    outside = np.flatnonzero((labels < 0) | (labels >= count))
    if outside.size:
        raise InputError(
            f"{where('labels')}: sample {outside[0]} has label {labels[outside[0]]} "
            f"(counted from 0), outside the {count} classes"
        )


def check_parts(parts: Mapping[str, NDArray[np.int64]], samples: int, where: Where) -> None:
    """Check that the parts of a split are indices without overlap or repetition.

    Raises
    ------
    InputError
        The first violation.
    """
    owner = np.full(samples, -1, dtype=np.int8)
    for code, (name, part) in enumerate(parts.items()):
        outside = np.flatnonzero((part < 0) | (part >= samples))
        if outside.size:
            raise InputError(
                f"{where(name)}: entry {outside[0]} points at sample {part[outside[0]]} "
                f"(counted from 0), but there are {samples} samples"
            )
        taken = np.flatnonzero(owner[part] >= 0)
        if taken.size:
            sample = part[taken[0]]
            raise InputError(
                f"{where(name)}: sample {sample} (counted from 0) is also in "
                f"{where(PARTS[owner[sample]])}; the parts of a split must not overlap"
            )
        owner[part] = code
        if len(np.unique(part)) != len(part):
            values, counts = np.unique(part, return_counts=True)
            raise InputError(
                f"{where(name)}: sample {values[counts > 1][0]} (counted from 0) is listed twice"
            )


def check_seen(
    parts: Mapping[str, NDArray[np.int64]],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    validation_unseen: NDArray[np.int64] | None,
    where: Where,
) -> None:
    """Check that each test part holds only seen or only unseen classes, and that validation has enough seen classes.

    Raises
    ------
    InputError
        The first violation.
    """
    seen = np.unique(labels[parts["train"]])
    for name, is_seen, state in (
        ("test_seen", True, f"tested as seen but has no sample in {where('train')}"),
        ("test_unseen", False, f"tested as unseen but has samples in {where('train')}"),
    ):
        wrong = np.flatnonzero(np.isin(labels[parts[name]], seen) != is_seen)
        if wrong.size:
            label = labels[parts[name][wrong[0]]]
            raise InputError(f"{where(name)}: class {label} ('{classes[label]}') is {state}")
    if validation_unseen is None:
        return
    known = np.isin(validation_unseen, seen)
    if not known.all():
        raise InputError(
            f"{where('validation_unseen')}: class {validation_unseen[~known][0]} has no training samples, so it "
            "cannot play unseen in validation"
        )
    if not 1 <= len(validation_unseen) <= len(seen) - 2:
        raise InputError(
            f"{where('validation_unseen')}: {len(validation_unseen)} of {len(seen)} seen classes play unseen; "
            "at least one must, and at least two must stay seen"
        )


def check_learnable(train: NDArray[np.int64], seen: NDArray[np.int64], where: Where) -> None:
    """Check that there are training samples of at least two classes.

    Raises
    ------
    InputError
        There are not.
    """
    if not len(train):
        raise InputError(f"{where('train')}: no training samples")
    if len(seen) < 2:
        raise InputError(f"{where('train')}: a single seen class, at least two are needed")


def check_finite(values: NDArray[np.float32], unit: str, origin: str) -> None:
    """Check that every value is finite.

    Raises
    ------
    InputError
        A value is not; the message names row and column of the first one.
    """
    for rows in row_chunks(values):
        finite = np.isfinite(values[rows])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise InputError(
                f"{origin}: {values[rows][row, column]} at {unit} {rows.start + row}, dimension {column} "
                "(counted from 0); values must be finite float32, so remove or replace it"
            )


def check_semantics(
    semantics: NDArray[np.float32], classes: tuple[str, ...], names: tuple[str, ...] | None, where: Where
) -> None:
    """Check that no vector is all zero, that no two are alike, and that names of dimensions differ.

    Raises
    ------
    InputError
        The first violation.
    """
    zero = np.flatnonzero(~semantics.any(axis=1))
    if zero.size:
        raise InputError(
            f"{where('semantics')}: class {zero[0]} ('{classes[zero[0]]}') is all zeros; "
            "describe it or leave it out"
        )
    first: dict[bytes, int] = {}
    for index, row in enumerate(semantics + 0.0):  # + 0.0 makes -0.0 equal to 0.0
        twin = first.setdefault(row.tobytes(), index)
        if twin != index:
            raise InputError(
                f"{where('semantics')}: classes {twin} ('{classes[twin]}') and {index} "
                f"('{classes[index]}') have the same vector and cannot be told apart; "
                "describe them by something in which they differ, or leave one out"
            )
    if names is not None and not len(names) == len(set(names)) == semantics.shape[1]:
        raise InputError(
            f"{where('semantics')}: {len(set(names))} distinct names for {semantics.shape[1]} dimensions; "
            "name every dimension once, or none"
        )


def check_columns(
    names: tuple[str, ...] | None, offset: NDArray[np.float64] | None, dim: int, where: Where
) -> None:
    """Check that names of feature dimensions differ, and that there is a name and an offset for each dimension.

    Raises
    ------
    InputError
        The first violation.
    """
    if names is not None and not len(names) == len(set(names)) == dim:
        raise InputError(
            f"{where('features')}: {len(set(names))} distinct names for {dim} dimensions; name every dimension "
            "once, or none"
        )
    if offset is not None and offset.shape != (dim,):
        raise InputError(f"{where('features')}: offset of shape {offset.shape}, expected ({dim},)")


def row_chunks(values: NDArray[np.float32]) -> list[slice]:
    """Slices of the rows of a matrix, each small enough for memory."""
    rows = max(1, _CHUNK // max(1, values.shape[1]))
    return [slice(start, start + rows) for start in range(0, values.shape[0], rows)]
