"""MATLAB files, version 5 (through scipy) and 7.3 (HDF5, through h5py), read one variable at a time.

A file may hold other variables too; objects such as strings, tables and datetimes are not touched. Matrices from both
versions have MATLAB's axes: a D x N matrix has shape (D, N) and is laid out column by column, so that its transpose
(N, D) is contiguous without a copy.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.base.suggest import listed
from gsmflow.files.checksums import check
from gsmflow.files.guard import check_unpacked, first_bytes, is_pickle
from gsmflow.sources import mat5, mat73
from gsmflow.sources.mat_variables import Variable

T = TypeVar("T")

_NAMES = 1 << 20  # most bytes of compressed names; deflate unpacks to at most a thousand times as many
_HDF5 = b"\x89HDF\r\n\x1a\n"


class MatFile:
    """The variables of one MATLAB file. Nothing stored in it is ever executed.

    Raises
    ------
    InputError
        (from the constructor and every method) The file is missing, unreadable, damaged or not a MATLAB file; a
        variable is missing or of another kind than wanted; or the file is v7.3 and h5py is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        head = first_bytes(check(path), 1024)
        # MATLAB writes a 512-byte block before the HDF5 part; other programs may not.
        self._hdf5 = _HDF5 in (head[:8], head[512:520]) or head.startswith(b"MATLAB 7.3")
        if not self._hdf5 and head[126:128] not in (b"IM", b"MI"):
            what = "a Python pickle, which is never loaded" if is_pickle(head) else "something else"
            raise InputError(
                f"{path}: not a MATLAB file (v5 or v7.3) but {what}; save it from MATLAB or with "
                "scipy.io.savemat"
            )
        if self._hdf5:
            try:
                import h5py  # noqa: F401
            except ImportError:
                raise InputError(
                    f"{path}: a MATLAB v7.3 file, which needs h5py: {installing('hdf5')}; or save it with -v7"
                ) from None

    def where(self, name: str) -> str:
        """The variable, for error messages."""
        return f"{self.path}: {name}"

    def __contains__(self, name: str) -> bool:
        return name in self.variables

    @cached_property
    def variables(self) -> Mapping[str, Variable]:
        """The header of every variable, read without its values."""
        return self._guarded((mat73 if self._hdf5 else mat5).variables, self.path)

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every variable."""
        return {name: variable.shape for name, variable in self.variables.items()}

    def require(self, *names: str) -> None:
        """Refuse the file unless it has all these variables."""
        missing = [name for name in names if name not in self]
        if missing:
            raise InputError(
                f"{self.path}: no variable '{missing[0]}' (expected {', '.join(names)}; "
                f"found {listed(self.shapes)}); it is another kind of file, or was saved incompletely"
            )

    def matrix(self, name: str) -> NDArray[np.float32]:
        """A matrix of real numbers as float32, (rows, columns)."""
        return self._matrix(name, as_float32=True)

    def exact(self, name: str) -> NDArray[Any]:
        """A matrix of real numbers (rows, columns) in the type of the file."""
        return self._matrix(name, as_float32=False)

    def _matrix(self, name: str, *, as_float32: bool) -> NDArray[Any]:
        value = self._numbers(name, as_float32=as_float32)
        if value.ndim != 2 or 0 in value.shape:
            raise InputError(f"{self.where(name)}: shape {value.shape}, expected a matrix that is not empty")
        return value

    def whole(self, name: str) -> NDArray[np.int64]:
        """A row or column of whole numbers as a vector (N,).

        MATLAB files hold these as uint8, uint16 or double; they become int64 before anything is computed
        with them, because an unsigned 0 minus 1 would wrap to a valid index.
        """
        value = self._numbers(name)
        if value.size not in (0, max(value.shape, default=1)):
            raise InputError(f"{self.where(name)}: shape {value.shape}, expected a single row or column")
        flat = value.ravel()
        with np.errstate(invalid="ignore"):  # NaN and inf become integers that differ from them
            whole = flat.astype(np.int64)
        broken = np.flatnonzero(whole != flat)
        if broken.size:
            raise InputError(
                f"{self.where(name)}: entry {broken[0] + 1} is {flat[broken[0]]}, expected whole numbers"
            )
        return whole

    def one_based(self, name: str, high: int | None, of: str) -> NDArray[np.int64]:
        """A row or column of whole numbers from 1 to `high` (if known), returned counted from 0.

        `of` says in messages what there are `high` of.
        """
        numbers = self.whole(name)
        if self.variables[name].kind == "logical":
            raise InputError(
                f"{self.where(name)}: is of MATLAB class logical, a mask, expected numbers counted from 1; in MATLAB "
                f"set {name} = find({name}) and save again"
            )
        outside = np.flatnonzero((numbers < 1) | (False if high is None else numbers > high))
        if outside.size:
            limit = "counted from 1" if high is None else f"from 1 to {high}, the number of {of}"
            wrong = numbers[outside[0]]
            raise InputError(
                f"{self.where(name)}: entry {outside[0] + 1} is {wrong}, expected numbers {limit}"
            )
        return numbers - 1

    def texts(self, name: str) -> tuple[str, ...]:
        """A cell array of texts, or a character matrix with one text a row."""
        self.require(name)
        variable = self.variables[name]
        if odd := variable.not_texts(name):
            raise InputError(f"{self.where(name)}: {odd}")
        check_unpacked(self.path, 8 * math.prod(variable.shape))
        if variable.size > _NAMES:  # the cells might unpack to gigabytes, which the shape does not show
            raise InputError(
                f"{self.where(name)}: {variable.size} bytes of names, more than the {_NAMES} allowed; it is "
                "damaged or something else than names"
            )
        values = self._guarded((mat73 if self._hdf5 else mat5).texts, self.path, name)
        for index, text in enumerate(values):
            if text is None:
                raise InputError(f"{self.where(name)}: entry {index + 1} is not a text, expected names")
        return tuple(text.strip() for text in values if text is not None)

    def _guarded(self, read: Callable[..., T], *arguments: Any) -> T:
        """Call `read`; any error of a parser about a damaged file becomes one line."""
        from scipy.io.matlab import MatReadWarning

        try:
            with warnings.catch_warnings():
                # For an unreadable variable scipy only warns, and returns the error message as the value.
                warnings.simplefilter("error", MatReadWarning)
                warnings.filterwarnings("error", "Unreadable variable")
                return read(*arguments)
        except InputError:
            raise
        except MemoryError:
            raise InputError(
                f"{self.path}: needs more memory than there is, or is damaged; free memory or obtain it again"
            ) from None
        except Exception as error:  # both parsers raise many kinds of errors on damaged files
            reason = str(error) or type(error).__name__
            raise InputError(f"{self.path}: damaged or cut short ({reason[:120]}); obtain it again") from None

    def _numbers(self, name: str, *, as_float32: bool = False) -> NDArray[Any]:
        """A numeric variable in MATLAB's axes."""
        self.require(name)
        variable = self.variables[name]
        if odd := variable.not_numbers(name):
            raise InputError(f"{self.where(name)}: {odd}")
        check_unpacked(self.path, 8 * math.prod(variable.shape))
        value = self._guarded((mat73 if self._hdf5 else mat5).value, self.path, name, as_float32)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
            kind = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
            raise InputError(f"{self.where(name)}: holds {kind}, expected an array of real numbers")
        return value
