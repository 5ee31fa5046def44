"""Checking the elements of a variable in a MATLAB file of version 5, before scipy reads them.

Scipy's native reader looks up the kind of an element in a table without a check of the range, so that a damaged file
can crash the program. Here every element is checked: its kind must be allowed in a variable of this class, and its size
must fit into the variable.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from typing import BinaryIO

_MATRIX = 14
_INT8, _INT32, _UINT32 = 1, 5, 6
_NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13}
_CHARACTERS = _NUMBERS | {16, 17, 18}
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 4, 5, 16, 17
_COMPLEX = 0x0800
_DEEPEST = 16  # cells within cells
_BLOCK = 1 << 20  # bytes read at a time


class Elements:
    """The bytes of one variable, one after the other, decompressed if necessary.

    Parameters
    ----------
    file : BinaryIO
        Positioned at the first byte of the variable's element, after its tag.
    size : int
        Bytes of that element.
    order : str
        ``<`` or ``>``: the order of bytes.
    compressed : bool
        Whether the bytes are a zlib stream, which begins with a tag of its own.
    """

    def __init__(self, file: BinaryIO, size: int, order: str, *, compressed: bool) -> None:
        self._file, self._left, self.order = file, size, order
        self.compressed = compressed
        self._stream = zlib.decompressobj() if compressed else None
        self._ready = b""
        self.at = 0

    def read(self, count: int) -> bytes:
        """The next bytes.

        Raises
        ------
        ValueError
            There are fewer bytes, or the stream is damaged.
        """
        while len(self._ready) < count:
            more = self._more()
            if not more:
                raise ValueError("ends within an element")
            self._ready += more
        taken, self._ready = self._ready[:count], self._ready[count:]
        self.at += count
        return taken

    def skip(self, count: int) -> None:
        """Skip the next bytes; raises the same errors as `read`."""
        if self._stream is None:
            ready = min(count, len(self._ready))
            self.read(ready)
            if count - ready > self._left:
                raise ValueError("ends within an element")
            self._file.seek(count - ready, os.SEEK_CUR)
            self._left -= count - ready
            self.at += count - ready
            return
        while count > 0:
            step = min(count, _BLOCK)
            self.read(step)
            count -= step

    def tag(self) -> tuple[int, int, bytes | None]:
        """Kind and size in bytes of the next element, and its data if they are within the tag."""
        tag = self.read(8)
        word, size = struct.unpack(f"{self.order}II", tag)
        if not word >> 16:
            return word, size, None
        if word >> 16 > 4:
            raise ValueError("a small element of more than four bytes")
        return word & 0xFFFF, word >> 16, tag[4 : 4 + (word >> 16)]

    def _more(self) -> bytes:
        if self._stream is not None and self._stream.unconsumed_tail:
            return self._decompressed(self._stream.unconsumed_tail)
        part = self._file.read(min(self._left, _BLOCK))
        self._left -= len(part)
        if self._stream is None or not part:
            return part
        return self._decompressed(part) or (self._more() if self._left else b"")

    def _decompressed(self, part: bytes) -> bytes:
        assert self._stream is not None
        try:
            return self._stream.decompress(part, _BLOCK)
        except zlib.error as error:
            raise ValueError(str(error)) from None


def check(elements: Elements, size: int, depth: int = 0) -> None:
    """Check all elements of a variable of `size` bytes.

    Raises
    ------
    ValueError
        An element is not allowed in such a variable, or does not fit into it.
    """
    if not size:  # an empty cell
        return
    if depth > _DEEPEST:
        raise ValueError(f"cells within cells, more than {_DEEPEST} deep")
    end = elements.at + size
    flags = _data(elements, end, {_UINT32}, keep=True)
    if len(flags) < 8:
        raise ValueError("array flags of fewer than eight bytes")
    word = struct.unpack(f"{elements.order}I", flags[:4])[0]
    number = word & 0xFF
    if number == _OPAQUE:  # never read
        elements.skip(end - elements.at)
        return
    dims = _data(elements, end, {_INT32, _UINT32}, keep=True)
    shape = struct.unpack(f"{elements.order}{len(dims) // 4}i", dims[: len(dims) // 4 * 4])
    if min(shape, default=0) < 0:
        raise ValueError(f"a variable of shape {shape}")
    _data(elements, end, {_INT8})
    if number in (_CELL, _STRUCT, _OBJECT, _FUNCTION):
        _check_parts(elements, end, number, math.prod(shape), depth)
    elif number == _SPARSE:
        for allowed in ({_INT32, _UINT32}, {_INT32, _UINT32}, *_real_and_imaginary(word)):
            _data(elements, end, allowed)
    elif number == _CHAR:
        _data(elements, end, _CHARACTERS)
    else:
        *first, last = _real_and_imaginary(word)
        for allowed in first:
            _data(elements, end, allowed)
        if not depth:  # nothing follows that would have to be checked
            _tag_of_data(elements, end, last)
            return
        _data(elements, end, last)
    elements.skip(end - elements.at)


def _check_parts(elements: Elements, end: int, number: int, count: int, depth: int) -> None:
    """Check the variables within a cell array, a struct, an object or a function."""
    if number == _OBJECT:
        _data(elements, end, {_INT8})
    if number in (_STRUCT, _OBJECT):
        length = _data(elements, end, {_INT32}, keep=True)
        each = struct.unpack(f"{elements.order}i", length[:4])[0] if len(length) >= 4 else 0
        if each < 1:
            raise ValueError(f"names of fields of {each} bytes")
        count *= len(_data(elements, end, {_INT8}, keep=True)) // each
    for _ in range(1 if number == _FUNCTION else count):
        kind, size, within = elements.tag()
        if kind != _MATRIX or within is not None or size > end - elements.at:
            raise ValueError(f"an element of kind {kind} and {size} bytes within a cell array")
        check(elements, size, depth + 1)


def _real_and_imaginary(word: int) -> list[set[int]]:
    """The kinds that may follow: numbers, once, or twice for complex numbers."""
    return [_NUMBERS, _NUMBERS] if word & _COMPLEX else [_NUMBERS]


def _data(elements: Elements, end: int, allowed: set[int], *, keep: bool = False) -> bytes:
    """Skip one data element; with `keep`, return its data if they are few."""
    size, within = _tag_of_data(elements, end, allowed)
    if within is not None:
        return within
    data = elements.read(size) if keep and size <= _BLOCK else b""
    elements.skip(min(-(-size // 8) * 8 - len(data), end - elements.at))
    return data


def _tag_of_data(elements: Elements, end: int, allowed: set[int]) -> tuple[int, bytes | None]:
    """The size of a data element of an allowed kind, and its data if they are within the tag."""
    kind, size, within = elements.tag()
    if kind not in allowed:
        raise ValueError(f"an element of kind {kind}")
    if within is None and size > end - elements.at:
        raise ValueError(f"an element of {size} bytes where {end - elements.at} are left")
    return size, within
