"""`gsmflow train` as a person or a program uses it: a real process, real signals, real files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from gsmflow.scores.gzsl import SCORES, harmonic_mean
from gsmflow.scores.shifts import headline
from support.processes import Command, gsmflow, with_quick_workers
from support.recipes import ARGUMENTS, PROBLEM, problem


def results(folder: Path) -> dict[str, Any]:
    """The metrics of a run, without what depends on the clock."""
    metrics = json.loads((folder / "metrics.json").read_text())
    return {key: value for key, value in metrics.items() if key != "seconds"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with everything switched on."""
    root = tmp_path_factory.mktemp("finished")
    done = gsmflow("train", PROBLEM, *ARGUMENTS, "--oracle", "--out", "run", cwd=root)
    assert done.returncode == 0, done.stderr
    return root / "run"


def test_the_run_folder(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} - {".lock"} == {
        "config.toml",
        "examples.safetensors",
        "metrics.json",
        "history.jsonl",
        "model.safetensors",
        "head.safetensors",
        "classes.json",
        "checksums.txt",
        "shifts.json",
        "samples.safetensors",
        "semantics.csv",
    }
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["protocol"] == "validated"
    assert metrics["method"] == "gsmflow"
    assert metrics["seed"] == 0
    assert set(SCORES) <= set(metrics)
    assert metrics["H"] == pytest.approx(harmonic_mean(metrics["U"], metrics["S"]))
    # Batches of 40
    assert metrics["steps"] == round(metrics["chosen"]["epochs"] * (len(problem().train) // 40))
    parts = [seconds for name, seconds in metrics["seconds"].items() if name != "total"]
    assert metrics["seconds"]["total"] >= max(parts) > 0
    assert len(metrics["per_class"]) == 12
    assert set("USH") <= set(metrics["oracle"])
    assert set(metrics["shifts"]) == {"semantic", "variance", "structure", "judge"}
    assert metrics["shifts"]["judge"] == "real test features of unseen classes"
    assert metrics["shifts"]["variance"] > 0
    measured = json.loads((finished / "shifts.json").read_text())
    assert headline(measured) == metrics["shifts"]
    assert "upper bound" in metrics["oracle"]["on"]
    config = tomllib.loads((finished / "config.toml").read_text())
    assert config["options"]["gsmflow"]["blocks"] == 2
    assert set(config["data"]["fingerprint"]) == {"split", "semantics", "features"}
    assert config["machine"]["torch"]
    history = [json.loads(line) for line in (finished / "history.jsonl").read_text().splitlines()]
    assert {entry["stage"] for entry in history} == {"validation", "final"}
    assert any("loss_flow" in entry for entry in history)
    assert any("scores" in entry for entry in history)
    classes = json.loads((finished / "classes.json").read_text())
    assert sum(entry["seen"] for entry in classes) == 9


def test_json_is_one_object_and_messages_go_to_stderr(tmp_path: Path) -> None:
    """Started as a person starts it."""
    command = [sys.executable, "-m", "gsmflow", "train", PROBLEM, *ARGUMENTS, "--protocol", "last", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["protocol"] == "last"
    assert "oracle" not in printed
    assert Path(tmp_path / printed["run"] / "metrics.json").exists()
    assert "training on all training data" in done.stderr


def test_the_oracle_is_never_the_headline(tmp_path: Path) -> None:
    done = gsmflow("train", PROBLEM, *ARGUMENTS, "--protocol", "oracle", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    metrics = results(tmp_path / "run")
    assert metrics["protocol"] == "last"
    assert metrics["oracle"]["H"] >= metrics["H"]
    assert "oracle (chosen on the test set)" in done.stdout


def test_several_seeds_give_an_interval(tmp_path: Path) -> None:
    """The same in turn and side by side."""
    words = ["train", PROBLEM, *ARGUMENTS, "--seeds", "0-1,5", "--protocol", "last", "--tensorboard"]
    for jobs in ("1", "2"):
        folder = tmp_path / jobs
        folder.mkdir()
        code, out, err = with_quick_workers([*words, "--jobs", jobs], folder)
        assert code == 0, err
        assert "3 seeds, mean ± 95% interval" in out
        assert out.count(" seconds, run in runs/") == 3
        runs = sorted((folder / "runs").iterdir())
        assert [path.name.rpartition("seed")[2] for path in runs] == ["0", "1", "5"]
        assert all(list((run / "tensorboard").iterdir()) for run in runs)
    for one, other in zip(*(sorted((tmp_path / jobs / "runs").iterdir()) for jobs in "12"), strict=True):
        assert results(one) == results(other)


def when(begun: Callable[[], bool], number: signal.Signals) -> Thread:
    """Send this process a signal once something has begun."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        while not begun() and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(os.getpid(), number)

    thread = Thread(target=wait)
    thread.start()
    return thread


def test_seeds_side_by_side_are_stopped_and_continued(tmp_path: Path) -> None:
    words = ["train", PROBLEM, *SLOW, "--seeds", "0-1", "--jobs", "2", "--out", "both", "--json"]
    runs = [tmp_path / "both" / f"seed{seed}" for seed in (0, 1)]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # should the runs end first, no test is interrupted
    try:
        interrupter = when(lambda: all(map(progress, runs)), signal.SIGINT)
        code, _, said = with_quick_workers(words, tmp_path)
        interrupter.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130
    assert "the same command with --resume continues" in said
    assert not any((run / "metrics.json").exists() for run in runs)
    code, _, said = with_quick_workers(words, tmp_path)
    assert code == 2
    assert "seed0: holds a run already; add --resume" in said
    code, out, said = with_quick_workers([*words, "--resume"], tmp_path)
    assert code == 0, said
    assert [run["seed"] for run in json.loads(out)["runs"]] == [0, 1]


def test_a_seed_that_fails_is_named(tmp_path: Path) -> None:
    """Its workers are started as those of users are."""
    failing = [*ARGUMENTS, "--set", "gsmflow.learning_rate=1e30", "--protocol", "last"]
    done = gsmflow("train", PROBLEM, *failing, "--seeds", "0-1", "--jobs", "2", cwd=tmp_path)
    assert done.returncode == 1
    assert "seed 0: failed: " in done.stderr
    assert "2 of 2 runs gave no result" in done.stderr


def test_a_second_run_of_the_same_command_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    for _ in range(2):
        assert gsmflow("train", PROBLEM, *ARGUMENTS, "--protocol", "last", cwd=tmp_path).returncode == 0
    first, second = sorted((tmp_path / "runs").iterdir())
    assert second.name == first.name + "-2"
    assert results(first) == results(second)


def test_a_finished_run_is_not_overwritten(finished: Path) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    again = gsmflow("train", PROBLEM, *ARGUMENTS, "--oracle", "--out", str(finished), cwd=finished.parent)
    assert again.returncode == 2
    assert "--resume" in again.stderr
    resumed = gsmflow(
        "train", PROBLEM, *ARGUMENTS, "--oracle", "--out", str(finished), "--resume", cwd=finished.parent
    )
    assert resumed.returncode == 0, resumed.stderr
    assert before == {path.name: path.read_bytes() for path in finished.iterdir()}


def test_resume_refuses_another_request(finished: Path) -> None:
    other = gsmflow(
        "train",
        PROBLEM,
        *ARGUMENTS,
        "--set",
        "gsmflow.blocks=3",
        "--oracle",
        "--out",
        str(finished),
        "--resume",
        cwd=finished.parent,
    )
    assert other.returncode == 2
    assert "options.gsmflow.blocks = 2, this request 3" in other.stderr


SLOW = [*ARGUMENTS, "--oracle", "--checkpoint-seconds", "0"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("uninterrupted")
    done = gsmflow("train", PROBLEM, *SLOW, "--out", "run", cwd=root)
    assert done.returncode == 0, done.stderr
    return results(root / "run")


def progress(folder: Path) -> int:
    """Lines of history so far."""
    try:
        return (folder / "history.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def test_a_killed_run_resumes_to_the_same_result(uninterrupted: dict[str, Any], tmp_path: Path) -> None:
    """Really killed, at several moments one after the other, and continued each time by the same command."""
    command = ["train", PROBLEM, *SLOW, "--out", "run", "--resume"]
    run = tmp_path / "run"
    for moment, kill in (
        (2, signal.SIGKILL),
        (4, signal.SIGINT),
        (7, signal.SIGKILL),
        (9, signal.SIGTERM),
        (12, signal.SIGKILL),
    ):
        process = Command(*command, cwd=tmp_path)
        deadline = time.monotonic() + 60
        while progress(run) < moment and process.returncode is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert process.returncode is None, "it ended before it was killed"
        process.send(kill)
        assert process.wait() == (-signal.SIGKILL if kill == signal.SIGKILL else 130)
        if kill != signal.SIGKILL:
            assert process.stderr.strip().splitlines()[-1] == (
                "gsmflow: interrupted; the same command with --resume continues"
            )
        assert not (run / "metrics.json").exists()
        for file in run.glob("*.json*"):
            file.read_text()  # whole, whenever it was killed
    done = gsmflow(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert results(run) == uninterrupted
    assert not (run / "checkpoint").exists()


def test_trainings_beside_each_other_are_killed_and_resumed(tmp_path: Path) -> None:
    """The last training has begun by then; nothing of it is seen in the history."""
    words = [*ARGUMENTS, "--set", "selection.problems=3", "--set", "gsmflow.epochs=40"]
    command = ["train", PROBLEM, *words, "--checkpoint-seconds", "0", "--out", "run", "--resume"]
    run = tmp_path / "run"
    for part, moment, kill in (
        ("final", 2, signal.SIGINT),
        ("validation", 4, signal.SIGKILL),
        ("final", 7, signal.SIGTERM),
    ):
        process = Command(*command, cwd=tmp_path)
        deadline = time.monotonic() + 60
        while progress(run / "checkpoint" / part) < moment and time.monotonic() < deadline:
            time.sleep(0.005)
        assert process.returncode is None, "it ended before it was killed"
        process.send(kill)
        assert process.wait() == (-signal.SIGKILL if kill == signal.SIGKILL else 130)
        assert not progress(run)
    done = gsmflow(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    in_turn = gsmflow("train", PROBLEM, *words, "--threads", "1", "--out", "in turn", cwd=tmp_path)
    assert in_turn.returncode == 0, in_turn.stderr
    assert results(run) == results(tmp_path / "in turn")
    assert (run / "history.jsonl").read_bytes() == (tmp_path / "in turn" / "history.jsonl").read_bytes()


def test_two_runs_do_not_write_to_one_folder(tmp_path: Path) -> None:
    command = ["train", PROBLEM, *SLOW, "--out", "run", "--resume"]
    first = Command(*command, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 60
        while not progress(tmp_path / "run") and time.monotonic() < deadline:
            time.sleep(0.01)
        second = gsmflow(*command, cwd=tmp_path)
        assert second.returncode == 2
        assert "another process is writing there" in second.stderr
    finally:
        first.send(signal.SIGKILL)
        first.wait()
