"""The inputs of an ONNX model, read from the file without any ONNX program and without its weights.

An ONNX file is a protocol buffer. It consists of fields: a number with the kind of the content, then the content. Other
fields are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gsmflow.base.errors import InputError
from gsmflow.files.guard import first_bytes
from gsmflow.files.missing import unreadable

_GRAPH, _INPUT = 7, 11  # of a model, of its graph
_TYPE, _TENSOR, _SHAPE, _DIMENSION, _VALUE = 2, 1, 2, 1, 1  # of an input, one within the other
_LONGEST = 1 << 20  # bytes of the description of an input


def inputs_of(path: Path) -> list[tuple[int | None, ...]]:
    """The shape of each input of a model, None for a size that is not fixed.

    Raises
    ------
    InputError
        The file is missing, or not a complete ONNX model.
    """
    first_bytes(path, 1)
    try:
        with open(path, "rb") as file:
            size = path.stat().st_size
            shapes = [
                _shape(file, *each)
                for graph in _inside(file, 0, size, _GRAPH)
                for each in _inside(file, *graph, _INPUT)
            ]
    except OSError as error:
        raise unreadable(path, error) from None
    except ValueError as error:
        raise InputError(f"{path}: not a readable ONNX model ({error}); export it anew") from None
    if not shapes:
        raise InputError(f"{path}: not a readable ONNX model (it has no input); export it anew")
    return shapes


def picture_side(path: Path) -> int | None:
    """The side of the square pictures that a model takes; None if it is not fixed or the file is not readable."""
    try:
        shapes = inputs_of(path)
    except InputError:
        return None
    sides = {side for shape in shapes if len(shape) == 4 for side in shape[2:]}
    return sides.pop() if len(sides) == 1 else None


def _shape(file: BinaryIO, start: int, end: int) -> tuple[int | None, ...]:
    """The sizes in the description of an input; empty if it is not a tensor with a shape."""
    if end - start > _LONGEST:
        raise ValueError("an input of a megabyte")
    places = [(start, end)]
    for number in (_TYPE, _TENSOR, _SHAPE, _DIMENSION):
        places = [inner for place in places for inner in _inside(file, *place, number)]
    return tuple(_fixed(file, *place) for place in places)


def _fixed(file: BinaryIO, start: int, end: int) -> int | None:
    """The size of a dimension; None if it has a name or nothing in place of a size."""
    return next((value for number, value, _ in _fields(file, start, end) if number == _VALUE and value), None)


def _inside(file: BinaryIO, start: int, end: int, number: int) -> list[tuple[int, int]]:
    """Start and end of the contents of all fields with this number."""
    return [
        (place, place + length)
        for field, length, place in _fields(file, start, end)
        if field == number and place >= 0
    ]


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, length and position of fields with a content; number, value and -1 of plain numbers."""
    at = start
    while at < end:
        file.seek(at)
        key, value = _number(file), 0
        match key & 7:
            case 0:
                value = _number(file)
                at = file.tell()
                yield key >> 3, value, -1
                continue
            case 1:
                at = file.tell() + 8
            case 2:
                value = _number(file)
                at = file.tell() + value
            case 5:
                at = file.tell() + 4
            case kind:
                raise ValueError(f"a field of kind {kind}")
        if at > end:
            raise ValueError("it is cut short")
        if key & 7 == 2:
            yield key >> 3, value, at - value


def _number(file: BinaryIO) -> int:
    """A number of up to ten bytes, seven bits each."""
    value = 0
    for index in range(10):
        byte = file.read(1)
        if not byte:
            raise ValueError("it is cut short")
        value |= (byte[0] & 0x7F) << 7 * index
        if byte[0] < 0x80:
            return value
    raise ValueError("a number of more than ten bytes")
