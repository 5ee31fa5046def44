"""Tables read, labelled and written part by part: the same as whole, in order, and without holding them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.compute.distributed_map import results
from gsmflow.files import chunks, spool
from gsmflow.files.feature_store import write_store
from gsmflow.files.rows import read_rows
from gsmflow.files.spool import LongTable
from gsmflow.runs.folder import load_classifier
from gsmflow.runs.labelling import Labelling
from support.recipes import ARGUMENTS, PROBLEM, problem

COUNT, SHARD = 500, 70


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts") / "run"
    assert main(["train", PROBLEM, *ARGUMENTS, "--protocol", "last", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 32 rows, and tables that are put aside beyond 100."""
    monkeypatch.setattr(chunks, "_MOST", 32)
    monkeypatch.setattr(spool, "_ROWS", 100)


def table(count: int = COUNT) -> pl.DataFrame:
    features = problem().features[:count]
    columns = {f"f{i}": features[:, i] for i in range(features.shape[1])}
    return pl.DataFrame({"name": [f"n{i}" for i in range(count)], **columns})


def in_shards(folder: Path, whole: pl.DataFrame) -> Path:
    folder.mkdir()
    for index, start in enumerate(range(0, len(whole), SHARD)):
        whole.slice(start, SHARD).write_parquet(folder / f"{index:02}.parquet", row_group_size=25)
    return folder


@pytest.mark.usefixtures("small")
def test_parts_are_the_rows_in_their_order(tmp_path: Path) -> None:
    whole = table()
    whole.write_parquet(tmp_path / "one.parquet", row_group_size=90)
    whole.write_csv(tmp_path / "one.csv")
    expected = read_rows(tmp_path / "one.parquet")
    folder = in_shards(tmp_path / "shards", whole)
    write_store(tmp_path / "store.npy", [expected.features])
    whole.select("name").write_parquet(tmp_path / "store.rows.parquet")
    for source in ("one.parquet", "one.csv", "shards", "shards/*.parquet", "sh*/??.parquet", "store.npy"):
        parts, _, total = chunks.parts_of(tmp_path / source)
        assert total == COUNT
        assert len(parts) > COUNT // 33
        rows = [part.read() for part in parts]
        assert max(len(some.features) for some in rows) <= 32
        assert [part.first for part in parts] == np.cumsum([0] + [len(r.features) for r in rows])[
            :-1
        ].tolist()
        features = np.concatenate([some.features for some in rows]).astype(np.float32)
        assert np.array_equal(features, expected.features.astype(np.float32))
        assert sum((some.names or () for some in rows), ()) == expected.names
    assert len(chunks.shards(folder) or ()) == -(-COUNT // SHARD)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_labels_of_parts_are_those_of_the_whole(ending: str, run: Path, tmp_path: Path) -> None:
    whole = table().drop("name")
    in_shards(tmp_path / "shards", whole)
    out = tmp_path / f"labels.{ending}"
    assert main(["predict", str(run), str(tmp_path / "shards"), "-o", str(out), "--unsure", "0.5"]) == 0
    labelled = pl.read_parquet(out) if ending == "parquet" else pl.read_csv(out)
    assert labelled["sample"].to_list() == list(range(COUNT))
    classifier = load_classifier(run)
    probabilities = classifier.probabilities(problem().features[:COUNT])
    assert labelled["class"].to_list() == [classifier.classes[c] for c in probabilities.argmax(axis=1)]
    assert np.allclose(labelled["probability"], probabilities.max(axis=1), atol=1e-6)
    assert labelled["unsure"].to_list() == (labelled["probability"] < 0.5).to_list()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["shards", out.name])


