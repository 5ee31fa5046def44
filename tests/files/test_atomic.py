"""Files are the old one or the new one, and loading executes nothing."""

from __future__ import annotations

import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from gsmflow.base.errors import InputError
from gsmflow.files.atomic import (
    arriving_folder,
    json_bytes,
    os,
    read_json,
    write_bytes,
    write_checksums,
    write_json,
)
from gsmflow.files.checksums import CHECKSUMS, check
from gsmflow.files.tensors import read_tensors, write_tensors


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    write_json(file, {"old": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"a\.json: cannot be written \(No space left on device\)"):
        write_json(file, {"new": 2})
    assert read_json(file) == {"old": 1}
    assert [f.name for f in tmp_path.iterdir()] == ["a.json"]


def test_tensors_and_meta_come_back(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.ones(2, dtype=torch.bfloat16)}
    write_tensors(tmp_path / "t.safetensors", tensors, {"step": 3})
    read, meta = read_tensors(tmp_path / "t.safetensors")
    assert meta == {"step": 3}
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


def test_an_empty_array_of_numpy_is_written(tmp_path: Path) -> None:
    """Its stride may be 0: what a part of a split without samples is."""
    empty = np.setdiff1d(np.arange(3), np.arange(3))
    write_tensors(tmp_path / "a", {"part": torch.from_numpy(empty)})
    assert read_tensors(tmp_path / "a")[0]["part"].shape == (0,)


def test_tensors_that_share_memory_are_written_each(tmp_path: Path) -> None:
    """Two heads behind one representation, say."""
    shared = torch.arange(6.0)
    write_tensors(tmp_path / "t.safetensors", {"a": shared, "b": shared, "c": shared[2:4]})
    read, _ = read_tensors(tmp_path / "t.safetensors")
    assert {name: tensor.tolist() for name, tensor in read.items()} == {
        "a": shared.tolist(),
        "b": shared.tolist(),
        "c": [2.0, 3.0],
    }


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("cut", [0, 4, 40, -1])
def test_a_damaged_file_is_named(cut: int, tmp_path: Path) -> None:
    file = tmp_path / "t.safetensors"
    write_tensors(file, {"a": torch.ones(100)})
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"t\.safetensors: not a readable safetensors file"):
        read_tensors(file)


def test_a_pickle_is_refused_without_running_it(tmp_path: Path) -> None:
    file, trap = tmp_path / "t.safetensors", tmp_path / "sprung"
    file.write_bytes(pickle.dumps(_Trap(trap)))
    with pytest.raises(InputError, match="pickled checkpoints are not loaded"):
        read_tensors(file)
    assert not trap.exists()


def _flipped(path: Path, place: int) -> bytes:
    """The file's content with one bit turned over."""
    content = bytearray(path.read_bytes())
    content[place // 8] ^= 1 << (place % 8)
    return bytes(content)


def test_a_bit_that_turned_over_anywhere_in_a_tensor_file_is_noticed(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    tensors = {"weight": torch.randn(7, 5), "bias": torch.randn(7).bfloat16(), "step": torch.tensor(3)}
    write_tensors(whole, tensors, {"stage": "final", "done": 12})
    draw = np.random.default_rng(0)
    for place in draw.choice(8 * whole.stat().st_size, 200, replace=False):
        broken.write_bytes(_flipped(whole, int(place)))
        with pytest.raises(InputError, match=r"broken\.safetensors: "):
            read_tensors(broken)


def test_a_bit_that_turned_over_in_any_listed_file_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "classes.json"
    content = json_bytes([{"name": "horse", "seen": True}])
    write_checksums(tmp_path, [], {file.name: content})
    write_bytes(file, content)
    assert read_json(check(file)) == [{"name": "horse", "seen": True}]
    if shutil.which("sha256sum"):
        checked = subprocess.run(
            ["sha256sum", "-c", CHECKSUMS], cwd=tmp_path, capture_output=True, check=False
        )
        assert checked.returncode == 0
    for place in range(8 * len(content)):
        file.write_bytes(_flipped(tmp_path / file.name, place))
        with pytest.raises(InputError, match=r"classes\.json: does not match its checksum"):
            check(file)
        file.write_bytes(content)


def test_the_same_tensors_make_the_same_bytes(tmp_path: Path) -> None:
    tensors = {name: torch.arange(4.0) for name in "bca"}
    written = set()
    for number in range(8):
        write_tensors(tmp_path / f"{number}", tensors, {"step": 3, "scores": [0.5]})
        written.add((tmp_path / f"{number}").read_bytes())
    assert len(written) == 1


def test_a_folder_arrives_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "run"
    (tmp_path / ".run.old.arriving" / "new").mkdir(parents=True)  # of a process that was killed
    with arriving_folder(target, alone=True) as folder:
        (folder / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    assert [each.name for each in tmp_path.iterdir()] == ["run"]

    def write(place: Path, fails: bool) -> None:
        with arriving_folder(place, remedy="free it") as folder:
            (folder / "b").write_text("2")
            if fails:
                raise KeyError

    with pytest.raises(KeyError):
        write(tmp_path / "other", fails=True)
    with pytest.raises(InputError, match=r"run: cannot be written \(Directory not empty\); free it"):
        write(target, fails=False)
    assert [each.name for each in tmp_path.iterdir()] == ["run"]
    assert [each.name for each in target.iterdir()] == ["a"]


def test_a_folder_that_arrives_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    with arriving_folder(tmp_path / "run"):
        pass
    assert (tmp_path / "run").stat().st_mode == (tmp_path / "usual").stat().st_mode
