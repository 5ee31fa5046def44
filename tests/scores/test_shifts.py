"""Every measure against samples whose truth is known: drawn from it, or drawn wrong in a known way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from gsmflow.data.problem import Problem
from gsmflow.data.validation import validation_problem
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.fitting import run
from gsmflow.protocol.generation_shifts import Judge
from gsmflow.recipes.recipe import make_recipe
from gsmflow.scores import shifts
from gsmflow.scores.class_structure import structure
from gsmflow.scores.distribution import frechet, mmd
from gsmflow.scores.samples import Samples, picked
from gsmflow.scores.shifts import Shifts, measure
from gsmflow.scores.variance_decay import variance
from gsmflow.sources import synthetic
from support.recipes import OVERRIDES, problem

Array = NDArray[np.float32]
EACH = 160
OPTIONS = synthetic.SyntheticOptions(n=8000, d=16, a=12, classes=40, unseen=10)
PROBLEM, TRUTH = synthetic.make(OPTIONS)
UNSEEN = PROBLEM.unseen


def drawn(
    seed: int, *, wider: float = 1.0, described_as: Array | None = None, shift: float = 0.0
) -> tuple[Array, NDArray[np.int64]]:
    """Samples of the unseen classes from the truth: as they are, or wrong in one way."""
    rng = np.random.default_rng(seed)
    semantics = PROBLEM.semantics[UNSEEN] if described_as is None else described_as
    means, covariances = TRUTH.mean(semantics), TRUTH.covariance(semantics)
    rows = [rng.multivariate_normal(m, wider * c, EACH) for m, c in zip(means, covariances, strict=True)]
    return (np.concatenate(rows) + shift).astype(np.float32), np.repeat(UNSEEN, EACH)


def measured(synthetic_samples: tuple[Array, NDArray[np.int64]]) -> Shifts:
    samples = Samples.matched(*drawn(0), *synthetic_samples, judge="the truth")
    train = PROBLEM.train
    return measure(
        samples, PROBLEM.semantics, PROBLEM.classes, PROBLEM.features[train], PROBLEM.labels[train]
    )


@pytest.fixture(scope="module")
def ideal() -> Shifts:
    """An ideal generator: it draws from the truth."""
    return measured(drawn(1))


def test_an_ideal_generator_has_no_shift(ideal: Shifts) -> None:
    assert ideal.judge == "the truth"
    assert ideal.classes == [PROBLEM.classes[c] for c in UNSEEN]
    assert ideal.samples == len(UNSEEN) * EACH
    semantic, spread, shape, apart = ideal.semantic, ideal.variance, ideal.structure, ideal.distribution
    assert semantic.cosine == pytest.approx(semantic.real_cosine, abs=0.02)
    assert semantic.r2 == pytest.approx(semantic.real_r2, abs=0.05)
    assert semantic.cosine is not None
    assert semantic.cosine > 0.7
    assert spread.ratio == pytest.approx(1, abs=0.05)
    assert spread.directions == pytest.approx(np.ones(16), abs=0.2)
    assert spread.rank == pytest.approx(spread.real_rank, rel=0.05)
    assert shape.spearman is not None
    assert shape.spearman > 0.99
    assert shape.nearest == 1
    assert shape.procrustes == pytest.approx(0, abs=0.01)
    assert apart.frechet == pytest.approx(apart.real_frechet, rel=0.3)
    assert apart.mmd == pytest.approx(0, abs=0.003)
    assert apart.mmd_p is not None
    assert apart.mmd_p > 0.01
    assert apart.precision == pytest.approx(apart.real_precision, abs=0.05)
    assert apart.recall == pytest.approx(apart.real_recall, abs=0.05)


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_variance_is_measured_as_it_is(factor: float, ideal: Shifts) -> None:
    result = measured(drawn(1, wider=factor))
    assert result.variance.ratio == pytest.approx(factor, rel=0.05)
    assert result.variance.directions == pytest.approx(factor * np.ones(16), rel=0.2)
    assert result.variance.class_ratio == pytest.approx([factor] * len(UNSEEN), rel=0.25)
    assert result.variance.rank == pytest.approx(result.variance.real_rank, rel=0.05)  # as many directions
    assert result.distribution.mmd_p == pytest.approx(1 / 201)
    name, other = ("recall", "precision") if factor < 1 else ("precision", "recall")
    assert getattr(result.distribution, name) < 0.5 * getattr(ideal.distribution, name)
    assert getattr(result.distribution, other) > getattr(ideal.distribution, other)


def test_variance_lost_in_one_direction_is_found_there() -> None:
    real, labels = drawn(0)
    pooled = TRUTH.covariance(PROBLEM.semantics[UNSEEN]).mean(axis=0)
    widest = np.linalg.eigh(pooled)[1][:, -1].astype(np.float32)
    synthetic, _ = drawn(1)
    centers = np.repeat(TRUTH.mean(PROBLEM.semantics[UNSEEN]), EACH, axis=0)
    inside = (synthetic - centers) @ widest
    flat = synthetic - 0.9 * inside[:, None] * widest
    rows = np.split(np.arange(len(labels)), len(UNSEEN))
    lost = variance([real[r].astype(float) for r in rows], [flat[r].astype(float) for r in rows])
    assert lost.directions[0] < 0.1
    assert np.mean(lost.directions[1:]) == pytest.approx(1, abs=0.1)
    assert lost.ratio is not None
    assert lost.ratio < 0.75
    line = centers + inside[:, None] * widest
    lost = variance([real[r].astype(float) for r in rows], [line[r].astype(float) for r in rows])
    assert lost.rank == pytest.approx(1, abs=0.01)  # the other way round: nothing but that direction
    assert lost.directions[0] == pytest.approx(1, abs=0.1)


def test_classes_generated_from_the_wrong_semantics(ideal: Shifts) -> None:
    """Every class looks like another one: nothing is recovered, and the geometry is another."""
    moved = PROBLEM.semantics[np.roll(UNSEEN, 1)]
    result = measured(drawn(1, described_as=moved))
    assert result.semantic.cosine is not None
    assert ideal.semantic.cosine is not None
    assert result.semantic.cosine < 0.4 * ideal.semantic.cosine
    assert result.semantic.real_cosine == ideal.semantic.real_cosine
    assert result.semantic.r2 is not None
    assert result.semantic.r2 < 0
    assert result.structure.spearman is not None
    assert result.structure.spearman < 0.5
    assert result.structure.nearest is not None
    assert result.structure.nearest < 0.6
    assert result.structure.procrustes is not None
    assert result.structure.procrustes > 0.3
    assert result.variance.ratio == pytest.approx(1, abs=0.3)  # the widths themselves are right


def test_a_shift_of_everything_leaves_variance_and_structure_alone(ideal: Shifts) -> None:
    result = measured(drawn(1, shift=0.5))
    assert result.structure == ideal.structure or result.structure.spearman == pytest.approx(
        ideal.structure.spearman, abs=1e-6
    )
    assert result.variance.ratio == pytest.approx(ideal.variance.ratio, rel=1e-4)
    assert result.distribution.frechet is not None
    assert ideal.distribution.frechet is not None
    assert result.distribution.frechet - ideal.distribution.frechet == pytest.approx(0.25 * 16, rel=0.25)


def test_structure_does_not_care_for_rotation_and_scale() -> None:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(9, 5))
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    agreement = structure([c[None] for c in centers], [(3 * c @ turn + 1)[None] for c in centers])
    assert agreement.spearman == pytest.approx(1)
    assert agreement.order == pytest.approx(1)
    assert agreement.nearest == 1
    assert agreement.procrustes == pytest.approx(0, abs=1e-12)
    assert len(agreement.pairs) == 36


def test_the_frechet_distance_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    for n, d in ((60, 4), (8, 20)):  # more samples than dimensions, and fewer
        x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) * 2 + 1
        a, b = np.cov(x.T), np.cov(y.T)
        root = np.real(np.asarray(sqrtm(a @ b)))
        expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(a + b - 2 * root)
        assert frechet(x, y) == pytest.approx(expected, rel=1e-5)
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)


def test_the_mmd_is_unbiased_and_its_p_value_uniform() -> None:
    rng = np.random.default_rng(0)
    statistics = [mmd(rng.normal(size=(30, 3)), rng.normal(size=(30, 3)), seed=i) for i in range(150)]
    values, ps = np.array(statistics).T
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert abs(np.mean(ps <= 0.1) - 0.1) < 0.08
    assert abs(ps.mean() - 0.5) < 0.08
    value, p = mmd(rng.normal(size=(30, 3)), rng.normal(size=(30, 3)) + 2)
    assert value > 0.5
    assert p == pytest.approx(1 / 201)


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_any_sizes_are_measured_or_left_out(classes: int, each: int, seed: int) -> None:
    """Ranges hold, and what cannot be measured is None, never NaN."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    features = rng.normal(size=(2, len(labels), 3)).astype(np.float32)
    samples = Samples.matched(features[0], labels, features[1], labels)
    names = tuple(f"class {c}" for c in range(classes))
    result = measure(samples, rng.normal(size=(classes, 4)), names).to_dict()

    def check(value: object) -> None:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            for each in value:
                check(each)
        assert not isinstance(value, float) or np.isfinite(value)

    check(result)
    apart = result["distribution"]
    assert (apart["frechet"] is None) == (each < 4)
    assert (result["structure"]["spearman"] is None) == (classes < 3)
    assert (result["variance"]["ratio"] is None) == (each < 2)
    for name in ("precision", "recall", "mmd_p"):
        assert apart[name] is None or 0 <= apart[name] <= 1


