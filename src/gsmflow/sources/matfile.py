"""MATLAB files, version 5 (through scipy) and 7.3 (HDF5, through h5py), read one variable at a time.

Both come out in MATLAB's own axes: a D x N matrix has shape (D, N) whichever way it was stored, laid
out column by column, so that its transpose (N, D) is contiguous without a copy.
"""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.files.checksums import check
from gsmflow.files.guard import check_unpacked, first_bytes, is_pickle

T = TypeVar("T")

_NAMES = (
    1 << 20
)  # bytes that names may be compressed to; deflate makes at most a thousand times as much of them
_HDF5 = b"\x89HDF\r\n\x1a\n"


class MatFile:
    """The variables of one MATLAB file. Nothing stored in it is ever executed.

    Raises
    ------
    InputError
        (from the constructor and every method) the file is missing, unreadable, damaged or no MATLAB file; a
        variable is missing or is not what was asked for; a v7.3 file without h5py.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        head = first_bytes(check(path), 1024)
        # MATLAB puts a 512-byte block of its own before the HDF5 part; other writers may not.
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
                    f"{path}: a MATLAB v7.3 file, which needs h5py; install gsmflow[hdf5], or save it "
                    "with -v7"
                ) from None

    def where(self, name: str) -> str:
        """The variable, for error messages."""
        return f"{self.path}: {name}"

    def __contains__(self, name: str) -> bool:
        return name in self.shapes

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every variable, read without reading its values."""
        return self._guarded(self._shapes_hdf5 if self._hdf5 else self._shapes_v5)

    def require(self, *names: str) -> None:
        """Refuse the file unless it has all these variables."""
        missing = [name for name in names if name not in self]
        if missing:
            raise InputError(
                f"{self.path}: no variable '{missing[0]}' (expected {', '.join(names)}; "
                f"found {listed(self.shapes)}); it is another kind of file, or was saved incompletely"
            )

    def matrix(self, name: str) -> NDArray[np.float32]:
        """A matrix of real numbers as float32."""
        value = self._numbers(name, as_float32=True)
        if value.ndim != 2 or 0 in value.shape:
            raise InputError(f"{self.where(name)}: shape {value.shape}, expected a matrix that is not empty")
        return value

    def whole(self, name: str) -> NDArray[np.int64]:
        """A row or column of whole numbers.

        MATLAB files hold these as uint8, uint16 or double; they become int64 before anything is computed
        with them, because an unsigned 0 minus 1 would wrap to a valid index.
        """
        value = self._numbers(name)
        if value.size not in (0, max(value.shape, default=1)):
            raise InputError(f"{self.where(name)}: shape {value.shape}, expected a single row or column")
        flat = value.ravel()
        with np.errstate(invalid="ignore"):  # NaN and inf turn into some integer, unequal to themselves
            whole = flat.astype(np.int64)
        broken = np.flatnonzero(whole != flat)
        if broken.size:
            raise InputError(
                f"{self.where(name)}: entry {broken[0] + 1} is {flat[broken[0]]}, expected whole numbers"
            )
        return whole

    def one_based(self, name: str, high: int | None, of: str) -> NDArray[np.int64]:
        """A row or column of whole numbers from 1 to `high` (if known), returned counted from 0.

        `of` says what there are `high` of.
        """
        numbers = self.whole(name)
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
        check_unpacked(self.path, 8 * math.prod(self.shapes[name]))
        if not self._hdf5:
            self._check_names(name)
        values = self._guarded(self._texts_hdf5 if self._hdf5 else self._texts_v5, name)
        for index, text in enumerate(values):
            if text is None:
                raise InputError(f"{self.where(name)}: entry {index + 1} is not a text, expected names")
        return tuple(text.strip() for text in values if text is not None)

    def _check_names(self, name: str) -> None:
        """Refuse names whose cells, which no shape tells the size of, might unpack to gigabytes."""
        sizes = self._guarded(_element_sizes, self.path)
        place = list(self.shapes).index(name)
        if place < len(sizes) and sizes[place] > _NAMES:
            raise InputError(
                f"{self.where(name)}: {sizes[place]} bytes of names, more than the {_NAMES} allowed; it is "
                "damaged or something else than names"
            )

    # -- the two formats ----------------------------------------------------------------------

    def _guarded(self, read: Callable[..., T], *arguments: Any) -> T:
        """What `read` returns; whatever a parser trips over in a damaged file becomes one line."""
        from scipy.io.matlab import MatReadWarning

        try:
            with warnings.catch_warnings():
                # scipy only warns of an unreadable variable and returns its complaint as the value.
                warnings.simplefilter("error", MatReadWarning)
                return read(*arguments)
        except MemoryError:
            raise InputError(
                f"{self.path}: needs more memory than there is, or is damaged; free memory or obtain it again"
            ) from None
        except Exception as error:  # both parsers raise nearly anything on bytes that make no sense
            reason = str(error) or type(error).__name__
            raise InputError(f"{self.path}: damaged or cut short ({reason[:120]}); obtain it again") from None

    def _numbers(self, name: str, *, as_float32: bool = False) -> NDArray[Any]:
        """A numeric variable in MATLAB's axes."""
        self.require(name)
        check_unpacked(self.path, 8 * math.prod(self.shapes[name]))
        value = self._guarded(self._value_hdf5 if self._hdf5 else self._value_v5, name, as_float32)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
            kind = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
            raise InputError(f"{self.where(name)}: holds {kind}, expected a full array of real numbers")
        return value

    def _shapes_v5(self) -> dict[str, tuple[int, ...]]:
        from scipy.io import whosmat

        return {name: tuple(shape) for name, shape, _ in whosmat(self.path)}

    def _shapes_hdf5(self) -> dict[str, tuple[int, ...]]:
        import h5py

        with h5py.File(self.path, "r") as file:
            # MATLAB keeps what cells point at under names such as '#refs#'.
            return {
                name: tuple(reversed(getattr(value, "shape", ())))
                for name, value in file.items()
                if not name.startswith("#")
            }

    def _value_v5(self, name: str, as_float32: bool = False) -> Any:
        from scipy.io import loadmat

        value = loadmat(self.path, variable_names=[name])[name]
        return _float32(value) if as_float32 else value

    def _value_hdf5(self, name: str, as_float32: bool) -> Any:
        import h5py

        with h5py.File(self.path, "r") as file:
            stored = file[name]
            if not isinstance(stored, h5py.Dataset):
                return stored
            if stored.attrs.get("MATLAB_empty"):
                return np.zeros((0, 0))
            # Converting while reading keeps a file of doubles from being held twice.
            numeric = as_float32 and stored.dtype.kind in "iuf"
            return np.asarray(stored.astype(np.float32)[()] if numeric else stored[()]).T

    def _texts_v5(self, name: str) -> list[str | None]:
        value = self._value_v5(name)
        if value.dtype.kind == "U":
            return [str(text) for text in value.ravel()]
        return [_only_text(entry) for entry in value.ravel()] if value.dtype == object else [None]

    def _texts_hdf5(self, name: str) -> list[str | None]:
        import h5py

        with h5py.File(self.path, "r") as file:
            stored = file[name]
            if not isinstance(stored, h5py.Dataset):
                return [None]
            if h5py.check_ref_dtype(stored.dtype) is None:
                return _characters(stored)
            texts: list[str | None] = []
            for reference in np.asarray(stored[()]).ravel():
                target = file[reference] if reference else None
                rows = _characters(target) if isinstance(target, h5py.Dataset) else [None]
                texts.append(rows[0] if len(rows) == 1 else None)
            return texts