@pytest.mark.usefixtures("small")
def test_a_bad_row_is_named_as_its_file_counts(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for column, value, message in (
        ("f3", float("nan"), "01.parquet: row 41, column 'f3' is 'nan'"),
        ("name", "", "01.parquet: row 41, column 'name' is empty"),
    ):
        folder = in_shards(tmp_path / column, table())
        spoilt = pl.read_parquet(folder / "01.parquet")
        spoilt[40, column] = value
        spoilt.write_parquet(folder / "01.parquet")
        out = tmp_path / "labels.csv"
        out.write_text("as it was")
        assert main(["predict", str(run), str(folder), "-o", str(out)]) == 2
        assert message in capsys.readouterr().err
        assert out.read_text() == "as it was"
    features = problem().features[:COUNT].copy()
    features[300, 0] = np.inf
    write_store(tmp_path / "store.npy", [features])
    assert main(["predict", str(run), str(tmp_path / "store.npy")]) == 2
    printed, said = capsys.readouterr()
    assert "store.npy: row 301, column 1 is inf" in said
    assert printed == ""


def test_shards_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    folder = in_shards(tmp_path / "shards", table())
    table(9).drop("f4").write_parquet(folder / "extra.parquet")
    with pytest.raises(InputError, match=r"extra\.parquet: 10 columns, not the same 11"):
        chunks.parts_of(folder)
    (folder / "extra.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match=r"extra\.parquet: not readable as \.parquet"):
        chunks.parts_of(folder)
    (folder / "notes.txt").write_text("")
    with pytest.raises(InputError, match=r"expected \.parquet files alone"):
        chunks.parts_of(folder / "*")
    with pytest.raises(InputError, match="no such file, and as a pattern it matches none"):
        chunks.parts_of(folder / "day*.parquet")
    assert chunks.shards(tmp_path) is None  # a folder without any may hold images


def test_a_part_that_changed_meanwhile_is_noticed(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "features.parquet"
    table().drop("name").write_parquet(file)
    parts, _, _ = chunks.parts_of(file)
    table(100).drop("name").write_parquet(file)
    with pytest.raises(InputError, match="changed or cut short"):
        list(results(Labelling(run, file), parts))


@pytest.mark.parametrize("count", [0, 30, 99, 100, 1000])
def test_a_long_table_is_written_as_if_it_were_short(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_ROWS", 100)
    rng = np.random.default_rng(0)
    whole = pl.DataFrame({"a": rng.normal(size=1 + count), "b": [f'"{i}",\n' for i in range(1 + count)]})
    with LongTable() as long:
        for start in range(0, len(whole), 30):
            long.add(whole.slice(start, 30))
        assert long.rows == len(whole)
        long.write(tmp_path / "t.parquet")
        long.write(tmp_path / "t.csv")
        assert pl.concat(long.batches()).equals(whole)
        aside = Path(long._folder.name)
    assert not aside.exists()
    assert pl.read_parquet(tmp_path / "t.parquet").equals(whole)
    text = io.BytesIO()
    whole.write_csv(text, float_precision=spool.DIGITS)
    assert (tmp_path / "t.csv").read_bytes() == text.getvalue()


PEAK = """
import re, sys, threading, time
from gsmflow.cli import main
peak = 0
def held():
    return int(re.search(r"RssAnon:\\s*(\\d+)", open("/proc/self/status").read())[1])
def watch():
    global peak
    while True:
        peak = max(peak, held())
        time.sleep(0.005)
import torch, polars
before = held()
threading.Thread(target=watch, daemon=True).start()
assert main(sys.argv[1:]) == 0
print(peak - before >> 10)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the memory in use")
def test_a_file_is_labelled_without_its_features_in_memory(tmp_path: Path) -> None:
    """Private memory at its peak, MiB, for 300 MiB of features: from shards, and as one .npz file."""
    dims, count, piece = 1024, 76_800, 2400
    spec = f"synthetic:n=200,d={dims},classes=6,unseen=2,a=4"
    assert main(["train", spec, "--method", "lda", "--protocol", "last", "--out", str(tmp_path / "r")]) == 0
    features = np.random.default_rng(0).random((count, dims), np.float32)
    np.savez(tmp_path / "new.npz", features=features)
    (tmp_path / "shards").mkdir()
    for start in range(0, count, piece):
        columns = {f"f{i}": features[start : start + piece, i] for i in range(dims)}
        pl.DataFrame(columns).write_parquet(
            tmp_path / "shards" / f"{start:06}.parquet", compression="uncompressed"
        )
    peak = {}
    for name in ("shards", "new.npz"):
        command = [sys.executable, "-c", PEAK, "predict", "r", name, "-o", f"{name}.csv"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        peak[name] = int(done.stdout)
    assert peak["new.npz"] > 300
    assert peak["shards"] < 200, peak
    # Parts of other sizes: the last digit of a product may differ.
    shards, whole = (pl.read_csv(tmp_path / name) for name in ("shards.csv", "new.npz.csv"))
    assert shards.columns == whole.columns
    for column in shards:
        if column.dtype.is_float():
            np.testing.assert_allclose(column, whole[column.name], rtol=0, atol=1e-6)
        else:
            assert column.to_list() == whole[column.name].to_list()


def test_json_holds_all_rows_and_says_nothing_else(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = in_shards(tmp_path / "shards", table())
    assert main(["predict", str(run), str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["samples"] == len(told["predictions"]) == COUNT
    assert told["predictions"][-1]["sample"] == f"n{COUNT - 1}"
