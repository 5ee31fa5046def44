"""Trainings beside each other give what they give one after the other, interrupted or not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gsmflow.base.errors import InputError
from gsmflow.base.progress import Progress
from gsmflow.compute.finite import TrainingFailed
from gsmflow.learning.journal import Interrupted, Recorder
from gsmflow.learning.parts import PartRecorder
from gsmflow.methods.workings.gsmflow import GSMFlowLearner
from gsmflow.protocol import fitting
from gsmflow.protocol.beside import Beside
from gsmflow.protocol.choice import Choice, Outcome
from gsmflow.protocol.fitting import run
from gsmflow.protocol.trial import Trial
from gsmflow.recipes.recipe import make_recipe
from support.recipes import OVERRIDES, problem

OPTIONS = ("selection.problems=3", "head.calibrate=on")


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """Each training has one thread, beside others or not."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)


def carry_out(lanes: int, recorder: Recorder, method: str = "gsmflow", **how: Any) -> Outcome:
    own = OVERRIDES if method == "gsmflow" else [o for o in OVERRIDES if not o.startswith("gsmflow.")]
    recipe = make_recipe(method, "best", (*own, *how.pop("overrides", ()), *OPTIONS))
    arguments: dict[str, Any] = {"protocol": "validated", "oracle": False, "seed": 0} | how
    return run(problem(), recipe, device=torch.device("cpu"), recorder=recorder, lanes=lanes, **arguments)


def assert_same(one: Outcome, other: Outcome) -> None:
    assert one.choice == other.choice
    assert one.scores == other.scores
    assert one.oracle == other.oracle
    assert one.steps == other.steps
    assert one.weights.keys() == other.weights.keys()
    assert all(torch.equal(tensor, other.weights[name]) for name, tensor in one.weights.items())


WAYS: dict[str, dict[str, Any]] = {
    "gsmflow": {},
    "gsmflow, with the oracle": {"oracle": True},
    "cada-vae": {"method": "cada-vae", "overrides": ("cada-vae.epochs=3",)},
    "validation not trusted": {"overrides": ("selection.trust_validation=off",)},
}


@pytest.mark.parametrize("way", WAYS)
def test_the_numbers_are_those_of_one_after_the_other(way: str, tmp_path: Path) -> None:
    in_turn, beside = Recorder(tmp_path / "in turn"), Recorder(tmp_path / "beside")
    (tmp_path / "in turn").mkdir()
    (tmp_path / "beside").mkdir()
    expected, outcome = carry_out(1, in_turn, **WAYS[way].copy()), carry_out(3, beside, **WAYS[way].copy())
    assert_same(expected, outcome)
    assert outcome.shifts == expected.shifts
    assert outcome.better == expected.better
    assert beside.history == in_turn.history
    histories = [(tmp_path / name / "history.jsonl").read_bytes() for name in ("in turn", "beside")]
    assert histories[0] == histories[1]
    assert beside.records["seconds"].keys() == in_turn.records["seconds"].keys()


