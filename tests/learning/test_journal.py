"""The recorder: what it logs, when it writes a checkpoint, and what it gives back to a run that continues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.base.progress import Progress
from gsmflow.compute.finite import TrainingFailed
from gsmflow.files.tensors import read_tensors, write_tensors
from gsmflow.learning import journal
from gsmflow.learning.journal import Interrupted, Recorder


class Counter:
    """A learner whose state is the number of its steps."""

    steps_per_epoch, total_steps = 10, 100

    def __init__(self) -> None:
        self.count = torch.zeros(1)

    def step(self, index: int) -> dict[str, Tensor]:
        self.count += 1
        return {"loss": 1 / self.count[0]}

    def weights(self) -> dict[str, Tensor]:
        return {"count": self.count.clone()}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        self.count = weights["count"].clone()

    def state(self) -> dict[str, Tensor]:
        return self.weights()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        if state["count"].shape != (1,):
            raise ValueError("count: expected one number")
        self.load_weights(state)


class Told(Progress):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def begin(self, stage: str, start: int, total: int) -> None:
        self.events.append(("begin", stage, start, total))

    def step(self, done: int, losses: Mapping[str, float]) -> None:
        self.events.append(("step", done))

    def scored(self, done: int, scores: Mapping[str, float]) -> None:
        self.events.append(("scored", done, dict(scores)))

    def end(self) -> None:
        self.events.append(("end",))


def advance(recorder: Recorder, learner: Counter, start: int, stop: int) -> None:
    for index in range(start, stop):
        recorder.stepped(index + 1, learner.step(index), learner)


def continued(folder: Path) -> int:
    recorder = Recorder(folder)
    recorder.resume()
    return recorder.begin("final", Counter(), 100)


def failing_selection(recorder: Recorder, now: list[float]) -> None:
    with recorder.timing("selection"):
        now[0] += 1.0
        raise KeyError


def checkpoint(folder: Path) -> tuple[dict[str, Tensor], Any]:
    return read_tensors(folder / "checkpoint" / "state.safetensors")


def test_the_first_the_last_and_every_twentieth_step_are_logged(tmp_path: Path) -> None:
    told = Told()
    recorder, learner = Recorder(tmp_path, told), Counter()
    assert recorder.begin("final", learner, 45) == 0
    advance(recorder, learner, 0, 45)
    recorder.scored(45, {"H": 0.5, "U": float("nan")})
    recorder.end(learner)
    logged = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert logged == recorder.history
    assert [entry["step"] for entry in logged] == [1, 20, 40, 45, 45]
    assert logged[1] == {"stage": "final", "step": 20, "loss": pytest.approx(1 / 20)}
    assert logged[-1] == {"stage": "final", "step": 45, "scores": {"H": 0.5, "U": None}}
    steps = [("step", 1), ("step", 20), ("step", 40), ("step", 45)]
    assert told.events[:5] == [("begin", "final", 0, 45), *steps]
    assert told.events[-1] == ("end",)


def test_a_checkpoint_is_written_when_its_time_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(journal.time, "monotonic", lambda: now[0])
    recorder, learner = Recorder(tmp_path, checkpoint_seconds=60), Counter()
    recorder.begin("final", learner, 100)
    for seconds, written in ((59.0, None), (61.0, 2), (100.0, 2), (122.0, 4)):
        now[0] = seconds
        done = int(learner.count) + 1
        advance(recorder, learner, done - 1, done)
        file = tmp_path / "checkpoint" / "state.safetensors"
        assert (checkpoint(tmp_path)[1]["done"] if file.exists() else None) == written
    assert checkpoint(tmp_path)[1]["seconds"] == 122.0


def test_a_run_that_is_asked_to_stop_writes_a_checkpoint_and_continues_from_it(tmp_path: Path) -> None:
    recorder, learner = Recorder(tmp_path, checkpoint_seconds=3600), Counter()
    recorder.records["choice"] = {"epochs": 2.0}
    recorder.begin("final", learner, 100)
    advance(recorder, learner, 0, 25)
    recorder.stop_requested = True
    with pytest.raises(Interrupted):
        advance(recorder, learner, 25, 100)
    again, fresh = Recorder(tmp_path), Counter()
    assert again.resume()
    assert again.records == {"choice": {"epochs": 2.0}}
    assert again.begin("validation", Counter(), 50) == 0  # the checkpoint is of another stage
    assert again.begin("final", fresh, 100) == 26
    assert int(fresh.count) == 26
    assert [entry["step"] for entry in again.history] == [1, 20]
    assert again.begin("final", Counter(), 100) == 0  # it is taken up once


def test_history_past_the_checkpoint_is_taken_back(tmp_path: Path) -> None:
    recorder, learner = Recorder(tmp_path, checkpoint_seconds=3600), Counter()
    recorder.begin("final", learner, 100)
    advance(recorder, learner, 0, 30)
    recorder.checkpoint(learner)
    advance(recorder, learner, 30, 60)  # and then it is killed
    again = Recorder(tmp_path)
    assert again.resume()
    logged = [json.loads(line)["step"] for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert logged == [entry["step"] for entry in again.history] == [1, 20]


def test_nothing_to_continue_from(tmp_path: Path) -> None:
    assert not Recorder(tmp_path).resume()
    assert not Recorder().resume()


@pytest.mark.parametrize("damage", ["checkpoint", "meta", "history", "state"])
def test_a_damaged_checkpoint_is_refused_with_one_line(damage: str, tmp_path: Path) -> None:
    recorder, learner = Recorder(tmp_path), Counter()
    recorder.begin("final", learner, 100)
    advance(recorder, learner, 0, 30)
    recorder.checkpoint(learner)
    file = tmp_path / "checkpoint" / "state.safetensors"
    tensors, meta = checkpoint(tmp_path)
    if damage == "checkpoint":
        file.write_bytes(file.read_bytes()[:40])
    elif damage == "meta":
        write_tensors(file, tensors, {"stage": "final"})
    elif damage == "history":
        (tmp_path / "history.jsonl").write_text("{\n{\n")
    else:
        write_tensors(file, {"count": torch.zeros(3)}, meta)
    with pytest.raises(InputError) as raised:
        continued(tmp_path)
    assert "\n" not in str(raised.value)
    assert str(tmp_path) in str(raised.value)


def test_a_training_that_diverged_leaves_no_checkpoint(tmp_path: Path) -> None:
    recorder, learner = Recorder(tmp_path), Counter()
    recorder.begin("final", learner, 100)
    advance(recorder, learner, 0, 3)
    recorder.checkpoint(learner)
    learner.count.fill_(float("inf"))
    with pytest.raises(TrainingFailed):
        recorder.checkpoint(learner)
    tensors, _ = checkpoint(tmp_path)
    assert int(tensors["count"]) == 3


def test_time_is_added_up_over_parts_and_sittings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(journal.time, "monotonic", lambda: now[0])
    recorder, learner = Recorder(tmp_path), Counter()
    recorder.begin("final", learner, 10)
    for seconds in (2.0, 3.0):
        with recorder.timing("head"):
            now[0] += seconds
    with pytest.raises(KeyError):  # what fails has taken its time too
        failing_selection(recorder, now)
    assert recorder.records["seconds"] == {"head": 5.0, "selection": 1.0}
    recorder.checkpoint(learner)
    now[0] = 100.0  # another sitting
    again = Recorder(tmp_path)
    again.resume()
    now[0] += 4.0
    assert again.seconds == 10.0
    assert again.records["seconds"] == {"head": 5.0, "selection": 1.0}


@pytest.mark.parametrize("in_memory", [True, False])
def test_results_are_kept_beside_the_checkpoint(in_memory: bool, tmp_path: Path) -> None:
    recorder = Recorder() if in_memory else Recorder(tmp_path)
    weight = torch.ones(2)
    recorder.keep("result", {"weight": weight}, {"H": 0.5})
    weight.zero_()
    tensors, meta = recorder.kept("result")
    assert tensors["weight"].tolist() == [1, 1]
    assert meta == {"H": 0.5}
    if not in_memory:
        assert (tmp_path / "checkpoint" / "result.safetensors").exists()
        assert Recorder(follows=tmp_path).kept("result")[1] == {"H": 0.5}
        recorder.finished()
        assert not (tmp_path / "checkpoint").exists()


def test_who_follows_continues_from_the_folder_and_writes_nothing(tmp_path: Path) -> None:
    recorder, learner = Recorder(tmp_path), Counter()
    recorder.begin("final", learner, 100)
    advance(recorder, learner, 0, 30)
    recorder.checkpoint(learner)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    follower, own = Recorder(follows=tmp_path), Counter()
    assert follower.resume()
    assert follower.begin("final", own, 100) == 30
    advance(follower, own, 30, 60)
    follower.checkpoint(own)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