def _element_sizes(path: Path) -> list[int]:
    """Bytes in the file of each variable of a v5 file, in order."""
    sizes = []
    with open(path, "rb") as file:
        order = "<" if file.read(128)[126:128] == b"IM" else ">"
        while len(tag := file.read(8)) == 8:
            sizes.append(struct.unpack(f"{order}II", tag)[1])
            file.seek(sizes[-1], 1)
    return sizes


def _float32(value: Any) -> Any:
    """Real numbers as float32, column by column as they were; anything else as it is."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        return value
    with np.errstate(over="ignore"):  # beyond float32's range becomes inf, and is refused as such later
        return value.astype(np.float32, copy=False)


def _only_text(entry: Any) -> str | None:
    """The text in a cell as scipy gives it: an array around a string, sometimes a cell in a cell."""
    while isinstance(entry, np.ndarray) and entry.dtype == object and entry.size == 1:
        entry = entry.item()
    if not isinstance(entry, np.ndarray) or entry.dtype.kind != "U" or entry.size > 1:
        return None
    return str(entry.item()) if entry.size else ""


def _characters(stored: Any) -> list[str | None]:
    """The rows of a v7.3 character array: UTF-16 units, axes reversed."""
    if stored.attrs.get("MATLAB_empty"):
        return [""]
    units = np.asarray(stored[()])
    if units.dtype.kind != "u" or units.ndim != 2:
        return [None]
    return [row.astype("<u2").tobytes().decode("utf-16-le", errors="replace") for row in units.T]
