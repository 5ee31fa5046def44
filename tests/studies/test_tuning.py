"""Searching options: where is looked, that the test set is not, and that a study continues."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.choosing import choose
from gsmflow.recipes.recipe import make_recipe
from gsmflow.studies import tuning
from gsmflow.studies.search_space import Dimension, default_space, parse_dimension
from gsmflow.studies.tuning import Search, best_recipe, tune, write_preset
from support.recipes import OVERRIDES, problem

optuna = pytest.importorskip("optuna", reason="Optuna is not installed")

CPU = torch.device("cpu")
SPACE = (parse_dimension("ridge=-3:2"), parse_dimension("features.scaling=none,minmax"))
SEARCH = Search("lda", "best", (), SPACE)


def search(
    storage: Path, trials: int, searched: Search = SEARCH, data: Problem | None = None, **how: Any
) -> Any:
    arguments: dict[str, Any] = {"seed": 0, "device": CPU, "study_name": "s"}
    return tune(data or problem(), searched, trials=trials, storage=str(storage), **(arguments | how))


@pytest.mark.parametrize(
    ("text", "whole", "expected"),
    [
        ("a.b=1:5", None, Dimension("a.b", 1, 5, whole=True)),
        ("b=1.0:5", None, Dimension("b", 1, 5)),
        ("b=-2:2", None, Dimension("b", -2, 2, whole=True)),
        ("b=1:5", False, Dimension("b", 1, 5)),
        ("b=1e-3:1e-1:log", None, Dimension("b", 1e-3, 1e-1, log=True)),
        ("b=10:1000:log", None, Dimension("b", 10, 1000, log=True, whole=True)),
        ("b= x , y", None, Dimension("b", values=("x", "y"))),
    ],
)
def test_dimensions_are_read(text: str, whole: bool | None, expected: Dimension) -> None:
    assert parse_dimension(text, whole) == expected


@pytest.mark.parametrize(
    "text", ["b", "b=", "=1:2", "b=2:1", "b=0:1:log", "b=1:2:lin", "b=x:y", "b=1:2:log:3"]
)
def test_what_is_no_dimension_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"vary = .*expected KEY=LOW:HIGH"):
        parse_dimension(text)


def test_what_lies_in_a_dimension() -> None:
    assert Dimension("b", 1, 5).spelled(1) == 1
    assert Dimension("b", 1, 5).spelled(5.0) == 5.0
    assert Dimension("b", 1, 5).spelled(5.1) is None
    assert Dimension("b", 1, 5).spelled("x") is None
    assert Dimension("b", values=("True", "x")).spelled(True) == "True"
    assert Dimension("b", values=("off", "on")).spelled(True) == "on"
    assert Dimension("b", values=("off", "on")).spelled(False) == "off"
    assert Dimension("b", values=("1e-3", "3e-4")).spelled(0.0003) == "3e-4"
    assert Dimension("b", values=("256", "512")).spelled(512) == "512"
    assert Dimension("b", values=("x",)).spelled("y") is None


def test_tuning_starts_from_the_preset_whatever_its_values_look_like() -> None:
    keys = ("semantics.scaling", "features.scaling", "gsmflow.residual", "gsmflow.learning_rate")
    recipe = make_recipe("gsmflow", "best")
    assert [tuning._current(recipe, key) for key in keys] == ["centered", "minmax", True, 3e-4]
    space = {d.key: d for d in default_space(recipe)}
    assert space["gsmflow.residual"].spelled(recipe.options.as_dict()["residual"]) == "on"


def test_the_default_space_is_what_the_method_and_its_head_propose() -> None:
    keys = [dimension.key for dimension in default_space(make_recipe("gsmflow", "best"))]
    assert "gsmflow.learning_rate" in keys
    assert "head.synthetic_per_class" in keys
    fixed = [dimension.key for dimension in default_space(make_recipe("cflow", "best"))]
    assert not any(key.endswith("perturbation") for key in fixed)  # it is always 0 there
    assert not any(d.key.startswith("head.") for d in default_space(make_recipe("eszsl", "best")))


def test_a_trial_is_worth_what_the_protocol_reaches_on_validation(tmp_path: Path) -> None:
    study = search(tmp_path / "s.log", 4)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 4
    first = study.trials[0]  # the preset as it is
    current = make_recipe("lda", "best")
    assert first.params["features.scaling"] == current.features.scaling
    for trial in study.trials:
        settings = [f"{key}={value}" for key, value in trial.params.items()]
        choice = choose(problem(), make_recipe("lda", "best", settings), 0, CPU, Recorder())
        assert trial.values == [choice.H]
        assert trial.user_attrs["U"] == choice.U
    recipe, value = best_recipe(study, SEARCH)
    assert value == max(trial.values[0] for trial in study.trials)
    assert recipe.features.scaling == study.best_params["features.scaling"]


def test_the_test_set_is_not_looked_at(tmp_path: Path) -> None:
    data = problem()
    features = data.features.copy()
    test = np.concatenate((data.test_seen, data.test_unseen))
    features[test] = np.random.default_rng(0).normal(size=(len(test), data.feature_dim))
    scrambled = replace(data, features=features)
    one, other = search(tmp_path / "a.log", 4), search(tmp_path / "b.log", 4, data=scrambled)
    assert [(t.params, t.values) for t in one.trials] == [(t.params, t.values) for t in other.trials]


def test_no_trial_begins_after_the_time_of_a_study(tmp_path: Path) -> None:
    """Earlier trials count, so that a command that is repeated does not search on."""
    for _ in range(2):
        assert len(search(tmp_path / "s.log", 5, seconds=1e-6).trials) == 1
    assert len(search(tmp_path / "s.log", 3, seconds=1e6).trials) == 3


def test_a_study_continues_and_does_not_begin_again(tmp_path: Path) -> None:
    told: list[int] = []
    first = search(tmp_path / "s.log", 2, told=lambda trial: told.append(trial.number))
    before = [trial.params for trial in first.trials]
    more = search(tmp_path / "s.log", 3, told=lambda trial: told.append(trial.number))
    assert told == [0, 1, 2]
    assert [trial.params for trial in more.trials[:2]] == before
    assert len(search(tmp_path / "s.log", 3).trials) == 3


def test_a_training_that_diverges_is_pruned_and_the_search_goes_on(tmp_path: Path) -> None:
    overrides = (*OVERRIDES, "gsmflow.epochs=2", "gsmflow.learning_rate=1e30")
    searched = Search("gsmflow", "best", overrides, (parse_dimension("head.epochs=1:2"),))
    study = search(tmp_path / "s.log", 2, searched)
    assert [trial.state.name for trial in study.trials] == ["PRUNED"] * 2
    assert "lower the learning rate" in study.trials[0].user_attrs["failure"]
    with pytest.raises(InputError, match="no trial was completed"):
        best_recipe(study, searched)


def test_an_error_that_is_no_divergence_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(tuning, "evaluate", evaluate)
    with pytest.raises(MemoryError):
        search(tmp_path / "s.log", 2)
    (trial,) = optuna.load_study(study_name="s", storage=_log(tmp_path / "s.log")).trials
    assert trial.state.name == "FAIL"


def _log(path: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(path)))


@pytest.mark.parametrize(
    ("searched", "words"),
    [
        (replace(SEARCH, space=()), "says of no option where to look"),
        (replace(SEARCH, overrides=("selection.trust_validation=off",)), "synthesizes nothing"),
        (replace(SEARCH, space=(parse_dimension("lda.nothing=1:2"),)), "unknown option"),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_anything_runs(
    searched: Search, words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        search(tmp_path / "s.log", 1, searched)
    assert not (tmp_path / "s.log").exists()


def test_a_study_of_another_objective_is_refused(tmp_path: Path) -> None:
    search(tmp_path / "s.log", 1)
    other = replace(SEARCH, overrides=("selection.score=AUSUC",))
    with pytest.raises(InputError, match="maximizes H, not AUSUC; name another `study_name`"):
        search(tmp_path / "s.log", 2, other)


def test_a_written_preset_gives_the_recipe_again(tmp_path: Path) -> None:
    recipe = make_recipe("cflow", "best", ("head.epochs=7",))
    write_preset(tmp_path / "new" / "tuned.toml", recipe, "found by a test")
    tables = tomllib.loads((tmp_path / "new" / "tuned.toml").read_text())
    assert tables["description"] == "found by a test"
    assert "perturbation" not in tables[recipe.options.table]  # fixed, so --preset would refuse it
    again = make_recipe("cflow", str(tmp_path / "new" / "tuned.toml"))
    assert again.tables() == recipe.tables()
