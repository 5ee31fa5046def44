"""One training divided among processes: the numbers of a single one, and stopped and continued as one."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gsmflow.files.tensors import read_tensors
from support.recipes import ARGUMENTS, PROBLEM

pytestmark = pytest.mark.slow

WORDS = ["-m", "gsmflow", "train", PROBLEM, *ARGUMENTS, "--seed", "3"]


def torchrun(processes: int = 2) -> list[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["--nnodes", "1", "--master-addr", "127.0.0.1", "--master-port", str(port)]
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), *where]


def scores(folder: Path) -> dict[str, float]:
    metrics = json.loads((folder / "metrics.json").read_text())
    return {name: metrics[name] for name in ("U", "S", "H", "T1", "AUSUC", "steps")}


def same_weights(one: Path, other: Path) -> None:
    tensors = [read_tensors(folder / "model.safetensors")[0] for folder in (one, other)]
    for name, tensor in tensors[0].items():
        assert torch.allclose(tensor, tensors[1][name], atol=1e-5), name


def losses(folder: Path) -> list[float]:
    entries = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [entry[name] for entry in entries for name in sorted(entry) if name.startswith("loss")]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("alone")
    command = [sys.executable, *WORDS, "--out", "run"]
    subprocess.run(command, cwd=root, capture_output=True, check=True, timeout=120)
    return root / "run"


def test_two_processes_end_with_the_numbers_of_one(alone: Path, tmp_path: Path) -> None:
    command = [*torchrun(), *WORDS, "--out", "run", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stdout.splitlines() if line.startswith("{")]) == 1
    assert scores(tmp_path / "run") == pytest.approx(scores(alone), abs=1e-5)
    assert losses(tmp_path / "run") == pytest.approx(losses(alone), abs=1e-5)
    same_weights(tmp_path / "run", alone)


def test_both_stop_after_the_same_step_and_continue(alone: Path, tmp_path: Path) -> None:
    command = [*WORDS, "--out", "run", "--resume", "--checkpoint-seconds", "0"]
    process = subprocess.Popen(
        [*torchrun(), *command], cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    checkpoint = tmp_path / "run" / "checkpoint" / "state.safetensors"
    for _ in range(3000):
        if checkpoint.exists():
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) != 0
    assert not (tmp_path / "run" / "metrics.json").exists()
    done = subprocess.run(
        [*torchrun(), *command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stderr
    assert scores(tmp_path / "run") == pytest.approx(scores(alone), abs=1e-5)
    same_weights(tmp_path / "run", alone)


def test_a_method_that_cannot_be_divided_says_so(tmp_path: Path) -> None:
    command = [*torchrun(), "-m", "gsmflow", "train", PROBLEM, "--method", "lda", "--out", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert "method 'lda' is not divided among processes; start it without torchrun" in done.stderr