def test_the_same_arguments_give_the_same_measures(ideal: Shifts) -> None:
    assert measured(drawn(1)) == ideal


def test_without_training_features_semantics_are_not_measured() -> None:
    samples = Samples.matched(*drawn(0), *drawn(1))
    result = measure(samples, PROBLEM.semantics, PROBLEM.classes)
    assert result.semantic.cosine is None
    assert shifts.headline(result.to_dict())["semantic"] is None
    assert result.variance.ratio is not None


def test_samples_are_matched_class_by_class() -> None:
    real, labels = drawn(0)
    odd = labels != UNSEEN[0]
    samples = Samples.matched(real, labels, real[odd][::2], labels[odd][::2], judge="x")
    assert sorted(set(samples.labels.tolist())) == UNSEEN[1:].tolist()
    assert len(samples.real) == len(samples.synthetic) == EACH // 2 * (len(UNSEEN) - 1)
    with pytest.raises(ValueError, match="expected"):
        Samples.matched(real, labels, real[:, :3], labels)
    with pytest.raises(ValueError, match="labels"):
        Samples.matched(real, labels[1:], real, labels)


def test_large_classes_are_subsampled() -> None:
    labels = np.repeat([0, 1, 2], [1000, 5, 300])
    chosen = picked(labels, 10, 0)
    assert np.bincount(labels[chosen]).tolist() == [200, 5, 200]
    assert np.array_equal(chosen, picked(labels, 10, 0))
    assert not np.array_equal(chosen, picked(labels, 10, 1))
    assert np.bincount(labels[picked(labels, 1 << 22, 0)]).max() == 8


