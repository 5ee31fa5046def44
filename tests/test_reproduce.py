"""``python -m benchmarks.reproduce`` on a tiny data set in the layout of the published features."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from gsmflow.runs.folder import read_config, read_metrics
from support.folders import presplit, xlsa17

ROOT = Path(__file__).parents[1]
TINY = [
    "gsmflow.epochs=2",
    "gsmflow.batch_size=8",
    "gsmflow.blocks=1",
    "gsmflow.hidden=8",
    "gsmflow.global_semantic=8",
    "head.synthetic_per_class=6",
    "head.epochs=2",
    "selection.every=4",
    "selection.after=0",
]
SETTINGS = [part for option in TINY for part in ("--set", option)]


@pytest.fixture
def reproduce(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The benchmark, which would keep its results in a folder of the test."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import measure
    from benchmarks import reproduce as module

    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    return module


def test_presets_whose_data_lie_there_are_run_by_both_protocols(
    reproduce: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    xlsa17(data / "AWA2")
    presplit(data / "CUB")
    (data / "FLO").mkdir()
    words = [
        "--data-root",
        str(data),
        "--out",
        str(tmp_path / "out"),
        "--seeds",
        "0",
        "--published",
        "AWA2=60.5",
    ]
    reproduce.main([*words, *SETTINGS, "--device", "cpu"])
    printed = capsys.readouterr().out
    assert printed.startswith("Never run on the published features")
    lines = {
        line.split(" | ")[0].removeprefix("| "): line
        for line in printed.splitlines()
        if line.startswith("| ")
    }
    folder = tmp_path / "out" / "AWA2" / "gsmflow@AWA2" / "seed0"
    metrics = read_metrics(folder)
    assert metrics["protocol"] == "validated"
    assert metrics["preset"] == "AWA2"
    h, oracle = 100 * metrics["H"], 100 * metrics["oracle"]["H"]
    assert f"| 5-d, not those of the paper | 1 | {h:.1f} | {oracle:.1f} | 60.5 |" in lines["AWA2"]
    assert "see arXiv 2107.03163" in lines["CUB"]
    assert f"{100 * read_metrics(tmp_path / 'out/CUB/gsmflow@CUB/seed0')['H']:.1f}" in lines["CUB"]
    assert "not run: no folder" in lines["APY"]
    assert "not run:" in lines["FLO"]
    assert "no data set" in lines["FLO"]
    assert read_config(folder)["options"]["gsmflow"]["decay_gamma"] == 0.92  # the rest is the preset's
    assert "no reproduction, so nothing is kept" in printed
    assert not (tmp_path / "results").exists()


def test_it_says_that_nobody_ran_it_until_somebody_has(reproduce: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "reproduce.json"
    rows = [
        {"preset": "AWA2", "missing": "", "dims": 5},
        {"preset": "CUB", "missing": "no folder", "dims": 2048},
    ]
    assert reproduce.standing(file) == reproduce.NEVER_RUN
    file.write_text(json.dumps({"machine": {"date": "2030-01-02"}, "rows": rows}))
    assert reproduce.standing(file) == reproduce.NEVER_RUN
    rows[0]["dims"] = 2048
    file.write_text(json.dumps({"machine": {"date": "2030-01-02"}, "rows": rows}))
    assert (
        reproduce.standing(file) == "Last run on published features on 2030-01-02: AWA2; see reproduce.json."
    )
