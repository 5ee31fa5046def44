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

import pytest

from gsmflow.cluster import parse_place, place
from gsmflow.errors import InputError
from quick import ARGUMENTS, PROBLEM

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


def _workers() -> list[int]:
    """Processes that are training a cell."""
    listed = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "ray::train_cell" in line]


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
            for pid in _workers():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        out, err = process.communicate(timeout=240)
    assert killed
    assert process.returncode == 0, err
    (row,) = json.loads(out)["rows"]
    assert row["H"]["seeds"] == 3
    assert row["failed_seeds"] == []
    assert len(list((tmp_path / "b").rglob("metrics.json"))) == 3
    assert not list((tmp_path / "b").rglob(".arriving-*"))
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
