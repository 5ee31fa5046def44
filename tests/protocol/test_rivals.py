"""A run says where a closed form is far better on the same validation problems, and is not changed by that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gsmflow.cli import main
from gsmflow.data.transform import FeatureTransform
from gsmflow.learning.journal import Recorder
from gsmflow.protocol import fitting
from gsmflow.protocol.choice import Outcome
from gsmflow.protocol.fitting import run
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.rivals import Rival, _thinned
from gsmflow.recipes.recipe import make_recipe
from support.recipes import ARGUMENTS, OVERRIDES, PROBLEM, problem

CPU = torch.device("cpu")
UNTRAINED = ("gsmflow.epochs=1", "gsmflow.learning_rate=1e-9", "gsmflow.residual=off", "head.epochs=1")


def carry_out(method: str, overrides: tuple[str, ...], **how: Any) -> Outcome:
    recipe = make_recipe(method, "best", overrides)
    arguments: dict[str, Any] = {"protocol": "validated", "oracle": False, "seed": 0, "recorder": Recorder()}
    return run(problem(), recipe, device=CPU, **(arguments | how))


def test_a_flow_that_was_not_trained_is_far_behind_and_the_numbers_are_those_of_the_closed_form() -> None:
    own = carry_out("gsmflow", (*OVERRIDES, *UNTRAINED))
    lda = carry_out("lda", ("features.project_at_most=0", "selection.problems=1", "lda.tried=2"))
    assert own.choice is not None
    assert lda.choice is not None
    assert own.better == {"method": "lda", "H": lda.choice.H, "own": own.choice.H}
    assert lda.choice.H > own.choice.H + 0.05
    assert lda.better is None


def test_nothing_else_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = carry_out("gsmflow", (*OVERRIDES, *UNTRAINED))
    monkeypatch.setattr(fitting.Rival, "of", lambda recipe, seed: None)
    silent = carry_out("gsmflow", (*OVERRIDES, *UNTRAINED))
    assert silent.better is None
    assert (told.choice, told.scores, told.confidence) == (silent.choice, silent.scores, silent.confidence)
    for name, tensor in told.classifier.state().items():
        assert torch.equal(tensor, silent.classifier.state()[name]), name


def test_nothing_is_said_where_the_method_is_as_good() -> None:
    assert carry_out("lda", ("selection.problems=2",)).better is None
    rival = Rival.of(make_recipe("gsmflow", "best"), 0)
    assert rival is not None
    rival.reached = [[0.5, 0.25], [0.25, 0.375]]  # means 0.375 and 0.3125
    assert rival.far_above(2, 0.33) is None
    assert rival.far_above(3, 0.1) is None  # not judged on the third
    assert rival.far_above(2, 0.32) == {"method": "lda", "H": 0.375, "own": 0.32}


def test_what_would_take_long_is_left_out() -> None:
    data, recipe = problem(), make_recipe("gsmflow", "best", OVERRIDES)
    prepared = Prepared.of(data, recipe.features, CPU)
    few = _thinned(prepared, 200)
    assert 100 <= len(few.data.features) <= 200
    assert few.data.labels.unique().tolist() == prepared.data.labels.unique().tolist()
    wide = replace(data, features=data.features.repeat(400, axis=1), feature_names=None, offset=None)
    transform = FeatureTransform.fit(wide, recipe.features)
    rival = Rival.of(recipe, 0)
    assert rival is not None
    rival.judge(Prepared.by(transform, wide, CPU))
    assert rival.reached == []


def test_it_stands_in_the_metrics_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [part for override in UNTRAINED for part in ("--set", override)]
    arguments = ["train", PROBLEM, "--method", "gsmflow", *ARGUMENTS, *more, "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    said = " ".join(capsys.readouterr().err.split())
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    (text,) = [each["text"] for each in metrics["warnings"] if each["kind"] == "better"]
    assert text.startswith("On the same validation problems lda, a closed form that takes seconds, has H ")
    assert f"and gsmflow has {100 * metrics['chosen']['H']:.1f}." in text
    assert said.count(text) == 1
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "report.html")]) == 0
    assert "On the same validation problems lda" in (tmp_path / "report.html").read_text()
