"""Stacking: the curve by rates against counting, and weights on logits whose best combination is known."""

from __future__ import annotations

import numpy as np
import pytest

from gsmflow.protocol.stacking import RATES, Validation, best_rate, choose_stack, stacked
from gsmflow.protocol.unseen_bias import rate_among

SEEN, UNSEEN = 6, 3


def validation(seed: int = 0, each: int = 40) -> Validation:
    labels = np.repeat(np.arange(SEEN + UNSEEN), each)
    return Validation(np.random.default_rng(seed).permutation(labels), np.arange(SEEN, SEEN + UNSEEN))


def noisy(v: Validation, noise: float, seed: int) -> np.ndarray:
    """Logits (T, C) that favour the right class by 1, with Gaussian noise."""
    logits = np.random.default_rng([7, seed]).normal(0, noise, (len(v.labels), SEEN + UNSEEN))
    logits[np.arange(len(v.labels)), v.labels] += 1
    return logits.astype(np.float32)


def test_the_curve_is_what_counting_gives() -> None:
    v = validation()
    logits = noisy(v, 0.6, 1)
    curve = v.curve(logits)
    for index in range(0, len(RATES), 9):
        biased = logits.astype(np.float64)
        biased[:, v.unseen] += curve.bias[index]
        right = biased.argmax(axis=1) == v.labels
        by_class = np.array([right[v.labels == c].mean() for c in range(SEEN + UNSEEN)])
        assert curve.seen[index] == pytest.approx(by_class[:SEEN].mean(), abs=0.01)
        assert curve.unseen[index] == pytest.approx(by_class[SEEN:].mean(), abs=0.01)
        called = (biased[:, v.unseen].max(1) > biased[:, :SEEN].max(1))[v.labels < SEEN].mean()
        assert called == pytest.approx(RATES[index], abs=0.01)


def test_independent_classifiers_are_stacked_and_beat_the_best() -> None:
    problems = [validation(seed) for seed in range(3)]
    logits = {
        name: [noisy(v, noise, 10 * k + draw) for draw, v in enumerate(problems)]
        for k, (name, noise) in enumerate({"good": 0.6, "other": 0.7, "useless": 30.0}.items())
    }
    alone = choose_stack(problems, logits, most=1)
    assert alone.weights == {"good": 1.0}
    stack = choose_stack(problems, logits)
    assert set(stack.weights) == {"good", "other"}
    assert stack.H > alone.H + 0.05
    # For independent errors the best weight is as the inverse of the variance: (0.6 / 0.7)^2 = 0.73.
    assert 0.3 < stack.weights["other"] / stack.weights["good"] < 1.6


def test_a_copy_is_not_worth_its_place() -> None:
    problems = [validation(seed) for seed in range(2)]
    logits = [noisy(v, 0.6, draw) for draw, v in enumerate(problems)]
    stack = choose_stack(problems, {"one": logits, "copy": [2 * part for part in logits]})
    assert len(stack.weights) == 1


def test_one_rate_serves_all_problems() -> None:
    """Logits of unseen classes shifted by another constant in each problem: the same rate undoes all shifts."""
    problems = [validation(seed) for seed in range(3)]
    plain = [noisy(v, 0.6, draw) for draw, v in enumerate(problems)]
    shifted = [part.copy() for part in plain]
    for shift, v, part in zip((-5, 0, 9), problems, shifted, strict=True):
        part[:, v.unseen] += shift
    one, other = (choose_stack(problems, {"m": each}) for each in (plain, shifted))
    assert (one.rate, one.H) == pytest.approx((other.rate, other.H), abs=1e-6)


def test_the_rate_is_the_best_on_average() -> None:
    narrow = np.exp(-((RATES - 0.1) ** 2) / 1e-3)
    broad = 0.9 * np.exp(-((RATES - 0.3) ** 2) / 0.1)
    index, _ = best_rate([narrow])
    assert RATES[index] == pytest.approx(0.1, abs=0.01)
    index, value = best_rate([broad, broad])
    assert RATES[index] == pytest.approx(0.3, abs=0.02)
    assert value == pytest.approx(0.9, abs=0.01)


def test_sums_are_weighted() -> None:
    one, other = np.ones((2, 3), np.float32), np.full((2, 3), 2, np.float32)
    (total,) = stacked({"a": [one], "b": [other], "c": [other]}, {"a": 0.5, "b": 2.0})
    assert total.tolist() == [[4.5] * 3] * 2


def test_with_more_unseen_classes_in_the_end_a_rate_has_higher_odds() -> None:
    """A validation problem with half of them is judged where half the odds call a sample unseen."""
    logits = np.random.default_rng(0).normal(size=(400, SEEN + UNSEEN)).astype(np.float32)
    labels = np.repeat(np.arange(SEEN), 400 // SEEN + 1)[:400]
    unseen = np.arange(SEEN, SEEN + UNSEEN)
    bias = Validation(labels, unseen, 2 * UNSEEN).curve(logits).bias
    margin = logits[:, :SEEN].max(axis=1) - logits[:, SEEN:].max(axis=1)
    for index in range(5, len(RATES), 20):
        called = float((margin < bias[index]).mean())
        odds = RATES[index] / (1 - RATES[index]) / 2
        assert called == pytest.approx(odds / (1 + odds), abs=0.01)


def test_a_rate_of_few_samples_is_not_carried_over_as_0() -> None:
    """Where 8 held-out samples are all told from unseen ones, their lowest margin stands for 1 in 16 of many."""
    labels, unseen = np.array([0] * 8 + [2] * 8), np.array([2])
    logits = np.zeros((16, 3), np.float32)
    logits[:8, 0] = np.linspace(2, 9, 8)
    logits[8:, 2] = 1
    stack = choose_stack([Validation(labels, unseen)], {"one": [logits]})
    assert (stack.U, stack.S) == (1, 1)
    assert stack.rate == pytest.approx(1 / 16)
    many = rate_among(1 / 16, 3, of=1)
    assert choose_stack([Validation(labels, unseen, 3)], {"one": [logits]}).rate == pytest.approx(many)
