"""`kill -9` at random moments of train, bench and extract: what is there is whole, and the same command ends the same.

One moment of each by default; GSMFLOW_FAULTS=50 tries fifty of each.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gsmflow.files.rows import read_rows
from gsmflow.files.tensors import read_tensors
from support.pictures import SIDE, digits, patches_model
from support.recipes import ARGUMENTS, PROBLEM

pytestmark = pytest.mark.slow

MOMENTS = int(os.environ.get("GSMFLOW_FAULTS", "1"))
TRAIN = ["train", PROBLEM, *ARGUMENTS, "--set", "gsmflow.epochs=12", "--out", "run"]
TRAIN += ["--resume", "--checkpoint-seconds", "0"]
BENCH = ["bench", PROBLEM, "--methods", "gsmflow", "--seeds", "0", "--protocol", "last", "--out", "run"]
BENCH += [*ARGUMENTS, "--jobs", "1", "--no-oracle", "--json"]
EXTRACT = ["extract", "../images", "--backbone", "../model.onnx", "--size", str(SIDE)]
EXTRACT += ["--out", "run/features.npz"]


def start(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gsmflow", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def results(root: Path) -> dict[str, Any]:
    """The metrics of all runs under a folder, without what depends on the clock, and extracted features."""
    contents: dict[str, Any] = {
        str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*.npz")
    }
    for file in sorted(root.rglob("metrics.json")):
        metrics = json.loads(file.read_text())
        contents[str(file.relative_to(root))] = {k: v for k, v in metrics.items() if k != "seconds"}
    return contents


def whole(root: Path) -> None:
    """Every file there is one that was written to its end."""
    for file in root.rglob("*"):
        if file.name.endswith(".tmp"):
            continue
        if file.suffix == ".npz":
            read_rows(file)
        elif file.suffix == ".safetensors":
            read_tensors(file)
        elif file.suffix == ".json":
            json.loads(file.read_text())
        elif file.suffix == ".jsonl":
            assert all(json.loads(line) for line in file.read_text().splitlines())
        elif file.name == "config.toml":
            tomllib.loads(file.read_text())


def workers(folder: Path) -> list[str]:
    """Processes that train in a folder."""
    names = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve() == folder and b"gsmflow" in (process / "cmdline").read_bytes():
                names.append(process.name)
        except OSError:
            pass  # it ended while it was looked at
    return names


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc to see what still runs")
@pytest.mark.parametrize("words", [TRAIN, BENCH, EXTRACT], ids=["train", "bench", "extract"])
def test_killed_at_random_moments(words: list[str], tmp_path: Path) -> None:
    if words is EXTRACT:
        digits(tmp_path / "images", 1797)
        patches_model(tmp_path / "model.onnx")
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    begun = time.monotonic()
    assert start(words, undisturbed).wait(timeout=240) == 0
    seconds = time.monotonic() - begun
    expected = results(undisturbed)
    assert expected
    draw = random.Random(0)
    killed = tmp_path / "killed"
    killed.mkdir()
    interrupted = 0
    for index in range(MOMENTS):
        process = start(words, killed)
        time.sleep((index + draw.random()) / MOMENTS * 0.9 * seconds)  # at random, one in each part
        process.send_signal(signal.SIGKILL)
        interrupted += process.wait(timeout=60) == -signal.SIGKILL
        whole(killed)
        for _ in range(200):  # what a bench had started goes with it
            if not workers(killed):
                break
            time.sleep(0.05)
        assert not workers(killed)
        if (killed / "run").exists() and results(killed) == expected:  # it came to its end: begin anew
            (killed / "run").rename(tmp_path / f"done{index}")
    assert interrupted
    assert start(words, killed).wait(timeout=240) == 0
    assert results(killed) == expected
    assert not list(killed.rglob("*.tmp"))
    assert not list(killed.rglob("checkpoint"))
    assert not list(killed.rglob("*.parts"))


def test_sigterm_finishes_the_step_and_writes_a_checkpoint(tmp_path: Path) -> None:
    words = [*TRAIN[:-1], "3600"]  # no checkpoint but the one that is asked for
    long = [w.replace("gsmflow.epochs=12", "gsmflow.epochs=2000") for w in words]
    # Trainings beside each other have checkpoints of their own
    process = start([*long, "--threads", "1"], tmp_path)
    history, checkpoint = tmp_path / "run" / "history.jsonl", tmp_path / "run/checkpoint/state.safetensors"
    for _ in range(2000):
        if history.exists() and history.read_bytes().count(b"\n") > 5:
            break
        time.sleep(0.02)
    assert not checkpoint.exists()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 130
    _, meta = read_tensors(checkpoint)
    logged = [json.loads(line) for line in history.read_text().splitlines()]
    assert meta["history"] == len(logged)
    assert meta["done"] >= max(entry["step"] for entry in logged) > 0


def test_two_runs_that_begin_together(tmp_path: Path) -> None:
    """One of them makes the run, the others refuse; none takes another's result for its own."""
    words = [w for w in TRAIN if w != "--resume"]
    running = [start([*words, "--seed", str(seed)], tmp_path) for seed in (0, 1)]
    codes = [process.wait(timeout=120) for process in running]
    assert sorted(codes) == [0, 2]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["seed"] == codes.index(0)
