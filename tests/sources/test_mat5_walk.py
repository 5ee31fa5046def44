"""What MATLAB files of version 5 hold is looked at before scipy reads it, whose native reader trusts it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from gsmflow.base.errors import InputError
from gsmflow.sources import mat5
from gsmflow.sources.matfile import MatFile

VALUES: dict[str, Any] = {
    "numbers": np.arange(12.0).reshape(3, 4),
    "small": np.array([[7]], np.uint8),
    "complex": np.array([[1 + 2j, 3]]),
    "truths": np.array([[True, False]]),
    "text": "zebra",
    "names": np.array([["zebra"], ["okapi"]], object),
    "nested": np.array([[np.array([["a"], ["b"]], object)]], object),
    "struct": {"features": np.eye(2), "names": np.array(["x"], object)},
    "sparse": csc_matrix(np.eye(4)),
    "empty": np.zeros((0, 0)),
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", VALUES)
def test_what_scipy_writes_is_read(tmp_path: Path, name: str, compressed: bool) -> None:
    file = tmp_path / "a.mat"
    savemat(file, {"before": np.ones((2, 2)), name: VALUES[name]}, do_compression=compressed)
    stored = mat5.value(file, name)
    if name not in ("struct", "nested", "names"):
        expected = VALUES[name].toarray() if name == "sparse" else VALUES[name]
        np.testing.assert_array_equal(np.squeeze(stored), np.squeeze(expected))
    assert mat5.variables(file)[name]


@pytest.mark.parametrize("kind", [0, 10, 14, 19, 20, 255, 60_000])
@pytest.mark.parametrize("name", ["numbers", "names", "complex", "sparse"])
def test_elements_of_no_such_kind_are_refused(tmp_path: Path, name: str, kind: int) -> None:
    """A kind that scipy has no entry for would end the program."""
    file = tmp_path / "a.mat"
    savemat(file, {name: VALUES[name]})
    content = bytearray(file.read_bytes())
    word, at = 0, 128 + 8
    for _ in range(4 if name == "sparse" else 3):  # flags, sizes and name; of a sparse matrix also the rows
        word, size = struct.unpack_from("<II", content, at)
        at += 8 if word >> 16 else 8 + -(-size // 8) * 8
    if name == "names":  # into the first cell, to its text
        at += 8
        for _ in range(3):
            word, size = struct.unpack_from("<II", content, at)
            at += 8 if word >> 16 else 8 + -(-size // 8) * 8
    word = struct.unpack_from("<I", content, at)[0]
    struct.pack_into("<I", content, at, word & 0xFFFF0000 | kind)
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"an element of kind {kind}"):
        mat5.value(file, name)
    with pytest.raises(InputError, match=r"a\.mat"):
        MatFile(file).texts(name) if name == "names" else MatFile(file).matrix(name)


def test_cells_in_cells_in_cells_end(tmp_path: Path) -> None:
    value: Any = np.ones((1, 1))
    for _ in range(20):
        cell = np.empty((1, 1), object)
        cell[0, 0] = value
        value = cell
    savemat(tmp_path / "a.mat", {"deep": value})
    with pytest.raises(ValueError, match="more than 16 deep"):
        mat5.value(tmp_path / "a.mat", "deep")
