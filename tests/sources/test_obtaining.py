"""`gsmflow data get`: from an archive that a server sends to a checked folder."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

pytest.importorskip("pooch")

from gsmflow.cli import main
from gsmflow.files import download
from gsmflow.sources import load, obtaining
from gsmflow.sources.published import _SPLITS, KNOWN, split_fingerprint
from support.folders import presplit, xlsa17
from support.unreliable import Unreliable, serving

OFFICIAL = Path(__file__).parents[3] / "shared" / "data" / "official_splits"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)


def packed(tmp_path: Path, *folders: tuple[str, Callable[[Path], object]]) -> bytes:
    """An archive of these folders, and of files that nobody asks for."""
    file = tmp_path / "packed.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("__MACOSX/data/CUB/._res101.mat", b"x")
        for number, (place, make) in enumerate(folders):
            make(tmp_path / str(number))
            for each in (tmp_path / str(number)).iterdir():
                archive.write(each, f"{place}/{each.name}")
            archive.writestr(f"{place}/readme.txt", "hello")
            archive.writestr(f"{place}/program.py", "print(1)")
    return file.read_bytes()


def known_as(monkeypatch: pytest.MonkeyPatch, name: str, folder: Path) -> None:
    """The split of a folder is the published one of this name."""
    split = loadmat(folder / "att_splits.mat")
    parts = [
        split[p].ravel().astype(np.int64) - 1 for p in ("trainval_loc", "test_seen_loc", "test_unseen_loc")
    ]
    monkeypatch.setitem(_SPLITS, split_fingerprint(*parts), f"Proposed Splits, {name}")


def test_a_data_set_comes_into_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = packed(tmp_path, ("xlsa17/data/CUB", xlsa17), ("xlsa17/data/SUN", xlsa17))
    known_as(monkeypatch, "CUB", tmp_path / "0")
    root = tmp_path / "data"
    manner = Unreliable(content, breaks_after=len(content) // 3)
    with serving(manner) as address:
        words = ["data", "get", "cub", "--from", address, "--data-root", str(root), "--json"]
        assert main(words) == 0
        told = json.loads(capsys.readouterr().out)["data"][0]
        assert len(manner.asked) == 4  # broken off three times
        assert main(words) == 0  # is there already
        assert len(manner.asked) == 4
    assert told["folder"] == str(root / "CUB")
    assert (told["samples"], told["split"]) == (60, "Proposed Splits, CUB")
    names = {each.name for each in (root / "CUB").iterdir()}
    assert names == {"res101.mat", "att_splits.mat", "readme.txt", "checksums.txt"}
    problem = load("CUB", data_root=root)
    np.testing.assert_array_equal(
        problem.features, loadmat(tmp_path / "0" / "res101.mat")["features"].T.astype(np.float32)
    )
    assert {each.name for each in root.iterdir()} == {"CUB", "downloads", ".lock"}
    assert main(["data", "--data-root", str(root)]) == 0
    assert "Proposed Splits, CUB" in capsys.readouterr().out


def test_another_data_set_of_the_same_archive_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = packed(
        tmp_path, ("CUB", xlsa17), ("AWA2", lambda f: xlsa17(f, splits=lambda s: s["att"].__imul__(2)))
    )
    known_as(monkeypatch, "AWA2", tmp_path / "1")
    with serving(Unreliable(content)) as address:
        archive = replace(obtaining._ARCHIVES["published"][0], address=address)
        monkeypatch.setattr(obtaining, "_ARCHIVES", {"published": (archive,)})
        assert main(["data", "get", "AWA2", "--data-root", str(tmp_path / "data")]) == 0
    known_as(monkeypatch, "CUB", tmp_path / "0")
    assert main(["data", "get", "CUB", "--data-root", str(tmp_path / "data")]) == 0
    assert load("CUB", data_root=tmp_path / "data").feature_dim == 5


def test_the_authors_folders_are_known_by_their_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = packed(tmp_path, ("GSMFlow_data/FLO", presplit))
    (tmp_path / "mine.zip").write_bytes(content)
    words = [
        "data",
        "get",
        "FLO",
        "--from",
        str(tmp_path / "mine.zip"),
        "--data-root",
        str(tmp_path / "data"),
    ]
    assert main(words) == 2
    assert not (tmp_path / "data").exists()
    small = replace(KNOWN["FLO"], train=32, test_seen=8, test_unseen=10)
    monkeypatch.setitem(KNOWN, "FLO", small)
    assert main(words) == 0
    assert len(load("FLO", data_root=tmp_path / "data").labels) == 50


def refused(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    content: bytes,
    *words: str,
    more=(),
    claims: int | None = None,
) -> None:
    """It is refused in one line, and no folder of the data set, whole or in part, is there."""
    with serving(Unreliable(content, claims=claims)) as address:
        capsys.readouterr()
        assert main(["data", "get", "CUB", "--from", address, "--data-root", str(root), *more]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("gsmflow: ")
    assert all(word in said for word in words), said
    if root.exists():
        assert {each.name for each in root.iterdir()} <= {"downloads", ".lock"}


def test_what_is_wrong_with_an_archive_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = packed(tmp_path, ("data/CUB", xlsa17))
    root = tmp_path / "root"
    refused(capsys, root, good, "split 'unknown split'", "--sha256")
    refused(capsys, root, good, "SHA-256", more=["--sha256", "0" * 64])
    known_as(monkeypatch, "CUB", tmp_path / "0")
    refused(capsys, root, good[: len(good) // 2], "not a readable zip archive")
    refused(capsys, root, b"<html>gone</html>", "a web page")
    spoilt = bytearray(good)
    spoilt[good.index(b"MATLAB 5.0")] ^= 1
    refused(capsys, root, bytes(spoilt), "damaged")
    bomb = bytearray(good)
    place = good.index(b"PK\x01\x02", good.index(b"res101.mat")) + 24
    bomb[place : place + 4] = (3 << 30).to_bytes(4, "little")  # its unpacked size
    refused(capsys, root, bytes(bomb), "unpack to 3.0 GiB")
    refused(capsys, root, good, "cannot be brought", claims=len(good) + 1)
    refused(capsys, root, good, "not a readable zip archive", claims=len(good) - 30)
    refused(capsys, root, good, "more than the 16.0 GiB", claims=1 << 40)
    outside = tmp_path / "outside.zip"
    outside.write_bytes(good)
    with zipfile.ZipFile(outside, "a") as archive:
        archive.writestr("../../CUB/evil.mat", b"x")
    refused(capsys, root, outside.read_bytes(), "leads outside")
    assert not (tmp_path / "CUB").exists()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = packed(elsewhere, ("data/SUN", xlsa17))
    refused(capsys, root, other, "holds no folder CUB", "data/SUN")


def test_a_checksum_stands_for_a_split_that_is_not_known(tmp_path: Path) -> None:
    content = packed(tmp_path, ("CUB", xlsa17))
    with serving(Unreliable(content)) as address:
        words = ["data", "get", "CUB", "--from", address, "--data-root", str(tmp_path / "data")]
        assert main([*words, "--sha256", hashlib.sha256(content).hexdigest()]) == 0
    assert load("CUB", data_root=tmp_path / "data").notes["split"] == "unknown split"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nothing"], "no published data set; known: AWA1"),
        (["CUB", "--from", "nowhere.zip"], "expected published, authors, an address"),
        (["AWA1", "--from", "authors"], "has no AWA1"),
        (["CUB", "--sha256", "12"], "64 hexadecimal digits"),
    ],
)
def test_requests_that_cannot_be_met(
    tmp_path: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "get", *words, "--data-root", str(tmp_path / "data")]) == 2
    assert not (tmp_path / "data").exists()
    assert expected in capsys.readouterr().err


def test_a_folder_with_something_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "CUB").mkdir()
    (tmp_path / "CUB" / "mine.txt").write_text("mine")
    assert main(["data", "get", "CUB", "--data-root", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert [each.name for each in (tmp_path / "CUB").iterdir()] == ["mine.txt"]


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason=f"no real splits at {OFFICIAL}")
def test_the_real_split_is_accepted(tmp_path: Path) -> None:
    def real(folder: Path) -> None:
        folder.mkdir()
        splits = OFFICIAL / "APY" / "att_splits.mat"
        (folder / "att_splits.mat").write_bytes(splits.read_bytes())
        locs = loadmat(splits)
        count = max(int(locs[name].max()) for name in ("trainval_loc", "test_seen_loc", "test_unseen_loc"))
        labels = (np.arange(count) % locs["att"].shape[1] + 1).astype(np.uint8)
        savemat(folder / "res101.mat", {"features": np.zeros((1, count)), "labels": labels[:, None]})

    (tmp_path / "x.zip").write_bytes(packed(tmp_path, ("APY", real)))
    words = ["data", "get", "APY", "--from", str(tmp_path / "x.zip"), "--data-root", str(tmp_path / "data")]
    assert main(words) == 0
