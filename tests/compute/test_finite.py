"""Training that diverges is stopped by name; data that is only extreme trains."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.compute.finite import LossGuard, TrainingFailed, check_head, check_state, check_synthetic
from gsmflow.data.problem import Problem
from gsmflow.methods import method_names
from gsmflow.recipes.recipe import make_recipe
from gsmflow.runs.folder import Request, load_classifier
from gsmflow.runs.train import train
from support.recipes import ARGUMENTS, OVERRIDES, PROBLEM, problem

SHORT = (*OVERRIDES, "gsmflow.epochs=2", "head.epochs=2")
LIKELIHOOD = ("likelihood.epochs=1", "likelihood.hidden=16", "likelihood.global_semantic=8")


def fit(
    data: Problem, folder: Path, *overrides: str, method: str = "gsmflow", protocol: str = "last"
) -> dict:
    request = Request("test", None, None, protocol, False, 0)
    recipe = make_recipe(method, "best", overrides)
    return train(request, data, recipe, device=torch.device("cpu"), folder=folder)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("gsmflow.perturbation=1e38", ("step 1: loss_flow became", "features.scaling", "perturbation")),
        ("gsmflow.prototype_weight=1e38", ("step ", "square.", "became inf", "prototype_weight")),
        ("gsmflow.weight_decay=1e38", ("step ", "square.", "became inf", "weight decay")),
        ("gsmflow.learning_rate=1e30", ("step ", "became", "lower the learning rate")),
        ("head.learning_rate=1e38", ("head, epoch 1: weight became", "head.learning_rate")),
    ],
)
def test_an_absurd_option_fails_with_step_quantity_and_advice(
    setting: str, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", PROBLEM, *ARGUMENTS, "--set", setting, "--out", str(tmp_path / "run")]
    assert main([*command, "--checkpoint-seconds", "0"]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("gsmflow: the run failed: ")
    for word in words:
        assert word in last
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert main([*command, "--resume"]) == 1, "a checkpoint was written of what had diverged"


@pytest.mark.parametrize("value", ["1e300", "1e39", "1e-60", "-1e39", "inf", "nan"])
@pytest.mark.parametrize("name", ["prototype_weight", "perturbation", "clamp"])
def test_numbers_beyond_float32_are_refused(
    name: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", PROBLEM, *ARGUMENTS, "--set", f"gsmflow.{name}={value}", "--out", str(tmp_path / "r")]
    assert main(command) == 2
    assert f"gsmflow.{name} = " in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_the_first_step_that_diverged_is_named_though_nobody_looked_at_once() -> None:
    guard = LossGuard()
    for step in range(1, 20):
        guard.note(step, {"a": torch.tensor(1.0), "b": torch.tensor(1.0 if step < 7 else float("nan"))})
    with pytest.raises(TrainingFailed, match="step 7: b became nan; lower the learning rate"):
        guard.check()
    guard.check()  # and what was looked at is forgotten


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_entry_among_many_is_found(value: float) -> None:
    tensor = torch.zeros(40, 30)
    check_state(3, {"a": tensor})
    check_head(1, {"a": tensor})
    check_synthetic(tensor, [5, 6, 7, 8])
    tensor[25, 11] = value
    with pytest.raises(TrainingFailed, match=f"step 3: a became {value}"):
        check_state(3, {"count": torch.tensor(3), "a": tensor})
    with pytest.raises(TrainingFailed, match=f"epoch 1: a became {value}"):
        check_head(1, {"a": tensor})
    with pytest.raises(TrainingFailed, match=f"feature of class 7 .* became {value}"):
        check_synthetic(tensor, [5, 6, 7, 8])


def _changed(change: Callable[[np.ndarray], np.ndarray]) -> Problem:
    data = problem()
    return dataclasses.replace(data, features=change(data.features.copy()).astype(np.float32))


def _constant_dimension(x: np.ndarray) -> np.ndarray:
    x[:, 3] = 7
    return x


def _one_huge_entry(x: np.ndarray) -> np.ndarray:
    x[problem().train[0], 2] = 3e38
    return x


def _check_scores(metrics: dict[str, Any], data: Problem, folder: Path) -> None:
    """The stored classifier labels the test samples as the scores say, with finite probabilities."""
    tested = np.concatenate((data.test_seen, data.test_unseen))
    probabilities = load_classifier(folder).probabilities(data.features[tested])
    assert np.isfinite(probabilities).all()
    labels, right = data.labels[tested], probabilities.argmax(axis=1) == data.labels[tested]
    expected = {data.classes[c]: right[labels == c].mean() for c in np.unique(labels)}
    assert metrics["per_class"] == pytest.approx(expected)


def _check_one_label_for_all(metrics: dict[str, Any]) -> None:
    """Samples that are all alike get the same label, so a single class is right."""
    assert sorted(metrics["per_class"].values()) == [0.0] * (len(metrics["per_class"]) - 1) + [1.0]
    assert metrics["H"] == 0


EXTREME: dict[str, tuple[Callable[[np.ndarray], np.ndarray], tuple[str, ...]]] = {
    "huge": (lambda x: x * 2.0**119, ()),
    "huge, to unit length": (lambda x: x * 2.0**119, ("features.scaling=length",)),
    "huge, standardized": (lambda x: x * 2.0**119, ("features.scaling=standard",)),
    "tiny": (lambda x: x * 2.0**-100, ()),
    "far from zero": (lambda x: x + 1e6, ()),
    "zero variance": (np.ones_like, ()),
    "zero variance, standardized": (np.zeros_like, ("features.scaling=standard",)),
    "zero variance, to unit length": (np.zeros_like, ("features.scaling=length",)),
    "a constant dimension": (_constant_dimension, ()),
    "one huge entry": (_one_huge_entry, ()),
    "two values": (np.sign, ()),
}


@pytest.mark.parametrize("case", EXTREME)
def test_extreme_but_valid_features_train(case: str, tmp_path: Path) -> None:
    change, overrides = EXTREME[case]
    changed = _changed(change)
    metrics = fit(changed, tmp_path / "run", *SHORT, *overrides)
    _check_scores(metrics, changed, tmp_path / "run")
    if case.startswith("zero variance"):
        _check_one_label_for_all(metrics)
    if case.startswith(("huge", "tiny")):  # multiplied by a power of two, which loses no digit
        plain = fit(problem(), tmp_path / "plain", *SHORT, *overrides)
        assert metrics["per_class"] == plain["per_class"]
    for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines():
        assert all(np.isfinite(v) for k, v in json.loads(line).items() if k.startswith("loss"))


@pytest.mark.parametrize(
    "method",
    ["gsmflow", "likelihood", "cvae", "f-clswgan", "lda", "eszsl", "sae", "dap", "iap", "sje", "diffusion"],
)
def test_features_without_variance_do_not_stop_a_method(method: str, tmp_path: Path) -> None:
    assert method in method_names()
    overrides = {"gsmflow": SHORT, "likelihood": LIKELIHOOD} | dict.fromkeys(
        ("lda", "eszsl", "sae", "dap", "iap"), ()
    )
    few = (f"{method}.epochs=1", "head.epochs=2", "head.synthetic_per_class=20")
    metrics = fit(_changed(np.ones_like), tmp_path / "run", *overrides.get(method, few), method=method)
    _check_one_label_for_all(metrics)


def _one_sample_a_class() -> Problem:
    data = problem()
    labels = data.labels[data.train]
    first = np.array([data.train[labels == c][0] for c in data.seen])
    return dataclasses.replace(data, train=first)


def test_classes_of_one_sample_train_or_say_why_not(tmp_path: Path) -> None:
    few = _one_sample_a_class()
    _check_scores(fit(few, tmp_path / "a", *SHORT), few, tmp_path / "a")
    with pytest.raises(InputError, match=r"single sample.*use protocol 'last'"):
        fit(few, tmp_path / "b", *SHORT, protocol="validated")
    data = problem()
    labels = data.labels[data.train]
    lonely = np.isin(labels, data.seen[:4])
    keep = np.concatenate((data.train[~lonely], [data.train[labels == c][0] for c in data.seen[:4]]))
    some = dataclasses.replace(data, train=np.sort(keep))
    _check_scores(fit(some, tmp_path / "c", *SHORT, protocol="validated"), some, tmp_path / "c")


@pytest.mark.parametrize(
    ("change", "overrides"),
    [(lambda x: np.sign(x) * 3e38, ()), (lambda x: x * 1e-44, ()), (lambda x: x * 1e-44, ("standard",))],
)
def test_a_range_beyond_float32_is_refused_with_its_dimension(
    change: Callable[[np.ndarray], np.ndarray], overrides: tuple[str, ...], tmp_path: Path
) -> None:
    scaling = [f"features.scaling={name}" for name in overrides]
    with pytest.raises(InputError, match=r"dimension \d+ .* ranges from .* too wide or too narrow"):
        fit(_changed(change), tmp_path / "run", *SHORT, *scaling)


def test_features_that_only_the_test_part_has_are_not_scored_as_if_they_meant_something(
    tmp_path: Path,
) -> None:
    data = problem()
    features = data.features.copy()
    features[data.test_unseen[3]] = 1e38
    with pytest.raises(TrainingFailed, match=r"logits of a test sample are not finite \(the 4\. of its"):
        fit(dataclasses.replace(data, features=features), tmp_path / "run", *LIKELIHOOD, method="likelihood")


def test_nor_are_features_to_be_classified(tmp_path: Path) -> None:
    fit(problem(), tmp_path / "run", *LIKELIHOOD, method="likelihood")
    features = problem().features[:5].copy()
    features[2] = 3e38
    with pytest.raises(InputError, match=r"sample 2 .* lies too far from the training features"):
        load_classifier(tmp_path / "run").logits(features)
