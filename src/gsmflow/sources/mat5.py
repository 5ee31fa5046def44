"""MATLAB files of version 5: headers are read here, because scipy fails on objects; values are read by scipy."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gsmflow.base.errors import InputError
from gsmflow.files.narrowing import single
from gsmflow.sources.mat5_walk import Elements, check
from gsmflow.sources.mat_variables import Variable

_MATRIX, _COMPRESSED = 14, 15  # kinds of elements: "MAT-File Format", The MathWorks
_OBJECT, _SPARSE, _OPAQUE = 3, 5, 17  # classes with headers of their own form
_CLASSES = (  # numbered from 1
    *("cell", "struct", "object", "char", "sparse", "double", "single"),
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "function_handle"),
)
_LOGICAL = 0x0200
_HEAD = 4096  # bytes that the header of a variable fits into: names have at most 63


def variables(path: Path) -> dict[str, Variable]:
    """The header of every variable, by name; no values are read.

    Raises
    ------
    InputError
        Two variables have the same name.
    ValueError
        The file is damaged or cut short.
    """
    variables: dict[str, Variable] = {}
    with open(path, "rb") as file:
        for name, variable, _ in _walked(file):
            if name in variables:
                raise InputError(f"{path}: holds two variables named '{name}'; save it anew with one of them")
            if name:  # without a name it is internal data of MATLAB objects
                variables[name] = variable
    return variables


def _walked(file: BinaryIO) -> Iterator[tuple[str, Variable, Elements]]:
    """Name, header and elements of every variable of a file; elements can be read until the next variable is yielded.

    Raises
    ------
    ValueError
        The file is damaged or cut short.
    """
    end = os.fstat(file.fileno()).st_size
    order = "<" if file.read(128)[126:128] == b"IM" else ">"
    while tag := file.read(8):
        if len(tag) < 8:
            raise ValueError("ends within an element")
        kind, size = struct.unpack(f"{order}II", tag)
        begun = file.tell()
        if kind not in (_MATRIX, _COMPRESSED) or begun + size > end:
            raise ValueError(
                f"an element of {size} bytes where {end - begun} are left"
                if begun + size > end
                else f"an element of kind {kind}"
            )
        head = file.read(min(size, _HEAD))
        if kind == _COMPRESSED:
            tagged = zlib.decompressobj().decompress(head, _HEAD)
            if struct.unpack(f"{order}I", tagged[:4])[0] != _MATRIX:
                raise ValueError("a compressed element that is no variable")
            head = tagged[8:]
        name, variable = _header(head, order, size)
        file.seek(begun)
        yield name, variable, Elements(file, size, order, compressed=kind == _COMPRESSED)
        file.seek(begun + size)


def value(path: Path, name: str, as_float32: bool = False) -> Any:
    """A variable as scipy reads it; a sparse matrix becomes a full one."""
    from scipy.io import loadmat
    from scipy.sparse import csc_matrix, issparse

    _check(path, name)
    stored: Any = loadmat(path, variable_names=[name])[name]
    if issparse(stored):
        stored = csc_matrix(stored)
        stored.check_format(full_check=True)  # a row beyond the last one would write outside the matrix
        stored.data = _float32(stored.data) if as_float32 else stored.data
        stored = stored.toarray(order="F")
    return _float32(stored) if as_float32 else stored


def _check(path: Path, name: str) -> None:
    """Check the elements of a variable; raises `ValueError` if scipy could not read them."""
    with open(path, "rb") as file:
        for there, variable, elements in _walked(file):
            if there == name:
                check(elements, elements.tag()[1] if elements.compressed else variable.size)
                return


def texts(path: Path, name: str) -> list[str | None]:
    """The texts in a cell array or a character matrix; None for a cell that holds something else."""
    stored = value(path, name)
    if stored.dtype.kind == "U":
        return [str(text) for text in stored.ravel()]
    return [_only_text(entry) for entry in stored.ravel()] if stored.dtype == object else [None]


def _header(head: bytes, order: str, size: int) -> tuple[str, Variable]:
    """Name and kind from the beginning of a variable: array flags, then dimensions and name."""
    flags, at = _part(head, 0, order)
    word = struct.unpack(f"{order}I", flags[:4])[0]
    number = word & 0xFF
    if number == _OPAQUE:  # no dimensions; name, type system and class instead
        words = []
        for _ in range(3):
            text, at = _part(head, at, order)
            words.append(text.decode("latin1"))
        return words[0], Variable((), words[2] or "object", size=size)
    dims, at = _part(head, at, order)
    shape = struct.unpack(f"{order}{len(dims) // 4}i", dims)
    name, at = _part(head, at, order)
    if not 1 <= number <= len(_CLASSES) or min(shape, default=0) < 0:
        raise ValueError(f"a variable of class {number} and shape {shape}")
    kind = _CLASSES[number - 1]
    if number == _OBJECT:
        kind = _part(head, at, order)[0].decode("latin1") or kind
    elif word & _LOGICAL:
        kind = "logical"
    elif number == _SPARSE:
        kind = "double"
    return name.decode("latin1"), Variable(tuple(shape), kind, number == _SPARSE, size)


def _part(head: bytes, at: int, order: str) -> tuple[bytes, int]:
    """The data element at a position, and the position of the next; small ones share eight bytes with their tag."""
    if at + 8 > len(head):
        raise ValueError("a header that ends too early")
    kind, size = struct.unpack_from(f"{order}II", head, at)
    if kind >> 16:
        return head[at + 4 : at + 4 + (kind >> 16)], at + 8
    if at + 8 + size > len(head):
        raise ValueError("a header that ends too early")
    return head[at + 8 : at + 8 + size], at + 8 + -(-size // 8) * 8


def _float32(stored: Any) -> Any:
    """Real numbers as float32 in the same memory order; anything else unchanged."""
    if not isinstance(stored, np.ndarray) or stored.dtype.kind not in "biuf":
        return stored
    return single(stored)


def _only_text(entry: Any) -> str | None:
    """The text in a cell that scipy read: an array around a string, sometimes a cell in a cell."""
    while isinstance(entry, np.ndarray) and entry.dtype == object and entry.size == 1:
        entry = entry.item()
    if not isinstance(entry, np.ndarray) or entry.dtype.kind != "U" or entry.size > 1:
        return None
    return str(entry.item()) if entry.size else ""