@pytest.mark.parametrize("fraction", [40 / 108, 80 / 108, 0.5])
def test_what_was_trained_beyond_the_choice_does_not_count(
    fraction: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last training ends where it was chosen to, at one of the lengths that are compared or in between."""
    original = fitting.choose

    def early(*arguments: Any, **how: Any) -> Choice:
        choice = original(*arguments, **how)
        return replace(choice, epochs=fraction * choice.epochs)

    monkeypatch.setattr(fitting, "choose", early)
    in_turn, beside = Recorder(), Recorder(tmp_path)
    expected, outcome = carry_out(1, in_turn), carry_out(3, beside)
    assert outcome.steps == round(fraction * 108)
    assert_same(expected, outcome)
    assert beside.history == in_turn.history


@pytest.fixture(scope="module")
def expected() -> tuple[Outcome, Recorder]:
    """What a run in turn gives, with its recorder."""
    recorder = Recorder()
    return carry_out(1, recorder), recorder


class _Killed(Exception):
    pass


@pytest.mark.parametrize(("moment", "lanes"), [(1, 3), (70, 3), (150, 1), (220, 3)])
def test_a_killed_run_continues_bit_for_bit(
    moment: int,
    lanes: int,
    expected: tuple[Outcome, Recorder],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever number of trainings goes on at a time then."""
    steps = 0
    original = Recorder.stepped

    def stepped(self: Recorder, done: int, losses: Any, learner: Any) -> None:
        nonlocal steps
        if steps >= moment:
            raise _Killed  # before anything is written: every part stops like this
        original(self, done, losses, learner)
        steps += 1
        if steps % 20 == 0:
            self.checkpoint(learner)

    monkeypatch.setattr(Recorder, "stepped", stepped)
    with pytest.raises(_Killed):
        carry_out(3, Recorder(tmp_path))
    monkeypatch.undo()
    recorder = Recorder(tmp_path)
    recorder.resume()
    assert_same(expected[0], carry_out(lanes, recorder))
    assert recorder.history == expected[1].history


def test_a_run_that_was_interrupted_in_turn_continues_in_turn(
    expected: tuple[Outcome, Recorder], tmp_path: Path
) -> None:
    recorder = Recorder(tmp_path)
    stopping(recorder, "validation 2")
    with pytest.raises(Interrupted):
        carry_out(1, recorder)
    recorder = Recorder(tmp_path)
    assert recorder.resume()
    assert_same(expected[0], carry_out(3, recorder))
    assert recorder.history == expected[1].history


def test_parts_stop_when_the_run_is_asked_to(expected: tuple[Outcome, Recorder], tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    stopping(recorder, "validation")
    with pytest.raises(Interrupted):
        carry_out(3, recorder)
    again = Recorder(tmp_path)
    assert again.resume()
    assert_same(expected[0], carry_out(3, again))


def stopping(recorder: Recorder, stage: str) -> None:
    """Ask the run to stop when this stage has begun."""

    class Stopping(Progress):
        def begin(self, begun: str, start: int, total: int) -> None:
            recorder.stop_requested |= begun == stage

    recorder.progress = Stopping()


@pytest.mark.parametrize("lanes", [1, 2])
def test_short_steps_have_one_thread_each(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the run has; and so do the heads that a choice is made among."""
    seen: dict[str, set[int]] = {"steps": set(), "heads": set()}
    step, candidates = GSMFlowLearner.step, Trial.candidates

    def counted_step(self: GSMFlowLearner, index: int) -> Any:
        seen["steps"].add(torch.get_num_threads())
        return step(self, index)

    def counted_candidates(self: Trial) -> Any:
        seen["heads"].add(torch.get_num_threads())
        return candidates(self)

    monkeypatch.setattr(GSMFlowLearner, "step", counted_step)
    monkeypatch.setattr(Trial, "candidates", counted_candidates)
    torch.set_num_threads(2)
    carry_out(lanes, Recorder(), overrides=("gsmflow.epochs=1",))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert seen == {"steps": {1}, "heads": {1}}


def test_a_part_that_fails_ends_the_run(tmp_path: Path) -> None:
    """The others are stopped, and what is raised is its error."""
    stopped = threading.Event()

    def endless(part: PartRecorder) -> None:
        while not part.stop_requested:
            stopped.wait(0.001)
        stopped.set()
        raise Interrupted

    def failing(part: PartRecorder) -> None:
        raise TrainingFailed("step 1: loss became nan")

    with Beside(Recorder(tmp_path), 2) as beside:
        first = beside.begin("one", endless, turn=0)
        beside.begin("two", failing, turn=1)
        with pytest.raises(TrainingFailed, match="became nan"):
            first.result()
    assert stopped.is_set()


def test_a_refused_run_leaves_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="synthesizes nothing"):
        carry_out(2, Recorder(tmp_path), method="devise", overrides=("selection.trust_validation=off",))
    assert not (tmp_path / "checkpoint" / "state.safetensors").exists()


class Told(Progress):
    """Remembers all events."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def begin(self, stage: str, start: int, total: int) -> None:
        self.events.append(("begin", stage, start, total))

    def step(self, done: int, losses: Mapping[str, float]) -> None:
        self.events.append(("step", done, dict(losses)))

    def scored(self, done: int, scores: Mapping[str, float]) -> None:
        self.events.append(("scored", done, dict(scores)))

    def end(self) -> None:
        self.events.append(("end",))

    def message(self, text: str) -> None:
        self.events.append(("message", text))


def test_events_are_told_as_if_one_training_followed_the_other() -> None:
    def told(lanes: int) -> list[tuple[Any, ...]]:
        progress = Told()
        # Nothing is trained ahead of a choice then
        carry_out(lanes, Recorder(progress=progress), oracle=True)
        return progress.events

    assert told(3) == told(1)


def test_events_wait_for_their_turn() -> None:
    progress = Told()

    def saying(text: str) -> Callable[[PartRecorder], None]:
        return lambda part: part.progress.message(text)

    with Beside(Recorder(progress=progress), 1) as beside:
        for turn, text in ((2, "last"), (0, "first"), (1, "middle")):
            beside.begin(text, saying(text), turn=turn).result()
            if text == "last":
                assert not progress.events
    assert progress.events == [("message", "first"), ("message", "middle"), ("message", "last")]
