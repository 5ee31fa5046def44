"""Features larger than memory: the same numbers as in memory, in little memory, and only good stores."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from gsmflow import sources
from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.data.feature_options import FeatureOptions
from gsmflow.data.transform import FeatureTransform
from gsmflow.files.feature_store import is_mapped, open_store, rows_of, write_store
from gsmflow.files.tensors import read_tensors
from gsmflow.learning.tensors import Batches
from gsmflow.recipes.recipe import make_recipe
from gsmflow.runs.folder import Request
from gsmflow.runs.train import train
from support.recipes import ARGUMENTS, OVERRIDES, problem


def stored(folder: Path, ending: str = "npy") -> Path:
    """The quick problem in a folder of the table layout, as a store or as a table to be read into memory."""
    data = problem()
    folder.mkdir()
    labels = np.array(data.classes)[data.labels]
    split = np.where(np.isin(np.arange(len(labels)), data.train), "train", "test")
    if ending == "npy":
        write_store(folder / "features.npy", np.array_split(data.features, 7))
        pl.DataFrame({"label": labels, "split": split}).write_parquet(folder / "features.rows.parquet")
    else:
        np.savez(folder / "features.npz", features=data.features, labels=labels, split=split)
    attributes = {f"a{i}": data.semantics[:, i].astype(float) for i in range(data.semantic_dim)}
    pl.DataFrame({"name": list(data.classes), **attributes}).write_csv(folder / "classes.csv")
    return folder


def scores(folder: Path) -> dict:
    metrics = json.loads((folder / "metrics.json").read_text())
    for member in metrics.get("members", []):
        del member["seconds"]
    return {k: v for k, v in metrics.items() if k not in ("seconds", "problem")}


@pytest.mark.parametrize("protocol", ["last", "validated"])
def test_training_from_a_store_ends_with_the_same_numbers(protocol: str, tmp_path: Path) -> None:
    for ending in ("npy", "npz"):
        folder = stored(tmp_path / ending, ending)
        command = [
            "train",
            str(folder),
            *ARGUMENTS,
            "--protocol",
            protocol,
            "--out",
            str(tmp_path / f"r{ending}"),
        ]
        assert main(command) == 0
    assert scores(tmp_path / "rnpy") == scores(tmp_path / "rnpz")
    files = [{file.name for file in (tmp_path / name).glob("*.safetensors")} for name in ("rnpy", "rnpz")]
    assert files[0] == files[1] >= {"head.safetensors"}  # a stack without a flow has no model
    for file in files[0]:
        tensors = [read_tensors(tmp_path / name / file)[0] for name in ("rnpy", "rnpz")]
        assert tensors[0].keys() == tensors[1].keys()
        assert all(torch.equal(tensor, tensors[1][name]) for name, tensor in tensors[0].items())
    tables = []
    for ending in ("npy", "npz"):
        new, out = tmp_path / ending / f"features.{ending}", tmp_path / f"{ending}.csv"
        assert main(["predict", str(tmp_path / "rnpy"), str(new), "-o", str(out)]) == 0
        tables.append(pl.read_csv(out))
    assert len(tables[0]) == 600
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize(
    "options",
    [{"scaling": s} for s in ("minmax", "standard", "length", "none")] + [{"project": 4}, {"log": True}],
)
def test_scaling_of_mapped_features_is_that_of_features_in_memory(options: dict, tmp_path: Path) -> None:
    data = problem()
    data = dataclasses.replace(data, features=data.features - data.features.min())
    write_store(tmp_path / "f.npy", [data.features])
    mapped = dataclasses.replace(data, features=open_store(tmp_path / "f.npy"))
    assert is_mapped(mapped.features)
    scaled = [FeatureTransform.fit(each, FeatureOptions(**options))(each.features) for each in (data, mapped)]
    assert is_mapped(scaled[1])
    assert np.allclose(*scaled, rtol=1e-5, atol=1e-5)
    if options in ({"scaling": "minmax"}, {"scaling": "length"}, {"scaling": "none"}):
        assert np.array_equal(*scaled)


def test_rows_of_a_store_are_views_or_mapped_copies(tmp_path: Path) -> None:
    features = np.arange(60, dtype=np.float32).reshape(20, 3)
    write_store(tmp_path / "f.npy", [features])
    mapped = open_store(tmp_path / "f.npy")
    for rows in (np.arange(5, 12), np.array([7, 3, 3, 19]), np.zeros(0, np.int64)):
        taken = rows_of(mapped, rows)
        assert np.array_equal(taken, features[rows])
        assert is_mapped(taken) or not len(rows)
    assert np.shares_memory(rows_of(mapped, np.arange(5, 12)), mapped)


def test_batches_of_a_store_are_shuffled_over_all_of_it() -> None:
    """No block shuffle: neighbours in a batch are as far apart as those of a uniform permutation."""
    count, size = 20_000, 100
    batches = Batches(count, size, 0, torch.device("cpu"))
    order = torch.cat([batches[step] for step in range(count // size)]).double()
    assert sorted(order.tolist()) == list(range(count))
    gap = float((order[1:] - order[:-1]).abs().mean()) / count
    assert gap == pytest.approx(1 / 3, abs=0.01)
    assert abs(float(np.corrcoef(order.numpy(), np.arange(count))[0, 1])) < 0.03
    means = order.reshape(-1, size).mean(dim=1) / count  # of each batch: sd 1 / sqrt(12 size)
    assert float(means.std()) == pytest.approx((12 * size) ** -0.5, rel=0.15)


PEAK = """
import re, sys, threading, time
from gsmflow.cli import main
from gsmflow.learning import head_data
from gsmflow.protocol import generation_shifts
assert head_data._STREAMED_FROM and head_data._SHARD and generation_shifts._KNOWN
head_data._STREAMED_FROM, head_data._SHARD, generation_shifts._KNOWN = 1 << 20, 1 << 22, 1 << 20
peak = 0
def watch():
    global peak
    while True:
        peak = max(peak, int(re.search(r"RssAnon:\\s*(\\d+)", open("/proc/self/status").read())[1]))
        time.sleep(0.005)
