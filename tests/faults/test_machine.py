"""Faults of the machine: a full disk, a folder that cannot be written to, too little memory, a wrong clock."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from gsmflow.recipes.recipe import make_recipe
from gsmflow.runs.folder import Request
from gsmflow.runs.train import train
from support.processes import gsmflow
from support.recipes import ARGUMENTS, OVERRIDES, PROBLEM, problem

TRAIN = [sys.executable, "-m", "gsmflow", "train", PROBLEM, *ARGUMENTS, "--protocol", "last"]


def _can_mount() -> bool:
    """Whether a file system of one's own can be had here: as root, with the right to mount."""
    try:
        probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


mounted = pytest.mark.skipif(not _can_mount(), reason="needs the right to mount a small file system")


def in_mount(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script that may mount; its mounts vanish with it."""
    command = ["unshare", "--mount", "bash", "-euc", script, "bash", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


FULL = """
mkdir small; mount -t tmpfs -o size=4m none small
for kilobytes in 2 60; do
  fallocate -l $((4096 - kilobytes))K small/ballast
  code=0; "$@" --out small/run --resume --checkpoint-seconds 0 2>err || code=$?
  echo "code $code"; tail -n 1 err
  find small -name '*.tmp'; ls small/run/metrics.json 2>/dev/null || true
  rm small/ballast
done
"$@" --out small/run --resume >out 2>err; cat small/run/metrics.json
"""


@mounted
@pytest.mark.slow  # a limit on the size of files stands for a full disk in the others, see cli/test_bad_input.py
def test_a_disk_that_fills_up_at_several_places(tmp_path: Path) -> None:
    done = in_mount(FULL, tmp_path, *TRAIN)
    assert done.returncode == 0, done.stderr
    said, brace, metrics = done.stdout.partition("{")
    lines = said.splitlines()
    assert len(lines) == 4, said  # no temporary file, no metrics
    for code, message in zip(lines[::2], lines[1::2], strict=True):
        assert code == "code 2"
        assert message.startswith("gsmflow: small/run")
        assert "No space left on device" in message
    whole = subprocess.run([*TRAIN, "--json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(brace + metrics)["per_class"] == json.loads(whole.stdout)["per_class"]


READ_ONLY = """
mkdir small; mount -t tmpfs none small; mkdir small/run
if [ -n "$1" ]; then "${@:2}" --out small/run --resume 2>/dev/null; fi
mount -o remount,ro small; shift
code=0; "$@" --out small/run --resume 2>err || code=$?
echo "code $code"; cat err
"""


FULL_LABELS = """
mkdir small; mount -t tmpfs -o size=4m none small
fallocate -l $((4096 - $1))K small/ballast; out=$2; shift 2
code=0; "$@" -o "$out" 2>err || code=$?
echo "code $code"; tail -n 1 err; ls -A small
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    root = tmp_path_factory.mktemp("trained")
    assert gsmflow(*TRAIN[3:], "--out", "run", cwd=root).returncode == 0
    return root / "run"


@mounted
@pytest.mark.parametrize(
    "out", ["small/l.csv", pytest.param("small/l.parquet", marks=pytest.mark.slow), "l.csv"]
)
def test_a_disk_that_fills_up_while_labels_are_written(out: str, trained: Path, tmp_path: Path) -> None:
    """There, or where a long table waits before it is written."""
    features = np.tile(problem().features, (150, 1))
    pl.DataFrame({f"f{i}": features[:, i] for i in range(10)}).write_parquet(tmp_path / "new.parquet")
    predict = [sys.executable, "-m", "gsmflow", "predict", str(trained), "new.parquet"]
    waits = out == "l.csv"
    command = ["env", f"TMPDIR={tmp_path / 'small' if waits else tmp_path}", *predict]
    done = in_mount(FULL_LABELS, tmp_path, "64" if waits else "8", out, *command)
    assert done.stdout.splitlines()[0] == "code 2", done.stdout
    assert "cannot be written" in done.stdout
    assert "No space left" in done.stdout
    assert done.stdout.splitlines()[2:] == ["ballast"]
    assert not (tmp_path / "l.csv").exists()


@mounted
@pytest.mark.parametrize("finished", ["", pytest.param("finished", marks=pytest.mark.slow)])
def test_a_read_only_file_system(finished: str, tmp_path: Path) -> None:
    done = in_mount(READ_ONLY, tmp_path, finished, *TRAIN)
    code, message = done.stdout.strip().splitlines()[-2:]
    assert code == "code 2", done.stdout + done.stderr
    assert message.startswith("gsmflow: small/run: cannot write there (Read-only file system)")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o500)
    done = gsmflow(*TRAIN[3:], "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "run: cannot write there (Permission denied)" in done.stderr


def test_too_little_memory_is_said_and_the_run_can_be_finished(tmp_path: Path) -> None:
    words = [*TRAIN[3:], "--set", "head.synthetic_per_class=3000000", "--out", "run"]
    done = gsmflow(*words, cwd=tmp_path, more_memory=200 << 20)
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("gsmflow: the run failed: not enough memory (")
    assert "head.synthetic_per_class" in last
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert not list((tmp_path / "run").rglob("*.tmp"))


class _Jumping:
    """A wall clock that jumps back and forth by years."""

    def __init__(self) -> None:
        self._draw, self._real = random.Random(0), time.time

    def __call__(self) -> float:
        return self._real() + self._draw.uniform(-1e8, 1e8)


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make_recipe("gsmflow", "best", OVERRIDES)
    request = Request(PROBLEM, None, None, "last", False, 0)
    metrics = []
    for name in ("steady", "jumping"):
        if name == "jumping":
            monkeypatch.setattr(time, "time", _Jumping())
        measured = train(
            request,
            problem(),
            recipe,
            device=torch.device("cpu"),
            folder=tmp_path / name,
            checkpoint_seconds=0,
        )
        assert 0 <= measured["seconds"]["total"] < 600
        metrics.append({k: v for k, v in measured.items() if k != "seconds"})
    assert metrics[0] == metrics[1]
    for file in (tmp_path / "jumping").iterdir():
        os.utime(file, (4e9, 4e9))  # from the future
    again = train(
        request, problem(), recipe, device=torch.device("cpu"), folder=tmp_path / "jumping", resume=True
    )
    assert {k: v for k, v in again.items() if k != "seconds"} == metrics[0]
