"""A run says where a closed form or another size is far better in validation, and is not changed by that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gsmflow.cli import main
from gsmflow.data.transform import FeatureTransform
from gsmflow.data.warnings import of_rival
from gsmflow.learning.journal import Recorder
from gsmflow.protocol import fitting, sizes
from gsmflow.protocol.choice import Outcome
from gsmflow.protocol.fitting import run
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.rivals import Rival, Rivals, _thinned
from gsmflow.protocol.sizes import RecommendedSize
from gsmflow.protocol.trial import Trial
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
    grid = ("lda.tried=2", "lda.semantic_widths_tried=off")
    lda = carry_out("lda", ("selection.problems=1", "selection.averaged=1", *grid))
    assert own.choice is not None
    assert lda.choice is not None
    assert own.better == [{"method": "lda", "H": lda.choice.H, "own": own.choice.H}]
    assert lda.choice.H > own.choice.H + 0.05
    assert lda.better == []


def test_nothing_else_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = carry_out("gsmflow", (*OVERRIDES, *UNTRAINED))
    monkeypatch.setattr(fitting.Rivals, "of", lambda recipe, seed: Rivals(None, None, 1))
    silent = carry_out("gsmflow", (*OVERRIDES, *UNTRAINED))
    assert silent.better == []
    assert (told.choice, told.scores, told.confidence) == (silent.choice, silent.scores, silent.confidence)
    for name, tensor in told.classifier.state().items():
        assert torch.equal(tensor, silent.classifier.state()[name]), name


def test_nothing_is_said_where_the_method_is_as_good() -> None:
    assert carry_out("lda", ("selection.problems=2",)).better == []
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


NARROW = (*OVERRIDES, "gsmflow.hidden=1", "gsmflow.blocks=1", "gsmflow.residual=off")


def test_a_flow_too_small_is_told_the_recommended_size_and_the_numbers_are_those_of_that_flow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sizes, "_QUICK", 1e11)
    own = carry_out("gsmflow", NARROW)
    recommended = carry_out("gsmflow", (*NARROW, "gsmflow.hidden=256", "gsmflow.blocks=2"))
    assert own.choice is not None
    assert recommended.choice is not None
    (told,) = [each for each in own.better if "settings" in each]
    assert told == {
        "table": "gsmflow",
        "settings": {"blocks": 2, "hidden": 256},
        "own_settings": {"blocks": 1, "hidden": 1},
        "H": recommended.choice.H,
        "own": own.choice.H,
    }
    assert told["H"] > told["own"] + 0.05
    text = of_rival("gsmflow", told).text
    assert "recommended size (blocks 2, hidden 256) has H" in text
    assert text.endswith("Train with `--set gsmflow.blocks=2 --set gsmflow.hidden=256`.")


def test_a_size_is_compared_where_it_is_another_one_and_not_much_to_train() -> None:
    recipe = make_recipe("gsmflow", "best", (*OVERRIDES, "gsmflow.blocks=1"))
    size = RecommendedSize.of(recipe, 0)
    assert size is not None
    assert size.settings == {"blocks": 2, "hidden": 256}
    assert RecommendedSize.of(make_recipe("gsmflow", "best"), 0) is None
    assert RecommendedSize.of(make_recipe("lda", "best"), 0) is None
    assert RecommendedSize.of(make_recipe("cvae", "best", ("cvae.hidden=8",)), 0) is None
    trial = Trial(Prepared.of(problem(), recipe.features, CPU), recipe, 0, Recorder())
    long = replace(recipe, options=replace(recipe.options, **{"epochs": 10**6}))
    size = RecommendedSize.of(long, 0)
    assert size is not None
    size.judge(Trial(trial.prepared, long, 0, Recorder()), [])  # longer than the run's own: left out
    assert size.far_above(0.0) is None
