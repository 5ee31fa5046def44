"""Probabilities that mean what they say: the temperature, where it comes from, and the calibration error."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from gsmflow.cli import main
from gsmflow.heads.calibration import expected_calibration_error, fit_temperature, softmax
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.fitting import run
from gsmflow.recipes.recipe import make_recipe
from gsmflow.runs.folder import load_classifier
from gsmflow.sources import digits
from support.recipes import ARGUMENTS, OVERRIDES, PROBLEM, problem


def drawn(count: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 7)) * 3
    chances = softmax(logits, temperature).cumsum(axis=1)
    return logits, (rng.random((count, 1)) > chances).sum(axis=1).clip(0, 6)


@pytest.mark.parametrize("temperature", [0.05, 0.7, 1.0, 4.0])
@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
def test_the_temperature_labels_were_drawn_with_is_found(temperature: float, unit: float) -> None:
    """Whatever the unit of the logits."""
    logits, labels = drawn(20_000, temperature)
    # Hardly any label is drawn other than the best one from a nearly certain distribution.
    tolerance = 0.2 if temperature < 0.5 else 0.05
    assert fit_temperature(logits * unit, labels) == pytest.approx(temperature * unit, rel=tolerance)


def test_it_has_the_least_cross_entropy() -> None:
    logits, labels = drawn(20_000, 2.0)

    def cross_entropy(log_temperature: float) -> float:
        probabilities = softmax(logits, float(np.exp(log_temperature)))
        return -float(np.log(probabilities[np.arange(len(labels)), labels]).mean())

    least = minimize_scalar(cross_entropy, bounds=(-3, 3), method="bounded")
    assert fit_temperature(logits, labels) == pytest.approx(float(np.exp(least.x)), rel=1e-3)


def test_temperatures_of_the_least_information_are_finite() -> None:
    certain = np.eye(3)[[0, 1, 2, 0]] * 5
    assert 0 < fit_temperature(certain, np.array([0, 1, 2, 0])) < 5
    assert 5 < fit_temperature(certain, np.array([1, 2, 0, 1])) < float("inf")
    assert fit_temperature(np.zeros((4, 3)), np.zeros(4, np.int64)) == 1
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, np.int64)) == 1


def test_the_calibration_error_by_hand() -> None:
    """Two intervals: 0.9 twice with one right, 0.6 once and right; (2 * |0.5 - 0.9| + |1 - 0.6|) / 3."""
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.4, 0.6]])
    assert expected_calibration_error(probabilities, np.array([0, 0, 1])) == pytest.approx(0.4)
    within = np.array([[0.90, 0.10], [0.92, 0.08]])  # one interval: errors of opposite sign cancel
    assert expected_calibration_error(within, np.array([0, 1])) == pytest.approx(abs(0.5 - 0.91))
    assert expected_calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0


def test_drawn_labels_are_calibrated_at_their_temperature_and_not_at_another() -> None:
    logits, labels = drawn(20_000, 2.0)
    assert expected_calibration_error(softmax(logits, 2.0), labels) < 0.015
    assert expected_calibration_error(softmax(logits, 1.0), labels) > 0.1


def test_a_run_keeps_its_temperature_and_reports_its_error(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert main(["train", PROBLEM, *ARGUMENTS, "--set", "head.calibrate=on", "--out", str(folder)]) == 0
    metrics = json.loads((folder / "metrics.json").read_text())
    said, classifier, data = metrics["confidence"], load_classifier(folder), problem()
    assert said["temperature"] == classifier.temperature == metrics["chosen"]["temperature"] != 1
    assert said["bins"] == 15
    test = np.concatenate((data.test_seen, data.test_unseen))
    features, labels = data.features[test], data.labels[test]
    probabilities = classifier.probabilities(features)
    assert said["ECE"] == pytest.approx(expected_calibration_error(probabilities, labels), abs=1e-5)
    raw = softmax(classifier.logits(features))
    assert said["ECE_at_1"] == pytest.approx(expected_calibration_error(raw, labels), abs=1e-5)
    assert (probabilities.argmax(axis=1) == raw.argmax(axis=1)).all()


def test_a_run_that_chooses_nothing_has_no_temperature() -> None:
    recipe = make_recipe("gsmflow", "best", OVERRIDES)
    how = {"oracle": False, "seed": 0, "device": torch.device("cpu")}
    last = run(problem(), recipe, protocol="last", recorder=Recorder(), **how)  # type: ignore[arg-type]
    assert last.classifier.temperature == 1
    assert last.confidence["ECE"] == last.confidence["ECE_at_1"]
    nothing = np.zeros(0, np.int64)
    untested = replace(problem(), test_seen=nothing, test_unseen=nothing)
    assert run(untested, recipe, protocol="last", recorder=Recorder(), **how).confidence == {}  # type: ignore[arg-type]


def test_validation_makes_probabilities_better() -> None:
    """Closer to the truth on the test set with the temperature than without, on a problem of 40 classes."""
    recipe = make_recipe(
        "eszsl", "best", ("head.calibrate=on", "features.project_at_most=0", "selection.problems=1")
    )
    said = run(
        digits.load(),
        recipe,
        protocol="validated",
        oracle=False,
        seed=0,
        device=torch.device("cpu"),
        recorder=Recorder(),
    ).confidence
    assert said["ECE"] < 0.5 * said["ECE_at_1"]
