"""`--tensorboard` against TensorBoard's own reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gsmflow.cli import main
from gsmflow.runs.tensorboard import EventFiles
from support.recipes import ARGUMENTS, PROBLEM

reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    events = reader.EventAccumulator(str(folder))
    events.Reload()
    return {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def test_event_files_hold_the_history(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["train", PROBLEM, *ARGUMENTS, "--tensorboard", "--out", str(out)]) == 0
    history = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    stages = {entry["stage"] for entry in history}
    assert {path.name for path in (out / "tensorboard").iterdir()} == {s.replace(" ", "-") for s in stages}
    for stage in stages:
        written = scalars(out / "tensorboard" / stage.replace(" ", "-"))
        expected: dict[str, dict[int, float]] = {}
        for entry in history:
            if entry["stage"] != stage:
                continue
            values = {k.replace("loss_", "loss/"): v for k, v in entry.items() if k.startswith("loss_")}
            values |= {f"score/{k}": v for k, v in entry.get("scores", {}).items()}
            for name, value in values.items():
                expected.setdefault(name, {})[entry["step"]] = pytest.approx(value, rel=1e-5)
        assert written == expected


def test_steps_past_the_checkpoint_count_once(tmp_path: Path) -> None:
    killed = EventFiles(tmp_path)
    killed.begin("final", 0, 100)
    for step, loss in ((20, 1.0), (40, 0.9), (60, 0.8)):
        killed.step(step, {"loss_flow": loss})
    killed.end()
    resumed = EventFiles(tmp_path)
    resumed.begin("final", 40, 100)
    resumed.step(60, {"loss_flow": 0.5})
    resumed.end()
    assert scalars(tmp_path / "final")["loss/flow"] == pytest.approx({20: 1.0, 40: 0.9, 60: 0.5})
