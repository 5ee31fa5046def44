"""Files made to do harm: pickles on every load path, bombs, names that point elsewhere."""

from __future__ import annotations

import io
import json
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
import torch

import gsmflow
from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.estimator import GSMFlowClassifier
from gsmflow.files.columns import read_table
from gsmflow.files.npz import read_npz
from gsmflow.sources.matfile import MatFile
from support.folders import presplit, table, xlsa17
from support.recipes import ARGUMENTS, PROBLEM

FAST = [*ARGUMENTS, "--set", "gsmflow.epochs=1", "--set", "head.epochs=1", "--protocol", "last"]


class Trap:
    """Unpickled, it makes a file: proof that code was run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def pickles(trap: Path) -> list[bytes]:
    """A pickle of several protocols, one in a zip as torch writes it, one in an .npz, one in an .npy."""
    buffers = [io.BytesIO() for _ in range(3)]
    torch.save({"a": Trap(trap)}, buffers[0])
    trapped = np.array([Trap(trap)], dtype=object)
    np.savez(buffers[1], features=trapped, labels=trapped, allow_pickle=True)
    np.save(buffers[2], trapped, allow_pickle=True)
    return [*(pickle.dumps(Trap(trap), protocol) for protocol in (0, 2, 5)), *(b.getvalue() for b in buffers)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    assert main(["train", PROBLEM, *FAST, "--out", str(folder)]) == 0
    (folder / "checksums.txt").unlink()  # as from a stranger, who would have made his own
    return folder


@pytest.mark.parametrize(
    "file", ["head.safetensors", "classes.json", "config.toml", "metrics.json", "model.safetensors"]
)
def test_a_pickle_in_a_run_folder(file: str, run: Path, tmp_path: Path) -> None:
    content, trap = (run / file).read_bytes(), tmp_path / "sprung"
    try:
        for hostile in pickles(trap):
            (run / file).write_bytes(hostile)
            code = main(["evaluate", str(run), "--json"])
            assert code == (0 if file in ("model.safetensors", "metrics.json") else 2)  # not read there
            main(["report", str(run), "--embedding", "pca", "--out", str(tmp_path / "page.html")])
    finally:
        (run / file).write_bytes(content)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("make", "file"),
    [
        (xlsa17, "res101.mat"),
        (xlsa17, "att_splits.mat"),
        (presplit, "data.mat"),
        (presplit, "label.mat"),
        (table, "features.csv"),
        (table, "classes.csv"),
        (table, "features.npz"),
        (table, "features.parquet"),
    ],
)
def test_a_pickle_as_data(make: Callable[[Path], None], file: str, tmp_path: Path) -> None:
    folder, trap = tmp_path / "mine", tmp_path / "sprung"
    make(folder)
    if file.startswith("features"):
        (folder / "features.csv").unlink()
    for hostile in pickles(trap):
        (folder / file).write_bytes(hostile)
        assert main(["train", str(folder), *FAST, "--out", str(tmp_path / "out")]) == 2
    assert not trap.exists()
    assert not (tmp_path / "out").exists()


def test_a_pickle_elsewhere(run: Path, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    estimator = tmp_path / "estimator"
    estimator.mkdir()
    for hostile in pickles(trap):
        for name in ("new.npz", "new.csv", "new.parquet"):
            (tmp_path / name).write_bytes(hostile)
            assert main(["predict", str(run), str(tmp_path / name)]) == 2
        (tmp_path / "mine.toml").write_bytes(hostile)
        assert main(["train", PROBLEM, "--preset", str(tmp_path / "mine.toml")]) == 2
        (estimator / "estimator.json").write_bytes(hostile)
        with pytest.raises(InputError):
            GSMFlowClassifier.load(estimator)
    assert not trap.exists()


def test_nothing_in_the_package_could_unpickle() -> None:
    forbidden = re.compile(
        r"\bimport pickle\b|torch\.load\(|allow_pickle=True|(?<![.\w])(eval|exec)\(|yaml\.load"
        r"|\bimport joblib|joblib\.load"
    )
    package = Path(gsmflow.__file__).parent
    # The one exception: the authors' checkpoints, by the unpickler that makes tensors, numbers and texts only.
    restricted = 'torch.load(path, map_location="cpu", weights_only=True)'
    checkpoints = package / "runs" / "authors_checkpoint.py"
    assert checkpoints.read_text().count(restricted) == 1
    for file in package.rglob("*.py"):
        text = file.read_text()
        assert not forbidden.search(text.replace(restricted, "") if file == checkpoints else text), file


# -- bombs ------------------------------------------------------------------------------------


def _npy_header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"shape": shape, "fortran_order": False, "descr": descr})
    return buffer.getvalue()


def test_an_npz_that_unpacks_to_far_more_than_it_is(tmp_path: Path) -> None:
    file = tmp_path / "features.npz"
    zeros = bytes(1 << 24)
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("features.npy", "w") as out,
    ):
        out.write(_npy_header((72 << 20, 4)))
        for _ in range(72):
            out.write(zeros)
    assert file.stat().st_size < 2 << 20
    with pytest.raises(InputError, match=r"MiB that unpack to 1\.1 GiB, more than the 1\.0 GiB allowed"):
        read_npz(file, ("features",))


def test_an_npz_whose_directory_lies_about_sizes(tmp_path: Path) -> None:
    """Claims of 60 GiB, and claims of little with much behind them: neither is believed."""
    file = tmp_path / "features.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("features.npy", _npy_header((1 << 20, 4)) + bytes(1 << 24))
    content = file.read_bytes()
    size = (1 << 24) + len(_npy_header((1 << 20, 4)))
    central = content.rindex(b"PK\x01\x02") + 24
    assert struct.unpack_from("<I", content, central)[0] == size
    for claimed in (0xFFFFFFF0, 200):
        file.write_bytes(content[:central] + struct.pack("<I", claimed) + content[central + 4 :])
        with pytest.raises(InputError, match=r"features\.npz: "):
            read_npz(file, ("features",))


def _mat5(name: bytes, shape: tuple[int, int], data: bytes, kind: int = 6) -> bytes:
    """A v5 file with one compressed matrix of doubles (or of another class) of that shape, whatever its data."""

    def element(kind: int, content: bytes) -> bytes:
        return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)

    inner = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack("<ii", *shape))
    inner += element(1, name) + element(9, data)
    packed = zlib.compress(struct.pack("<II", 14, len(inner)) + inner, 9)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    return head + struct.pack("<II", 15, len(packed)) + packed


def test_a_mat_file_that_claims_gigabytes(tmp_path: Path) -> None:
    file = tmp_path / "res101.mat"
    file.write_bytes(_mat5(b"features", (3, 2), np.arange(6.0).tobytes()))
    assert MatFile(file).matrix("features").shape == (3, 2)  # the writer above writes what scipy reads
    file.write_bytes(_mat5(b"features", (1 << 20, 1 << 12), bytes(800)))
    with pytest.raises(InputError, match=r"unpack to 32\.0 GiB, more than the 1\.0 GiB allowed"):
        MatFile(file).matrix("features")
    with pytest.raises(InputError, match=r"unpack to 32\.0 GiB"):
        MatFile(file).whole("features")
    with h5py.File(file, "w") as store:
        store.create_dataset("features", (1 << 20, 1 << 12), "f8", chunks=True, compression="gzip")
    with pytest.raises(InputError, match=r"unpack to 32\.0 GiB"):
        MatFile(file).matrix("features")


def test_names_in_a_mat_file_that_are_too_many_bytes(tmp_path: Path) -> None:
    file = tmp_path / "att_splits.mat"
    noise = np.random.default_rng(0).random(1 << 18).tobytes()
    file.write_bytes(_mat5(b"allclasses_names", (1, 5), noise, kind=1))
    with pytest.raises(InputError, match="bytes of names, more than the 1048576 allowed"):
        MatFile(file).texts("allclasses_names")


def test_a_parquet_file_of_very_many_equal_rows(tmp_path: Path) -> None:
    file = tmp_path / "features.parquet"
    pl.select(pl.repeat(0.0, 300_000_000, dtype=pl.Float32).alias("f0")).lazy().sink_parquet(file)
    assert file.stat().st_size < 10 << 20
    with pytest.raises(InputError, match=r"unpack to 1\.1 GiB"):
        read_table(file)


# -- names ------------------------------------------------------------------------------------

NAMES = [
    "../../escaped",
    "/tmp/escaped-gsmflow",
    "..",
    "con\\..\\escaped",
    "<script>x</script>",
    "a\tb",
    "%2e%2e",
]


def test_names_never_lead_out_of_the_folder(tmp_path: Path) -> None:
    """Class names, problem names and zip members that look like paths."""
    work = tmp_path / "a" / "b" / "work"
    folder = work / ".." / "data ..;x"
    work.mkdir(parents=True)
    table(folder)
    rows = "".join(f'"{n}",{a},{b}\n' for n in NAMES for a in range(2) for b in range(2))
    (folder / "features.csv").write_text(f"label,f0,f1\n{rows}")
    described = "".join(f'"{n}",{i},{i * i}\n' for i, n in enumerate((*NAMES, "../unseen"), start=1))
    (folder / "classes.csv").write_text(f"name,a0,a1\n{described}")
    before = set(tmp_path.rglob("*"))
    out = work / "out"
    assert main(["train", str(folder), *FAST, "--out", str(out / "run")]) == 0
    assert [c["name"] for c in json.loads((out / "run" / "classes.json").read_text())] == [
        *(name.replace("\t", " ") for name in NAMES),  # white space of every kind is a space in names
        "../unseen",
    ]
    assert main(["report", str(out / "run"), "--out", str(out / "page.html")]) == 0
    assert "<script>x</script>" not in (out / "page.html").read_text()
    with zipfile.ZipFile(work / "new.npz", "w") as archive:
        for member in ("../escaped.npy", "/escaped.npy", "features.npy"):
            buffer = io.BytesIO()
            np.save(buffer, np.zeros((2, 2), np.float32))
            archive.writestr(member, buffer.getvalue())
    assert main(["predict", str(out / "run"), str(work / "new.npz"), "-o", str(out / "l.csv")]) == 0
    written = {path for path in set(tmp_path.rglob("*")) - before if out not in (path, *path.parents)}
    assert written == {work / "new.npz"}
    assert not Path("/tmp/escaped-gsmflow").exists()


@pytest.mark.parametrize("name", ["..", "../x", "/etc", ".", "a/../../b", "", "\\..\\", "x" * 300, "\n"])
def test_run_folders_are_made_under_their_root(name: str, tmp_path: Path) -> None:
    from gsmflow.recipes.recipe import make_recipe
    from gsmflow.runs.folder import Request, new_folder
    from gsmflow.studies.cells import Cell, Variant

    root = tmp_path / "runs"
    request = Request(name, None, None, "last", False, 0)
    folder = new_folder(root, request, make_recipe("lda", "best"), resume=False)
    cell = Cell(name, Variant(name, "lda"), 0, "last", False, tmp_path).folder(root)
    assert folder.parent == root
    assert folder.name not in ("", ".", "..")
    assert len(folder.name) < 256
    assert root in cell.resolve().parents
    assert all(len(part) < 256 for part in cell.parts)
    assert len(cell.relative_to(root).parts) == 3
