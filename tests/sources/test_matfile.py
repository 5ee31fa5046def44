"""MATLAB files that hold more than numbers: what is wanted is read, and what cannot be read is called by its class."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from gsmflow.base.errors import InputError
from gsmflow.sources import load
from gsmflow.sources.matfile import MatFile
from support.folders import xlsa17
from support.matlab import OBJECTS, opaque, with_objects

VALUES = np.array([[0.0, 1.5, 0.0], [-2.25, 0.0, 3.0]])


@pytest.mark.parametrize("packed", [False, True])
def test_objects_beside_the_wanted_variables_change_nothing(packed: bool, tmp_path: Path) -> None:
    xlsa17(tmp_path / "plain")
    xlsa17(tmp_path / "more")
    for file in ("res101.mat", "att_splits.mat"):
        with_objects(tmp_path / "more" / file, packed=packed)
    plain, more = (load(str(tmp_path / name), data_root=tmp_path) for name in ("plain", "more"))
    assert plain.fingerprint == more.fingerprint
    assert plain.classes == more.classes
    for array in ("features", "labels", "semantics", "train", "test_seen", "test_unseen"):
        np.testing.assert_array_equal(getattr(plain, array), getattr(more, array))


@pytest.mark.parametrize(
    ("kind", "remedy"), [("string", "double"), ("table", "table2array"), ("Colour", "double")]
)
def test_a_wanted_object_is_called_by_its_class(kind: str, remedy: str, tmp_path: Path) -> None:
    file = tmp_path / "res101.mat"
    savemat(file, {"features": VALUES})
    file.write_bytes(file.read_bytes() + opaque("labels", kind, packed=True))
    with pytest.raises(InputError) as refused:
        MatFile(file).whole("labels")
    assert str(refused.value) == (
        f"{file}: labels: is of MATLAB class {kind}, expected numbers; in MATLAB set labels = {remedy}(labels) and "
        "save again"
    )


def test_names_as_matlab_strings(tmp_path: Path) -> None:
    file = tmp_path / "att_splits.mat"
    savemat(file, {"att": VALUES})
    file.write_bytes(file.read_bytes() + opaque("allclasses_names", "string", packed=False))
    with pytest.raises(
        InputError, match=r"class string, expected a cell array of texts; .* = cellstr\(allclasses_names\)"
    ):
        MatFile(file).texts("allclasses_names")


@pytest.mark.parametrize("compressed", [False, True])
def test_sparse_and_logical_arrays_of_v5(compressed: bool, tmp_path: Path) -> None:
    file = tmp_path / "some.mat"
    stored = {"sparse": csc_matrix(VALUES), "flags": VALUES != 0, "both": csc_matrix(VALUES != 0)}
    savemat(file, stored, do_compression=compressed)
    read = MatFile(file)
    np.testing.assert_array_equal(read.matrix("sparse"), VALUES.astype(np.float32))
    np.testing.assert_array_equal(read.matrix("flags"), (VALUES != 0).astype(np.float32))
    np.testing.assert_array_equal(read.matrix("both"), (VALUES != 0).astype(np.float32))
    assert read.shapes == {"sparse": (2, 3), "flags": (2, 3), "both": (2, 3)}


def test_complex_numbers_are_refused_sparse_or_not(tmp_path: Path) -> None:
    file = tmp_path / "some.mat"
    savemat(file, {"full": VALUES * 1j, "sparse": csc_matrix(VALUES * 1j)})
    for name in ("full", "sparse"):
        with pytest.raises(InputError, match=f"{name}: holds complex128, expected an array of real numbers"):
            MatFile(file).matrix(name)


def v73(file: Path) -> None:
    """A file as MATLAB writes it with -v7.3: a full array, sparse ones, a logical one, objects and a structure."""
    with h5py.File(file, "w", userblock_size=512) as new:

        def put(name: str, values: np.ndarray, kind: str, **more: int) -> None:
            new[name] = values
            for key, value in {"MATLAB_class": np.bytes_(kind), **more}.items():
                new[name].attrs[key] = value

        put("full", VALUES.T, "double")
        put("flags", (VALUES != 0).astype("u1").T, "logical", MATLAB_int_decode=1)
        whole = csc_matrix(VALUES)
        for name, kind in (("sparse", "double"), ("sparse_flags", "logical")):
            group = new.create_group(name)
            group.attrs["MATLAB_class"], group.attrs["MATLAB_sparse"] = np.bytes_(kind), np.uint64(2)
            group["data"] = whole.data if kind == "double" else np.ones(len(whole.data), "u1")
            group["ir"], group["jc"] = whole.indices.astype("u8"), whole.indptr.astype("u8")
        empty = new.create_group("nothing")
        empty.attrs["MATLAB_class"], empty.attrs["MATLAB_sparse"] = np.bytes_("double"), np.uint64(2)
        empty["jc"] = np.zeros(4, "u8")
        for kind in OBJECTS:
            reference = np.array([[0xDD000000, 2, 1, 1, 1, 1]], "u4")
            put(f"a_{kind}", reference, kind, MATLAB_object_decode=3)
        structure = new.create_group("a_struct")
        structure.attrs["MATLAB_class"] = np.bytes_("struct")
        structure["field"] = VALUES
        new.create_group("#subsystem#")


def test_sparse_and_logical_arrays_of_v73(tmp_path: Path) -> None:
    file = tmp_path / "some.mat"
    v73(file)
    read = MatFile(file)
    for name in ("full", "sparse"):
        assert read.shapes[name] == (2, 3)
        np.testing.assert_array_equal(read.matrix(name), VALUES.astype(np.float32))
    for name in ("flags", "sparse_flags"):
        np.testing.assert_array_equal(read.matrix(name), (VALUES != 0).astype(np.float32))
    np.testing.assert_array_equal(read.matrix("nothing"), np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("kind", [*OBJECTS, "struct"])
def test_a_wanted_object_of_v73_is_called_by_its_class(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "some.mat"
    v73(file)
    for read in (MatFile(file).matrix, MatFile(file).whole, MatFile(file).texts):
        with pytest.raises(InputError, match=rf"a_{kind}: is of MATLAB class {kind}, expected "):
            read(f"a_{kind}")


def test_a_sparse_matrix_with_a_row_beyond_its_last_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "some.mat"
    savemat(file, {"sparse": csc_matrix(VALUES)})
    content, rows = file.read_bytes(), np.array([1, 0, 1], "<i4").tobytes()
    assert content.count(rows) == 1
    file.write_bytes(content.replace(rows, np.array([90000, 0, 1], "<i4").tobytes()))
    with pytest.raises(InputError, match="damaged or cut short"):
        MatFile(file).matrix("sparse")
    v73(file)
    with h5py.File(file, "r+") as stored:
        stored["sparse"]["ir"][0] = 900
    with pytest.raises(InputError, match="damaged or cut short"):
        MatFile(file).matrix("sparse")


def test_a_file_cut_between_or_within_variables(tmp_path: Path) -> None:
    file = tmp_path / "some.mat"
    savemat(file, {"features": VALUES, "labels": np.arange(1, 4)})
    content = file.read_bytes()
    for length in range(129, len(content)):
        file.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"damaged or cut short|no variable 'labels'"):
            MatFile(file).whole("labels")


def test_two_variables_of_one_name(tmp_path: Path) -> None:
    file = tmp_path / "some.mat"
    savemat(file, {"features": VALUES})
    content = file.read_bytes()
    file.write_bytes(content + content[128:])
    with pytest.raises(InputError, match="two variables named 'features'"):
        MatFile(file).matrix("features")
