"""Features larger than memory: a matrix on disk that is mapped into memory, so that only what is used is read.

A store is ``features.npy``, rows of float32 one after the other, and ``features.rows.parquet`` (or ``.csv``)
beside it with a column ``label`` and optionally ``split`` and ``name``. The store is a plain matrix, not Arrow or
many files, so that any batch of rows is one gather from mapped memory. So training draws the same batches as in
memory and ends with the same numbers.

Matrices derived from a mapped one (scaled features, some of its rows) are mapped too. They lie in unnamed
files in the temporary folder (``$TMPDIR``), which disappear with the process. When memory is short, the
system drops their pages.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.files.atomic import write_file
from gsmflow.files.guard import check_unpacked
from gsmflow.files.narrowing import single

CHUNK = 1 << 22  # entries worked on at a time: 16 MiB


def open_store(path: Path) -> NDArray[np.float32]:
    """The matrix (N, D) of a store, mapped, not read.

    Raises
    ------
    InputError
        The file is missing, not an .npy file, cut short, holds objects, or is not a float32 matrix stored by
        rows.
    """
    mapped = _mapped(path)
    if (
        not isinstance(mapped, np.memmap)
        or mapped.ndim != 2
        or mapped.dtype != np.float32
        or 0 in mapped.shape
    ):
        remedy = "; save array.astype(numpy.float32)" if getattr(mapped, "ndim", 0) == 2 else ""
        raise InputError(f"{path}: {mapped.dtype} of shape {mapped.shape}, expected a float32 matrix{remedy}")
    if not mapped.flags.c_contiguous:
        raise InputError(f"{path}: laid out by columns, expected by rows; save numpy.ascontiguousarray of it")
    return mapped


def open_matrix(path: Path) -> NDArray[Any]:
    """The matrix (N, D) of an .npy file: mapped where it is a store, in memory where it is one of other real numbers or
    laid out by columns.

    Raises
    ------
    InputError
        The file is missing, not an .npy file, cut short, holds objects, or is not a matrix of real numbers.
    """
    mapped = _mapped(path)
    shape, kind = getattr(mapped, "shape", ()), getattr(mapped, "dtype", np.dtype(object))
    if not isinstance(mapped, np.memmap) or len(shape) != 2 or 0 in shape or kind.kind not in "biuf":
        raise InputError(
            f"{path}: {kind} of shape {shape}, expected a matrix of real numbers with one row a sample"
        )
    if mapped.dtype == np.float32 and mapped.flags.c_contiguous:
        return mapped
    check_unpacked(path, mapped.nbytes)
    in_memory = np.array(mapped, order="C")
    return single(in_memory) if in_memory.dtype.itemsize < 4 else in_memory


def _mapped(path: Path) -> Any:
    """What is in an .npy file, mapped."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # headers raise various errors
        if "Python objects" in str(error):
            raise InputError(
                f"{path}: contains pickled objects, which are never loaded; save a plain matrix of numbers"
            ) from None
        raise InputError(f"{path}: not a readable .npy file ({str(error)[:120]}); write it anew") from None


def write_store(path: Path, batches: Iterable[NDArray[Any]]) -> int:
    """Write batches of features (B, D) as one store, atomically, with one batch in memory at a time; returns N.

    Raises
    ------
    InputError
        Batches of different widths or without rows, or the disk is full.
    """
    rows, width = 0, 0

    def write(file: BinaryIO) -> None:
        nonlocal rows, width
        file.write(_header(1 << 62, 1 << 30))  # a placeholder of the same length as every other header
        for batch in batches:
            if batch.ndim != 2 or (rows and batch.shape[1] != width):
                raise InputError(f"{path}: a batch of shape {batch.shape}, expected (rows, {width or 'D'})")
            rows, width = rows + len(batch), batch.shape[1]
            np.ascontiguousarray(batch, dtype="<f4").tofile(file)
        if not rows or not width:
            raise InputError(f"{path}: nothing to write")
        file.seek(0)
        file.write(_header(rows, width))

    write_file(path, write)
    return rows


def is_mapped(features: NDArray[Any]) -> bool:
    """Whether features are in a file and not in memory."""
    return isinstance(features, np.memmap)


def empty_like(features: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
    """An empty float32 matrix (N, D): mapped if `features` are mapped, and in memory otherwise.

    Raises
    ------
    InputError
        There is no room in the temporary folder.
    """
    if not is_mapped(features):
        return np.empty(shape, np.float32)
    size = 4 * shape[0] * shape[1]
    with tempfile.TemporaryFile(prefix="gsmflow-") as file:
        try:
            # Allocated at once: otherwise a full disk would show later, as a signal when a page is written.
            os.posix_fallocate(file.fileno(), 0, max(1, size))
        except OSError as error:
            raise InputError(
                f"{tempfile.gettempdir()}: no room for {size / 2**30:.1f} GiB of features ({error.strerror}); "
                "name another place by TMPDIR"
            ) from None
        return np.memmap(file, np.float32, "r+", shape=shape)


def rows_of(features: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """features[rows], (N, D): mapped if `features` are mapped; not copied if the rows are consecutive."""
    if not is_mapped(features):
        return features[rows]
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return features[rows[0] : rows[0] + len(rows)]
    taken = empty_like(features, (len(rows), features.shape[1]))
    for part in chunks(len(rows), features.shape[1]):
        taken[part] = features[rows[part]]
    return taken


def chunks(rows: int, width: int) -> Iterator[slice]:
    """Slices of rows of about CHUNK entries."""
    step = max(1, CHUNK // max(1, width))
    return (slice(start, start + step) for start in range(0, rows, step))


def _header(rows: int, width: int) -> bytes:
    """An .npy header of version 1, padded with spaces to 128 bytes."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}".encode()
    return b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.ljust(117) + b"\n"
