"""``gsmflow runs``: what is listed, in which order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.runs.overview import runs_under
from support.recipes import PROBLEM


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs, one of them deeper, one that is not finished, and other things."""
    folder = tmp_path_factory.mktemp("runs")
    for method, name in (("lda", "b"), ("eszsl", "study/a")):
        assert main(["train", PROBLEM, "--method", method, "--out", str(folder / name)]) == 0
    shutil.copytree(folder / "b", folder / "c")
    (folder / "c" / "metrics.json").unlink()
    (folder / "c" / "checksums.txt").unlink()
    (folder / "notes").mkdir()
    (folder / ".hidden").mkdir()
    shutil.copy(folder / "b" / "config.toml", folder / ".hidden")
    return folder


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Names of the folders that the command lists."""
    capsys.readouterr()
    assert main(["runs", *arguments, "--json"]) == 0
    return [Path(run["run"]).name for run in json.loads(capsys.readouterr().out)["runs"]]


def test_runs_are_listed_sorted_and_filtered(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys, str(runs)) == ["b", "c", "a"]
    assert listed(capsys, str(runs), "--method", "LDA") == ["b", "c"]
    assert listed(capsys, str(runs), "--problem", "nosuch") == []
    reached = {name: json.loads((runs / name / "metrics.json").read_text())["H"] for name in ("b", "study/a")}
    best = max(reached, key=lambda name: reached[name])
    order = listed(capsys, str(runs), "--sort", "h")
    assert order[0] == Path(best).name
    assert order[-1] == "c"  # without a score, so last


def test_the_table_names_folders_and_percent(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["runs", str(runs)]) == 0
    printed = capsys.readouterr().out
    h = json.loads((runs / "b" / "metrics.json").read_text())["H"]
    (line,) = (line for line in printed.splitlines() if line.split()[:1] == ["b"])
    assert f"{100 * h:.1f}" in line
    assert "unfinished" in printed
    assert "study/a" in printed


def test_damage_is_told_and_left_out(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(runs / "b", tmp_path / "b")
    shutil.copytree(runs / "b", tmp_path / "d")
    (tmp_path / "d" / "config.toml").write_text("[run\n")
    finished, complaints = runs_under(tmp_path)
    assert [run.folder.name for run in finished] == ["b"]
    assert len(complaints) == 1
    assert "config.toml" in complaints[0]
    capsys.readouterr()
    assert main(["runs", str(tmp_path)]) == 0
    assert "left out" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        runs_under(tmp_path / "gone")
