"""MATLAB files of version 7.3, which are HDF5, through h5py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gsmflow.files.narrowing import single
from gsmflow.sources.mat_variables import Variable


def variables(path: Path) -> dict[str, Variable]:
    """The header of every variable, by name; no values are read."""
    import h5py

    with h5py.File(path, "r") as file:
        # MATLAB stores the targets of cells and objects under names such as '#refs#'.
        return {name: _variable(file, name) for name in file if name and not name.startswith("#")}


def value(path: Path, name: str, as_float32: bool = False) -> Any:
    """A variable as numpy reads it, in MATLAB's axes; a sparse matrix becomes a full one."""
    import h5py

    with h5py.File(path, "r") as file:
        stored = file[name]
        if isinstance(stored, h5py.Group) and "MATLAB_sparse" in stored.attrs:
            return _full(stored, as_float32)
        if not isinstance(stored, h5py.Dataset):
            return stored
        if stored.attrs.get("MATLAB_empty"):
            return np.zeros((0, 0))
        # Converted while it is read, so that doubles are not in memory twice.
        numeric = as_float32 and stored.dtype.kind in "iuf"
        return np.asarray(stored.astype(np.float32)[()] if numeric else stored[()]).T


def texts(path: Path, name: str) -> list[str | None]:
    """The texts in a cell array or a character matrix; None for a cell that holds something else."""
    import h5py

    with h5py.File(path, "r") as file:
        stored = file[name]
        if not isinstance(stored, h5py.Dataset):
            return [None]
        if h5py.check_string_dtype(stored.dtype) is not None:  # as h5py writes texts
            return [str(text) for text in np.asarray(stored.asstr(errors="replace")[()]).ravel()]
        if h5py.check_ref_dtype(stored.dtype) is None:
            return _characters(stored)
        texts: list[str | None] = []
        for reference in np.asarray(stored[()]).ravel():
            target = file[reference] if reference else None
            rows = _characters(target) if isinstance(target, h5py.Dataset) else [None]
            texts.append(rows[0] if len(rows) == 1 else None)
        return texts


def _variable(file: Any, name: str) -> Variable:
    import h5py

    stored = file.get(name)
    kind = _text(getattr(stored, "attrs", {}).get("MATLAB_class", b""))
    if isinstance(stored, h5py.Dataset):
        is_object = "MATLAB_object_decode" in stored.attrs
        return Variable(() if is_object else tuple(reversed(stored.shape or ())), kind)
    rows = stored.attrs.get("MATLAB_sparse") if isinstance(stored, h5py.Group) else None
    if rows is not None:
        columns = file[f"{name}/jc"].shape[0] - 1
        return Variable((int(rows), int(columns)), kind, sparse=True)
    return Variable((), kind or "struct")


def _full(stored: Any, as_float32: bool) -> Any:
    """The full matrix of a sparse one, stored by columns: values ``data`` in rows ``ir``, ends of columns ``jc``."""
    from scipy.sparse import csc_matrix

    ends = np.asarray(stored["jc"][()], np.int64)
    shape = (int(stored.attrs["MATLAB_sparse"]), len(ends) - 1)
    rows, values = (
        (np.asarray(stored["ir"][()], np.int64), np.asarray(stored["data"][()]))
        if "data" in stored
        else (np.zeros(0, np.int64), np.zeros(0))
    )
    if values.dtype.kind not in "biuf":  # for example complex numbers; refused with its name if it is read
        return values
    matrix = csc_matrix((single(values) if as_float32 else values, rows, ends), shape=shape)
    matrix.check_format(full_check=True)  # a row beyond the last one would write outside the matrix
    return matrix.toarray(order="F")


def _text(attribute: Any) -> str:
    return attribute.decode("latin1") if isinstance(attribute, bytes) else str(attribute)


def _characters(stored: Any) -> list[str | None]:
    """The rows of a v7.3 character array: UTF-16 units, axes reversed."""
    if stored.attrs.get("MATLAB_empty"):
        return [""]
    units = np.asarray(stored[()])
    if units.dtype.kind != "u" or units.ndim != 2:
        return [None]
    return [row.astype("<u2").tobytes().decode("utf-16-le", errors="replace") for row in units.T]
