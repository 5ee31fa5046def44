"""Reading variables out of MATLAB files, v5 (scipy) and v7.3 (HDF5), without executing anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.errors import InputError


def read_mat(path: Path, wanted: Sequence[str], optional: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """The named variables of a .mat file, as MATLAB shows them (rows first); cells as object arrays.

    Raises
    ------
    InputError: the file is missing, unreadable, cut short, no .mat file, or lacks a wanted variable.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a .mat file")
    try:
        with path.open("rb") as file:
            head = file.read(128)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    names = [*wanted, *optional]
    # A v7.3 file is HDF5 behind a 512-byte MATLAB header; other writers leave the header out.
    hdf5 = b"MATLAB 7.3" in head or head.startswith(b"\x89HDF")
    found = _read_hdf5(path, names) if hdf5 else _read_v5(path, names)
    for name in wanted:
        if name not in found:
            there = ", ".join(sorted(_variables(path, hdf5))) or "none"
            raise InputError(f"{path}: no variable '{name}' (variables there: {there})")
    return found


def _read_v5(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    from scipy.io import loadmat

    try:
        loaded = loadmat(path, variable_names=list(names))
    except Exception as error:  # scipy raises many kinds on damaged files
        raise _damaged(path, error) from None
    return {name: np.asarray(loaded[name]) for name in names if name in loaded}


def _read_hdf5(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    try:
        import h5py
    except ImportError:
        raise InputError(
            f"{path}: is a MATLAB v7.3 file, which needs h5py; pip install 'gsmflow[hdf5]'"
        ) from None
    found: dict[str, NDArray[Any]] = {}
    try:
        with h5py.File(path, "r") as file:
            for name in names:
                item = file.get(name)
                if isinstance(item, h5py.Dataset):
                    found[name] = _hdf5_value(file, item)
    except Exception as error:  # h5py raises OSError, KeyError, RuntimeError, ... on damaged files
        raise _damaged(path, error) from None
    return found


def _hdf5_value(file: Any, item: Any) -> NDArray[Any]:
    """A dataset with its axes turned back to MATLAB's order; cells of texts are followed."""
    import h5py

    value = item[()]
    if item.dtype == h5py.ref_dtype:
        cells = np.empty(value.T.shape, dtype=object)
        for index, reference in np.ndenumerate(value.T):
            codes = np.asarray(file[reference][()]).ravel()
            cells[index] = "".join(map(chr, codes.astype(int))) if codes.dtype.kind in "iu" else codes
        return cells
    return np.asarray(value).T


def _variables(path: Path, hdf5: bool) -> list[str]:
    if hdf5:
        import h5py

        with h5py.File(path, "r") as file:
            return [str(name) for name in file if not str(name).startswith("#")]
    from scipy.io import whosmat

    return [name for name, _, _ in whosmat(path)]


def _damaged(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return InputError(
        f"{path}: not a readable MATLAB file ({reason}); it is cut short, damaged or of another format, so "
        "download or export it again"
    )


def numbers(path: Path, name: str, value: NDArray[Any]) -> NDArray[Any]:
    """Check that a variable holds real numbers.

    Raises
    ------
    InputError: it does not.
    """
    if value.dtype.kind not in "fiub":
        raise InputError(f"{path}: {name} holds {value.dtype} values, expected real numbers")
    return value


def whole_numbers(path: Path, name: str, value: NDArray[Any], low: int = 1) -> NDArray[np.int64]:
    """A variable of 1-based indices or labels, flattened, as int64 *still counted from 1*.

    Stored as uint8 or uint16 as often as not: they are widened before anything is subtracted.

    Raises
    ------
    InputError: a value is no whole number or below `low`.
    """
    flat = numbers(path, name, value).ravel()
    if flat.dtype.kind == "f":
        odd = np.flatnonzero(~(np.isfinite(flat) & (flat == np.round(flat))))
        if odd.size:
            raise InputError(f"{path}: {name} entry {odd[0] + 1} is {flat[odd[0]]}, expected a whole number")
    result = flat.astype(np.int64)
    small = np.flatnonzero(result < low)
    if small.size:
        raise InputError(
            f"{path}: {name} entry {small[0] + 1} is {result[small[0]]}; MATLAB counts from 1, so it must be "
            f"at least {low}"
        )
    return result


def texts(value: NDArray[Any]) -> list[str]:
    """The texts of a cell array or character matrix."""
    found = []
    for cell in np.asarray(value, dtype=object).ravel():
        while isinstance(cell, np.ndarray) and cell.size == 1:
            cell = cell.ravel()[0]
        found.append(str(cell).strip())
    return found
