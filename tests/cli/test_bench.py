"""`gsmflow bench`, `ablate` and `tune` as real processes: tables, resuming, killed and failing runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from gsmflow.cli import main
from support.processes import Command, gsmflow, with_quick_workers
from support.recipes import ARGUMENTS, OVERRIDES, PROBLEM


def quick(folder: Path, **changed: str) -> str:
    """The quick recipe as a preset file for any method, with some options changed; its name."""
    tables: dict[str, dict[str, Any]] = {}
    for override in (*OVERRIDES, *(f"gsmflow.{name}={value}" for name, value in changed.items())):
        key, _, value = override.partition("=")
        table, _, name = key.partition(".")
        tables.setdefault(table, {})[name] = json.loads(value)
    (folder / "quick.toml").write_text(tomli_w.dumps(tables))
    return "quick.toml"


def bench(*more: str) -> list[str]:
    words = ["bench", PROBLEM, "--methods", "gsmflow,lda", "--seeds", "0-1", "--preset", "quick.toml"]
    return [*words, "--out", "b", *more]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("bench")
    quick(root)
    code, out, err = with_quick_workers(bench("--json"), root)
    assert code == 0, err
    return root, json.loads(out)


def test_a_bench_gives_a_row_a_method_and_all_kinds_of_tables(finished: tuple[Path, dict[str, Any]]) -> None:
    root, result = finished
    assert [row["method"] for row in result["rows"]] == ["gsmflow", "lda"]
    for row in result["rows"]:
        assert row["H"]["seeds"] == 2
        assert row["protocol"] == "validated"
        assert row["oracle_H"]["mean"] >= row["H"]["mean"] - 1e-9 or row["method"] == "gsmflow"
    h = [
        [
            json.loads(
                (
                    root / "b" / PROBLEM.replace(":", "-").replace(",", "-") / m / f"seed{s}" / "metrics.json"
                ).read_text()
            )["H"]
            for s in (0, 1)
        ]
        for m in ("gsmflow", "lda")
    ]
    expected = sum(b - a for a, b in zip(*h, strict=True)) / 2
    assert result["rows"][1]["difference_H"]["mean"] == pytest.approx(expected)
    assert {p.name for p in (root / "b").iterdir() if p.is_file()} == {
        "table.json",
        "table.md",
        "table.tex",
        "table.csv",
    }


def test_finished_runs_are_not_run_again(finished: tuple[Path, dict[str, Any]]) -> None:
    root, result = finished
    before = {p: p.stat().st_mtime_ns for p in (root / "b").rglob("metrics.json")}
    code, out, err = with_quick_workers(bench("--json"), root)
    assert code == 0, err
    assert json.loads(out) == result
    assert "4 of 4 runs were finished before" in err
    assert {p: p.stat().st_mtime_ns for p in (root / "b").rglob("metrics.json")} == before


def test_a_folder_of_other_runs_is_refused(finished: tuple[Path, dict[str, Any]]) -> None:
    root, _ = finished
    code, _, err = with_quick_workers(bench("--set", "head.epochs=3"), root)
    assert code == 2
    assert "options.head.epochs" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_killed_worker_is_started_again_and_nothing_counted_twice(tmp_path: Path) -> None:
    command = ["bench", PROBLEM, *ARGUMENTS, "--set", "gsmflow.epochs=40", "--methods", "gsmflow"]
    command += ["--seeds", "0", "--no-oracle", "--out", "b", "--jobs", "1", "--json"]
    process = Command(*command, cwd=tmp_path)
    killed = _kill_worker(tmp_path, process)
    assert process.wait() == 0, process.stderr
    assert killed
    (row,) = json.loads(process.stdout)["rows"]
    assert row["H"]["seeds"] == 1
    assert row["failed_seeds"] == []


def _kill_worker(folder: Path, bench: Command) -> bool:
    """Kill -9 the process that trains, once it has begun to write its history."""
    for _ in range(1200):
        histories = list(folder.rglob("history.jsonl"))
        if histories and histories[0].stat().st_size:
            listed = subprocess.run(
                ["ps", "-o", "pid=", "--ppid", str(bench.pid)], capture_output=True, text=True, check=False
            )
            for pid in listed.stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            return bool(listed.stdout.split())
        time.sleep(0.05)
    return False


def test_a_run_that_fails_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    words = ["bench", PROBLEM, "--methods", "gsmflow,lda", "--seeds", "0", "--out", "b", "--no-oracle"]
    code, _, _ = with_quick_workers([*words, "--set", "gsmflow.epochs=12"], tmp_path)
    assert code == 2  # lda has no such option
    code, out, err = with_quick_workers(
        [*words, "--preset", quick(tmp_path, learning_rate="1e30"), "--json"], tmp_path
    )
    assert code == 1
    assert "gsmflow: 1 of 2 runs gave no result, as said above: " in err
    rows = json.loads(out)["rows"]
    assert rows[0]["failed_seeds"] == [0]
    assert rows[1]["H"]["seeds"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bench", "digits", "--methods", "gsmflw"], "did you mean 'gsmflow'"),
        (["bench", "digits", "--methods", "lda", "--against", "eszsl"], "--against eszsl"),
        (["bench", "digits", "--features", "FLO=x"], "'FLO' is not among the problems"),
        (["bench", "digits", "--seeds", "4-1"], "--seeds 4-1"),
        (["bench", "digits", "--methods", "cflow", "--set", "perturbation=1"], "is always 0.0"),
        (["tune", "digits", "--vary", "epochs"], "--vary epochs"),
        (["tune", "digits", "--vary", "epochs=0:3:log"], "above 0"),
        (["tune", "digits", "--vary", "epoch=1:3"], "unknown option"),
        (["tune", "digits", "--method", "lda"], "by --vary"),
        (["tune", "digits", "--storage", "nosuch://x"], "cannot be opened"),
        (["tune", "digits", "--method", "lda", "--vary", "ridge=-3:1", "--trust-validation", "no"], "trust"),
    ],
)
def test_wrong_requests_get_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("metrics.json"))


def test_an_ablation_has_a_row_for_each_part_left_out(tmp_path: Path) -> None:
    words = ["ablate", PROBLEM, "--seeds", "0", "--protocol", "last", *ARGUMENTS, "--set", "gsmflow.epochs=2"]
    code, out, err = with_quick_workers([*words, "--json"], tmp_path)
    assert code == 0, err
    rows = json.loads(out)["rows"]
    assert [row["method"] for row in rows] == [
        "full",
        "without-semantics-in-every-layer",
        "without-perturbation",
        "without-relative-positioning",
        "without-prototype-loss",
        "only-the-flow",
    ]
    configs = {p.parent.parent.name: tomllib.loads(p.read_text()) for p in tmp_path.rglob("config.toml")}
    assert configs["without-perturbation"]["options"]["gsmflow"]["perturbation"] == 0
    assert configs["only-the-flow"]["options"]["gsmflow"]["prototype_weight"] == 0


def test_tuning_writes_a_preset_that_train_takes_and_continues_its_study(tmp_path: Path) -> None:
    words = ["tune", PROBLEM, "--vary", "epochs=1:12", "--vary", "head.loss=frequency,balanced", "--json"]
    words += [a for a in ARGUMENTS if a != "gsmflow.epochs=40"]
    first = gsmflow(*words, "--trials", "2", "--out", "t.toml", "--storage", "s.log", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["trials"] == 2
    assert "epochs 12" in first.stderr.splitlines()[0]  # the preset as it is comes first
    more = gsmflow(*words, "--trials", "3", "--out", "t.toml", "--storage", "s.log", cwd=tmp_path)
    best = json.loads(more.stdout)
    assert best["trials"] == 3
    assert best["validation"] >= json.loads(first.stdout)["validation"]
    preset = tomllib.loads((tmp_path / "t.toml").read_text())
    assert preset["gsmflow"]["epochs"] == best["parameters"]["epochs"]
    assert preset["head"]["loss"] == best["parameters"]["head.loss"]
    trained = gsmflow("train", PROBLEM, "--preset", "t.toml", "--json", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    chosen = json.loads(trained.stdout)["chosen"]
    assert chosen["H"] == pytest.approx(best["validation"])  # the very validation problem of the search


def test_without_trust_in_validation_no_class_plays_unseen(tmp_path: Path) -> None:
    done = gsmflow(
        "train", PROBLEM, *ARGUMENTS, "--set", "gsmflow.epochs=30", "--set", "selection.trust_validation=no",
        "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    chosen = json.loads(done.stdout)["chosen"]
    assert "held-out samples of seen classes" in chosen["on"]
    assert chosen["S"] > 0.5  # guessing among nine seen classes: 0.11
    assert chosen["H"] == chosen["bias"] == 0
