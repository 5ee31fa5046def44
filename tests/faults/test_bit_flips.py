"""A bit that turned over, at 200 random places: of a checkpoint, of features files with and without checksums."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from gsmflow import sources
from gsmflow.base.errors import InputError
from gsmflow.learning.journal import Interrupted, Recorder
from gsmflow.recipes.recipe import make_recipe
from gsmflow.runs.folder import Request
from gsmflow.runs.train import train as make_run
from support.folders import table, xlsa17
from support.recipes import OVERRIDES, PROBLEM, problem

PLACES = 200


def flipped(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place // 8] ^= 1 << (place % 8)
    return bytes(changed)


def places(content: bytes) -> list[int]:
    return np.random.default_rng(0).choice(8 * len(content), PLACES, replace=False).tolist()


def test_of_a_checkpoint(tmp_path: Path) -> None:
    def stop(recorder: Recorder) -> None:
        recorder.stop_requested = True

    def train(**how: object) -> dict:
        request = Request(PROBLEM, None, None, "last", False, 0)
        recipe = make_recipe("gsmflow", "best", OVERRIDES)
        where = {"device": torch.device("cpu"), "folder": tmp_path / "run"}
        return make_run(request, problem(), recipe, **where, **how)

    with pytest.raises(Interrupted):
        train(on_recorder=stop)
    checkpoint = tmp_path / "run" / "checkpoint" / "state.safetensors"
    content = checkpoint.read_bytes()
    for place in places(content):
        checkpoint.write_bytes(flipped(content, place))
        with pytest.raises(InputError, match=r"checkpoint/state\.safetensors: "):
            Recorder(tmp_path / "run").resume()
    with pytest.raises(InputError, match=r"checkpoint/state\.safetensors: "):
        train(resume=True)
    checkpoint.write_bytes(content)
    assert train(resume=True)["steps"] > 1


def _npz(folder: Path, write: Callable = np.savez) -> None:
    table(folder)
    rows = pl.read_csv(folder / "features.csv")
    (folder / "features.csv").unlink()
    numbers = rows.select("f0", "f1").to_numpy().astype(np.float32)
    write(folder / "features.npz", features=numbers, labels=np.array(rows["label"].to_list()))


def _parquet(folder: Path) -> None:
    table(folder)
    pl.read_csv(folder / "features.csv").write_parquet(folder / "features.parquet")
    (folder / "features.csv").unlink()


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "mat": (xlsa17, "res101.mat"),
    "npz": (_npz, "features.npz"),
    "npz, compressed": (lambda folder: _npz(folder, np.savez_compressed), "features.npz"),
    "csv": (table, "features.csv"),
    "parquet": (_parquet, "features.parquet"),
}


@pytest.mark.parametrize("kind", FILES)
def test_of_a_features_file_with_checksums(kind: str, tmp_path: Path) -> None:
    make, name = FILES[kind]
    folder = tmp_path / "mine"
    make(folder)
    content = (folder / name).read_bytes()
    (folder / "checksums.txt").write_text(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    sources.load(str(folder), data_root=tmp_path)
    for place in places(content):
        (folder / name).write_bytes(flipped(content, place))
        with pytest.raises(InputError, match=f"{name}: does not match its checksum"):
            sources.load(str(folder), data_root=tmp_path)


@pytest.mark.parametrize("kind", FILES)
def test_of_a_features_file_without(kind: str, tmp_path: Path) -> None:
    """The loader refuses it by name, or the fingerprint that a run recorded tells, or nothing has changed."""
    make, name = FILES[kind]
    folder = tmp_path / "mine"
    make(folder)
    content = (folder / name).read_bytes()
    whole = sources.load(str(folder), data_root=tmp_path)
    noticed, refused = 0, []
    for place in places(content):
        (folder / name).write_bytes(flipped(content, place))
        try:
            problem = sources.load(str(folder), data_root=tmp_path)
        except InputError as error:
            refused.append(str(error))
            continue
        same = all(
            np.array_equal(getattr(problem, field.name), getattr(whole, field.name))
            for field in dataclasses.fields(problem)
            if field.name in ("features", "labels", "semantics", "train", "test_seen", "test_unseen")
        )
        assert same == (problem.fingerprint == whole.fingerprint)
        noticed += not same
    assert noticed + len(refused)
    assert all(str(folder) in message for message in refused)


def test_a_run_is_not_continued_on_data_that_changed(tmp_path: Path) -> None:
    folder, out = tmp_path / "mine", tmp_path / "run"
    table(folder)
    request = Request(str(folder), None, None, "last", False, 0)
    recipe = make_recipe("gsmflow", "best", (*OVERRIDES, "gsmflow.epochs=1"))

    def train(to: Path, resume: bool) -> None:
        data = sources.load(str(folder), data_root=tmp_path)
        make_run(request, data, recipe, device=torch.device("cpu"), folder=to, resume=resume)

    train(out, False)
    shutil.copytree(out, tmp_path / "copy")
    train(out, True)
    text = (folder / "features.csv").read_text()
    (folder / "features.csv").write_text(text.replace("0.1", "0.3", 1))
    with pytest.raises(InputError, match=r"config\.toml: .*data\.fingerprint\.features"):
        train(out, True)
