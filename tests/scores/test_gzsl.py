"""Scores against scikit-learn, against brute force, and by their properties."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

from gsmflow.scores import gzsl
from gsmflow.scores.gzsl import (
    SeenUnseenCurve,
    Summary,
    best_bias,
    class_mean,
    curve_on,
    harmonic_mean,
    mean_interval,
    paired_difference,
    per_class_accuracy,
    score,
    seen_unseen_curve,
)
from support.recipes import problem

CLASSES = 7
UNSEEN = np.array([1, 4, 6])
SEEN = np.array([0, 2, 3, 5])


def draw(seed: int, coarse: bool = False) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Logits and labels: first the seen test samples, then the unseen ones; and how many are seen."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(5, 30, 2)
    labels = np.concatenate((rng.choice(SEEN, counts[0]), rng.choice(UNSEEN, counts[1])))
    logits = rng.normal(size=(len(labels), CLASSES))
    logits[np.arange(len(labels)), labels] += rng.uniform(0, 2)
    logits[:, SEEN] += rng.uniform(-1, 1)
    return np.round(logits, 0 if coarse else 6), labels, int(counts[0])


def accuracies(logits: NDArray, labels: NDArray, split: int, bias: float) -> tuple[float, float]:
    """(unseen, seen) by the definition; of equal logits a seen class wins, then the first."""
    moved = logits.copy()
    moved[:, UNSEEN] += bias
    order = np.concatenate((SEEN, UNSEEN))
    guess = order[moved[:, order].argmax(axis=1)]
    parts = []
    for part in (slice(split, None), slice(None, split)):
        y, g = labels[part], guess[part]
        parts.append(float(np.mean([(g[y == c] == c).mean() for c in np.unique(y)])))
    return parts[0], parts[1]


def curve(logits: NDArray, labels: NDArray, split: int) -> SeenUnseenCurve:
    return seen_unseen_curve(
        Summary.of(logits[:split], labels[:split], UNSEEN), Summary.of(logits[split:], labels[split:], UNSEEN)
    )


@given(st.integers(0, 10_000))
def test_class_mean_is_balanced_accuracy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate(([0, 1], rng.integers(0, 5, rng.integers(0, 50))))
    # Guesses are drawn from the labels' classes: balanced_accuracy_score warns about others.
    guess = np.concatenate(([0, 1], rng.choice(np.unique(labels), len(labels) - 2)))
    assert class_mean(guess == labels, labels) == pytest.approx(balanced_accuracy_score(labels, guess))


@pytest.mark.parametrize("coarse", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("seed", range(12))
def test_curve_and_area_by_brute_force(seed: int, coarse: bool) -> None:
    logits, labels, split = draw(seed, coarse)
    whole = curve(logits, labels, split)
    differences = (logits[:, SEEN].max(axis=1) - logits[:, UNSEEN].max(axis=1)).tolist()
    corners = sorted(set(differences))
    between = [(a + b) / 2 for a, b in pairwise(corners)]
    points = [accuracies(logits, labels, split, b) for b in (corners[0] - 1, *between, corners[-1] + 1)]
    assert np.allclose(np.stack((whole.unseen, whole.seen), axis=1), points, atol=1e-12)
    area = sum((u2 - u1) * (s1 + s2) / 2 for (u1, s1), (u2, s2) in pairwise(points))
    assert whole.area == pytest.approx(area, abs=1e-12)
    # On a corner itself only where sums of logits are exact.
    on_corners = (corners[0], corners[-1], 0.0) if coarse else ()
    for bias in (corners[0] - 1, *between[:5], *on_corners):
        assert whole.at(bias) == pytest.approx(accuracies(logits, labels, split, bias), abs=1e-12)


@given(st.integers(0, 10_000), st.floats(-5, 5))
@settings(max_examples=60)
def test_properties_of_the_curve(seed: int, shift: float) -> None:
    logits, labels, split = draw(seed)
    whole = curve(logits, labels, split)
    assert 0 <= whole.area <= 1 + 1e-12
    assert (np.diff(whole.seen) <= 1e-12).all()
    assert (np.diff(whole.unseen) >= -1e-12).all()
    assert whole.seen[-1] == pytest.approx(0)
    assert whole.unseen[0] == 0
    # One number added to all logits of a sample changes nothing; order of samples neither.
    moved = logits + shift * np.arange(len(logits))[:, None]
    assert curve(moved, labels, split).area == pytest.approx(whole.area, abs=1e-9)
    order = np.concatenate((np.arange(split)[::-1], np.arange(split, len(labels))[::-1]))
    assert curve(logits[order], labels[order], split).area == pytest.approx(whole.area, abs=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=60)
def test_no_bias_beats_the_best(seed: int) -> None:
    logits, labels, split = draw(seed)
    whole = curve(logits, labels, split)
    best = best_bias(whole)
    reached = harmonic_mean(*accuracies(logits, labels, split, best))
    for bias in np.linspace(-6, 6, 41):
        assert harmonic_mean(*accuracies(logits, labels, split, float(bias))) <= reached + 1e-12


def test_perfect_and_hopeless_logits() -> None:
    labels = np.concatenate((SEEN, UNSEEN))
    perfect = np.eye(CLASSES)[labels] * 9
    assert curve(perfect, labels, len(SEEN)).area == pytest.approx(1)
    hopeless = np.roll(perfect, 1, axis=0)
    whole = curve(hopeless, labels, len(SEEN))
    assert whole.area == pytest.approx(0, abs=0.1)
    assert np.isfinite(best_bias(whole))


@given(st.floats(0, 1), st.floats(0, 1))
def test_harmonic_mean_lies_between(unseen: float, seen: float) -> None:
    h = harmonic_mean(unseen, seen)
    assert min(unseen, seen) - 1e-12 <= h <= max(unseen, seen) + 1e-12
    assert h == harmonic_mean(seen, unseen)


def test_per_class_accuracy_without_samples_is_nan() -> None:
    accuracy = per_class_accuracy(np.array([True, False]), np.array([0, 2]), 3)
    assert accuracy[0] == 1
    assert np.isnan(accuracy[1])
    assert accuracy[2] == 0


def test_score_against_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    data = problem()
    weight = np.random.default_rng(0).normal(size=(len(data.classes), data.feature_dim))

    def logits(features: NDArray) -> NDArray:
        return features @ weight.T

    scores = score(data, logits, bias=0.7)
    everything = logits(data.features)
    everything[:, data.unseen] += 0.7
    guess = everything.argmax(axis=1)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        expected = [
            balanced_accuracy_score(data.labels[part], guess[part])
            for part in (data.test_unseen, data.test_seen)
        ]
    assert pytest.approx(tuple(expected)) == (scores.U, scores.S)
    assert pytest.approx(harmonic_mean(scores.U, scores.S)) == scores.H
    restricted = data.unseen[everything[data.test_unseen][:, data.unseen].argmax(axis=1)]
    assert pytest.approx(balanced_accuracy_score(data.labels[data.test_unseen], restricted)) == scores.T1
    assert curve_on(data, logits).area == pytest.approx(scores.AUSUC)
    assert set(scores.per_class) == set(data.classes)
    alone = score(data, logits, unseen_logits=lambda f: -logits(f)[:, data.unseen])
    assert alone.T1 != scores.T1
    monkeypatch.setattr(gzsl, "_LOGITS", 7 * len(data.classes))
    assert score(data, logits, bias=0.7) == scores


def test_to_dict_has_none_for_nan() -> None:
    values = gzsl.Scores(float("nan"), 0.5, float("nan"), float("nan"), float("nan"), {"a": 0.5}).to_dict()
    assert values == {"U": None, "S": 0.5, "H": None, "T1": None, "AUSUC": None, "per_class": {"a": 0.5}}


def test_intervals_are_students() -> None:
    values = [0.51, 0.55, 0.49, 0.60, 0.52]
    mean, half = mean_interval(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert np.isnan(mean_interval([0.3])[1])
    other = [0.50, 0.50, 0.50, 0.50, 0.50]
    difference, half = paired_difference(values, other)
    test = stats.ttest_rel(values, other).confidence_interval(0.95)
    assert (difference - half, difference + half) == pytest.approx((test.low, test.high))
    with pytest.raises(ValueError, match="expected pairs"):
        paired_difference([1.0], [1.0, 2.0])


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        mean, half = mean_interval(rng.normal(0.5, 0.1, 5).tolist())
        covered += abs(mean - 0.5) <= half
    assert 0.92 < covered / 400 < 0.98