def test_samples_survive_as_tensors() -> None:
    samples = Samples.matched(*drawn(0), *drawn(1), judge="x")
    tensors = samples.tensors()
    again = Samples(*(tensors[k].numpy() for k in ("real", "synthetic", "labels")), judge="x")
    assert all(
        np.array_equal(getattr(again, k), getattr(samples, k)) for k in ("real", "synthetic", "labels")
    )
    assert replace(again, judge="y").judge == "y"


def shifts_of(folder: Path, data: Problem, **how: Any) -> dict[str, Any] | None:
    recipe = make_recipe("gsmflow", "best", (*OVERRIDES, *how.pop("overrides", ())))
    arguments = {"protocol": "validated", "oracle": False, "seed": 0} | how
    folder.mkdir()
    outcome = run(data, recipe, device=torch.device("cpu"), recorder=Recorder(folder), **arguments)
    return outcome.shifts


def test_who_judges(tmp_path: Path) -> None:
    """Unseen classes where there are test features of them; otherwise seen classes held out of training."""
    data = problem()
    nothing = np.zeros(0, np.int64)
    without = replace(data, test_unseen=nothing)
    judged = shifts_of(tmp_path / "a", data)
    assert judged is not None
    assert judged["judge"] == Judge.UNSEEN.value
    assert judged["classes"] == [data.classes[c] for c in data.unseen]
    judged = shifts_of(tmp_path / "b", without)
    assert judged is not None
    assert judged["judge"] == Judge.HELD_OUT.value
    validation = validation_problem(without, 0)
    assert judged["classes"] == [validation.classes[c] for c in validation.unseen]
    judged = shifts_of(tmp_path / "c", without, protocol="last")
    assert judged is not None
    assert judged["judge"] == Judge.TRAINED_ON.value
    assert len(judged["classes"]) == len(data.seen)
    none = replace(data, test_unseen=nothing, test_seen=nothing)
    assert shifts_of(tmp_path / "d", none, protocol="last") is None


def test_measuring_changes_nothing_else(tmp_path: Path) -> None:
    """In memory nothing is measured; the result is the same to the last bit."""
    recipe = make_recipe("gsmflow", "best", OVERRIDES)
    outcomes = [
        run(
            problem(),
            recipe,
            protocol="last",
            oracle=False,
            seed=0,
            device=torch.device("cpu"),
            recorder=Recorder(folder),
        )
        for folder in (None, tmp_path)
    ]
    assert outcomes[0].shifts is None
    assert outcomes[1].shifts is not None
    assert outcomes[0].scores == outcomes[1].scores
    for name, tensor in outcomes[0].classifier.state().items():
        assert torch.equal(tensor, outcomes[1].classifier.state()[name])