threading.Thread(target=watch, daemon=True).start()
assert main(sys.argv[1:]) == 0
print(peak >> 10)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the memory in use")
def test_a_store_trains_without_its_features_in_memory(tmp_path: Path) -> None:
    """Private memory at its peak, MiB: features of 59 MiB from a store and read into memory."""
    folder = tmp_path / "mine"
    folder.mkdir()
    draw = np.random.default_rng(0)
    centres = draw.random((10, 384), dtype=np.float32)
    labels = np.arange(40_000) % 8
    batches = (centres[part] + draw.random((len(part), 384), np.float32) for part in np.split(labels, 40))
    write_store(folder / "features.npy", batches)
    pl.DataFrame({"label": [f"c{c}" for c in labels]}).write_parquet(folder / "features.rows.parquet")
    rows = "".join(f"c{c},{c},{c * c % 7 + 1}\n" for c in range(10))
    (folder / "classes.csv").write_text(f"name,a0,a1\n{rows}")
    features = open_store(folder / "features.npy")
    np.savez(folder / "in_memory.npz", features=features, labels=np.array([f"c{c}" for c in labels]))
    peak = {}
    for name in ("features", "in_memory"):
        command = ["train", str(folder), *ARGUMENTS, "--protocol", "last", "--out", name, "--features", name]
        command += ["--set", "gsmflow.epochs=1", "--set", "gsmflow.batch_size=4000", "--threads", "1"]
        command += ["--set", "head.epochs=1", "--set", "head.batch_size=2000"]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        peak[name] = int(done.stdout.splitlines()[-1])
    assert scores(tmp_path / "features") == scores(tmp_path / "in_memory")
    assert peak["in_memory"] > peak["features"] + 2 * 59, peak  # as read, and as scaled


def test_only_good_stores_are_opened(tmp_path: Path) -> None:
    file = tmp_path / "f.npy"
    for wrong, words in (
        (np.zeros((3, 2)), "float64 of shape"),
        (np.zeros(3, np.float32), r"of shape \(3,\)"),
        (np.asfortranarray(np.zeros((3, 2), np.float32)), "by columns"),
        (np.array([[object()]]), "contains pickled objects, which are never loaded"),
    ):
        np.save(file, wrong, allow_pickle=True)
        with pytest.raises(InputError, match=f"f\\.npy: .*{words}"):
            open_store(file)
    write_store(file, [np.zeros((300, 2))])
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"f\.npy: "):
        open_store(file)
    before = file.read_bytes()
    with pytest.raises(InputError, match=r"a batch of shape \(2, 3\), expected \(rows, 2\)"):
        write_store(file, [np.zeros((4, 2)), np.zeros((2, 3))])
    with pytest.raises(InputError, match="nothing to write"):
        write_store(file, [])
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_table_of_another_store_is_refused(tmp_path: Path) -> None:
    folder = stored(tmp_path / "mine")
    pl.read_parquet(folder / "features.rows.parquet").head(9).write_parquet(folder / "features.rows.parquet")
    with pytest.raises(InputError, match=r"9 rows, but .* has 600"):
        sources.load(str(folder), data_root=tmp_path)
    (folder / "features.rows.parquet").unlink()
    with pytest.raises(InputError, match=r"a column 'label' of features\.rows\.parquet"):
        sources.load(str(folder), data_root=tmp_path)


def test_no_room_for_what_is_derived_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = sources.load(str(stored(tmp_path / "mine")), data_root=tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gsmflow.files.feature_store.os.posix_fallocate", full)
    request = Request("mine", None, None, "last", False, 0)
    recipe = make_recipe("gsmflow", "best", OVERRIDES)
    with pytest.raises(InputError, match=r"no room for .* TMPDIR"):
        train(request, data, recipe, device=torch.device("cpu"), folder=tmp_path / "run")
