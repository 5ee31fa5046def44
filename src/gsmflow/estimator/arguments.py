"""Labels, semantics and seeds in the forms that users of scikit-learn give, converted and checked."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from gsmflow.base.errors import InputError
from gsmflow.data.checks import matrix

_MOST = 2**32 - 1  # numpy's largest seed
_BY_POSITION = "give .to_numpy() to take the rows in the order of the classes"


def whole_number(value: Any, name: str, low: int = 0, high: int | None = None) -> int:
    """A whole number of Python or NumPy as an int.

    Raises
    ------
    InputError
        Anything else, or one outside `low` to `high`.
    """
    whole = int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else None
    if whole is None or whole < low or (high is not None and whole > high):
        expected = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise InputError(f"{name} = {value!r}: expected a whole number {expected}")
    return whole


def seed_of(random_state: Any) -> int:
    """The seed that scikit-learn's `random_state` stands for.

    A whole number is the seed. None draws a seed from NumPy's global state; a RandomState or a Generator draws one from
    itself. So two calls give two seeds.

    Raises
    ------
    InputError
        It is none of these.
    """
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    if random_state is None or random_state is np.random or isinstance(random_state, np.random.RandomState):
        return int(check_random_state(random_state).randint(2**31 - 1))
    return whole_number(random_state, "random_state", 0, _MOST)


def labels_of(values: Any, name: str) -> NDArray[Any]:
    """Labels of one kind, (N,): all text, all whole numbers or all true and false.

    Raises
    ------
    InputError
        Another shape, several kinds, a missing label, or numbers that are not whole.
    """
    refuse_mixed(values, name)
    array = np.asarray(values)
    if array.ndim != 1:
        raise InputError(f"{name}: shape {array.shape}, expected one label a class or sample")
    if array.dtype == object and len(array) and not isinstance(array[0], str):
        array = np.array(array.tolist())
    if kind_of(array) == "":
        raise InputError(f"{name}: labels of type {array.dtype}, expected text or whole numbers")
    if array.dtype.kind == "f":
        broken = array[~(np.isfinite(array) & (array == np.round(array)))]
        if len(broken):
            raise InputError(
                f"{name}: continuous values such as {broken[0]}, expected class labels: text or whole numbers"
            )
    return array


def refuse_mixed(values: Any, name: str) -> None:
    """Refuse a list or an array of objects that are not labels of a single kind.

    Raises
    ------
    InputError
        They are of several kinds, or one is missing.
    """
    if not isinstance(values, list | tuple) and str(getattr(values, "dtype", "")) != "object":
        return
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    first: dict[str, Any] = {}
    for index, value in enumerate(array):
        kind = _kind(value)
        if kind == "" and not isinstance(value, list | tuple | np.ndarray):
            raise InputError(f"{name}: entry {index} is {value}, expected text or a whole number")
        first.setdefault(kind, value)
    if len(first) > 1:
        named = " and ".join(f"{kind} such as {value!r}" for kind, value in list(first.items())[:2])
        raise InputError(f"{name}: labels of several types, {named}; give all as text or all as numbers")


def kind_of(labels: NDArray[Any]) -> str:
    """``text``, ``numbers`` or ``true and false``; nothing for values that are no labels."""
    if labels.dtype == object:
        return _kind(labels[0]) if len(labels) else "text"
    return {"U": "text", "i": "numbers", "u": "numbers", "f": "numbers", "b": "true and false"}.get(
        labels.dtype.kind, ""
    )


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool | np.bool_):
        return "true and false"
    if isinstance(value, numbers.Real) and value == value:  # NaN is not
        return "numbers"
    return ""


@dataclass(frozen=True)
class Semantics:
    """Classes and what describes them, as they were given.

    Parameters
    ----------
    classes : NDArray[Any]
        (C,) labels.
    vectors : NDArray[np.float32]
        (C, A).
    names : tuple[str, ...] | None
        Names of the A dimensions, where a table named them.
    """

    classes: NDArray[Any]
    vectors: NDArray[np.float32]
    names: tuple[str, ...] | None = None


def bound_semantics(semantics: Any, classes: Any, labels: NDArray[Any]) -> Semantics:
    """Which vector belongs to which class.

    Parameters
    ----------
    semantics : Any
        A dictionary from classes to vectors, a pandas frame whose index holds the classes, or C vectors without
        names: an array, a list, another frame.
    classes : Any
        (C,) the classes that are meant: of a dictionary or an index, those to take; otherwise those of the rows.
        None for all, or for the sorted labels where the vectors have no names.
    labels : NDArray[Any]
        (N,) of the training samples; classes are given their type where they fit.

    Raises
    ------
    InputError
        Classes and vectors do not fit together.
    """
    listed = None if classes is None else labels_of(classes, "classes")
    if listed is not None and len(set(listed.tolist())) < len(listed):
        raise InputError("classes: a class is listed twice")
    keys, vectors, names = _read(semantics)
    if keys is not None and listed is not None:
        keys = _by_name(keys, listed, isinstance(semantics, Mapping))
    if keys is None:
        keys = np.unique(labels) if listed is None else listed
        if len(keys) != len(vectors):
            raise InputError(
                f"semantics: shape {vectors.shape}, expected one row for each of {len(keys)} classes"
            )
        return Semantics(keys, vectors, names)
    if len(set(keys.tolist())) < len(keys):
        raise InputError("semantics: a class is listed twice")
    if listed is None:
        return Semantics(_like(keys, labels), vectors, names)
    place = {key: row for row, key in enumerate(keys.tolist())}
    missing = [label for label in listed.tolist() if label not in place]
    if missing:
        raise InputError(
            f"semantics: no vector for class {missing[0]!r} ({len(missing)} of {len(listed)} classes have none)"
        )
    return Semantics(listed, vectors[[place[label] for label in listed.tolist()]], names)


def _by_name(keys: NDArray[Any], listed: NDArray[Any], named: bool) -> NDArray[Any] | None:
    """The names of the vectors; None if an index holds something else, such as row numbers."""
    if kind_of(keys) == kind_of(listed):
        return keys
    if named or kind_of(keys) == "text":
        raise InputError(
            f"semantics: classes are {kind_of(keys)} there and {kind_of(listed)} in classes; give one kind"
        )
    return None


def _like(keys: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """Classes in the type of the labels, if no class changes by it."""
    if kind_of(keys) != kind_of(labels):
        return keys
    if kind_of(keys) == "text":
        return keys.astype(object if labels.dtype == object else str)
    cast = keys.astype(labels.dtype)
    return cast if np.array_equal(cast, keys) else keys


def _read(semantics: Any) -> tuple[NDArray[Any] | None, NDArray[np.float32], tuple[str, ...] | None]:
    """The classes that name the vectors, if any; the vectors (C, A); the names of their dimensions."""
    if isinstance(semantics, Mapping):
        keys = labels_of(list(semantics), "semantics")
        return keys, _stacked(list(semantics), list(semantics.values())), None
    if not hasattr(semantics, "columns"):
        return None, matrix(semantics, "semantics", "class"), None
    _refuse_text(semantics)
    vectors = matrix(semantics.to_numpy(), "semantics", "class")
    columns = list(semantics.columns)
    names = tuple(columns) if all(isinstance(each, str) for each in columns) else None
    index: Any = getattr(semantics, "index", None)
    if index is None or (type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1)):
        return None, vectors, names
    if getattr(index, "nlevels", 1) > 1:
        raise InputError(
            f"semantics: an index of several levels, expected one of class names; {_BY_POSITION}"
        )
    return labels_of(np.asarray(index), "index of semantics"), vectors, names


def _stacked(keys: Sequence[Any], values: Sequence[Any]) -> NDArray[np.float32]:
    """One vector a class, all of the same length."""
    rows = [np.asarray(value) for value in values]
    for key, row in zip(keys, rows, strict=True):
        if row.ndim != 1 or len(row) != len(rows[0]):
            raise InputError(
                f"semantics: class {key!r} has a vector of shape {row.shape}, expected {rows[0].shape} as for "
                f"class {keys[0]!r}"
            )
    return matrix(np.array(rows), "semantics", "class")


def _refuse_text(frame: Any) -> None:
    """Refuse a frame with a column that holds no numbers, such as one of class names."""
    for name in frame.columns:
        column = frame[name].to_numpy()
        if column.dtype.kind in "biuf":
            continue
        if hasattr(frame, "index"):
            remedy = f"make it the index: set_index({name!r})"
        else:
            remedy = f"a polars frame has no index, so give semantics=frame.drop({name!r}), classes=frame[{name!r}]"
        raise InputError(f"semantics: column {name!r} holds no numbers; {remedy}")
