"""Work spread over a real Ray cluster of several nodes on this machine, with workers killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gsmflow.base.errors import InputError
from gsmflow.compute.ray import parse_place
from gsmflow.studies.worker import place
from support.pictures import SIDE, digits, patches_model
from support.recipes import ARGUMENTS, PROBLEM

pytestmark = pytest.mark.slow

ray = pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two nodes with a core each."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
        yield cluster.address
    finally:
        cluster.shutdown()


def _workers(name: str) -> list[int]:
    """Workers of the cluster of this very process that are at work on something."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    parents = {int(row[0]): int(row[1]) for row in rows}

    def ours(pid: int) -> bool:
        while pid in parents and pid != os.getpid():
            pid = parents[pid]
        return pid == os.getpid()

    pids = [int(row[0]) for row in rows if len(row) > 2 and "ray::" in row[2] and name in row[2]]
    return [pid for pid in pids if ours(pid)]


def test_a_worker_killed_in_the_middle_is_tried_again_and_the_table_is_complete(
    address: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "gsmflow", "bench", PROBLEM, *ARGUMENTS, "--set", "gsmflow.epochs=60"]
    command += ["--methods", "gsmflow", "--seeds", "0-2", "--protocol", "last", "--no-oracle", "--out", "b"]
    with subprocess.Popen(
        [*command, "--on", f"ray:{address}", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        killed: list[int] = []
        for _ in range(600):
            if killed or process.poll() is not None:
                break
            time.sleep(0.2)
            for pid in _workers("train_cell"):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        out, err = process.communicate(timeout=240)
    assert killed
    assert process.returncode == 0, err
    (row,) = json.loads(out)["rows"]
    assert row["H"]["seeds"] == 3
    assert row["failed_seeds"] == []
    assert len(list((tmp_path / "b").rglob("metrics.json"))) == 3
    assert not list((tmp_path / "b").rglob(".*.arriving"))
    here = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "3 of 3 runs were finished before" in here.stderr  # the same folders serve this machine
    alone = [a if a != "b" else "c" for a in command]
    one = subprocess.run([*alone, "--json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(one.stdout)["rows"][0]["H"] == row["H"]  # and so do the same numbers


def test_trials_are_spread_over_the_cluster(address: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gsmflow", "tune", PROBLEM, "--method", "lda", "--vary", "ridge=-4:2"]
    command += ["--trials", "4", "--storage", "s.log", "--out", "t.toml", "--threads", "1", "--json"]
    done = subprocess.run(
        [*command, "--on", f"ray:{address}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"] == 4


def test_a_cluster_that_does_not_answer_gets_one_line(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "gsmflow",
        "bench",
        "digits",
        "--methods",
        "lda",
        "--on",
        "ray:127.0.0.1:1",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "no cluster answers" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("text", ["slurm", "ra", "ray-1"])
def test_other_places_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected ray"):
        parse_place(text)


def test_a_run_arrives_whole(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "half").write_text("")
    place(tmp_path / "run", {"metrics.json": b"{}"})
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["metrics.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


# -- parts of data, by Ray Data ----------------------------------------------------------------


EXTRACT = ("extract", "data/images", "--backbone", "model.onnx", "--size", str(SIDE))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on features of pictures, which remembers their backbone."""
    pytest.importorskip("pyarrow", reason="Ray Data is not installed")
    folder = tmp_path_factory.mktemp("cluster")
    digits(folder / "data" / "images", 1200, leave_out=(9,))
    (folder / "data" / "images" / "digit 3" / "broken.png").write_bytes(b"nothing")
    classes = [f"digit {n},{n % 2 + 1},{n // 2},{n * n % 7}" for n in range(10)]
    (folder / "data" / "classes.csv").write_text("\n".join(["name,odd,half,square", *classes]) + "\n")
    patches_model(folder / "model.onnx")
    gsmflow(folder, *EXTRACT, "-o", "data/features.npz", code=3)
    gsmflow(folder, "train", "data", "--method", "lda", "--protocol", "last", "--out", "run")
    return folder / "run"


def gsmflow(folder: Path, *words: str, code: int = 0, kill: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command on one thread; with `kill`, kill a worker of the cluster as soon as one is at work."""
    with subprocess.Popen(
        [sys.executable, "-m", "gsmflow", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        deadline = time.monotonic() + 240
        killed = not kill
        while not killed and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
            for pid in _workers("_Worker)).submit")[:1]:
                os.kill(pid, signal.SIGKILL)
                killed = True
        out, err = process.communicate(timeout=300)
    assert killed, err
    assert process.returncode == code, err
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def test_tables_are_labelled_over_the_cluster_as_here(address: str, run: Path, tmp_path: Path) -> None:
    """Many shards; a worker is killed while it labels one of them."""
    with np.load(run.parent / "data" / "features.npz") as arrays:
        features = np.tile(arrays["features"], (100, 1))
    (tmp_path / "shards").mkdir()
    for index, part in enumerate(np.array_split(features, 24)):
        columns = {f"f{i}": part[:, i] for i in range(part.shape[1])}
        pl.DataFrame(columns).write_parquet(tmp_path / "shards" / f"{index:02}.parquet")
    gsmflow(tmp_path, "predict", str(run), "shards", "-o", "here.parquet")
    spread = gsmflow(
        tmp_path, "predict", str(run), "shards", "-o", "there.parquet", "--on", f"ray:{address}", kill=True
    )
    assert f"{len(features)} samples labelled" in spread.stderr
    here, there = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("here", "there"))
    assert here["sample"].to_list() == list(range(len(features)))
    assert there.equals(here)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here.parquet", "shards", "there.parquet"]


def test_images_are_extracted_and_labelled_over_the_cluster_as_here(
    address: str, run: Path, tmp_path: Path
) -> None:
    """Shards of pictures; a worker is killed while it computes one."""
    data = run.parent
    there = tmp_path / "there.npz"
    on = ("--on", f"ray:{address}")
    spread = gsmflow(data, *EXTRACT, "-o", str(there), *on, code=3, kill=True)
    assert "broken.png" in spread.stderr
    assert there.read_bytes() == (data / "data" / "features.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there.npz", "there.unreadable.csv"]
    labels = [tmp_path / "here.csv", tmp_path / "there.csv"]
    for out, where in zip(labels, ((), on), strict=True):
        gsmflow(data, "predict", str(run), "data/images", "-o", str(out), *where, code=3)
    assert labels[0].read_bytes() == labels[1].read_bytes()
    assert len(labels[0].read_text().splitlines()) == 1 + len(
        list((data / "data/images").rglob("[0-9]*.png"))
    )


def test_what_is_wrong_with_a_part_is_said_as_here(address: str, run: Path, tmp_path: Path) -> None:
    columns = {f"f{i}": np.zeros(9, np.float32) for i in range(128)}
    table = pl.DataFrame(columns)
    table[4, "f7"] = float("inf")
    table.write_parquet(tmp_path / "new.parquet")
    words = ("predict", str(run), "new.parquet", "-o", "labels.csv", "--on", f"ray:{address}")
    said = gsmflow(tmp_path, *words, code=2).stderr.splitlines()[-1]
    assert "row 5, column 'f7' is 'inf', expected a finite number" in said
    pl.DataFrame(columns).write_parquet(tmp_path / "new.parquet")
    assert "ask for fewer" in gsmflow(tmp_path, *words, "--threads", "99", code=2).stderr
    assert not (tmp_path / "labels.csv").exists()


def test_a_part_that_kills_every_worker_ends_the_command(address: str) -> None:
    pytest.importorskip("pyarrow", reason="Ray Data is not installed")
    script = (
        "from support.deadly import Deadly\nfrom gsmflow.compute.distributed_map import Cluster, results\n"
        f"print(list(results(Deadly(), [1], Cluster('{address}'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 1
    assert "RuntimeError: a worker was lost" in done.stderr
