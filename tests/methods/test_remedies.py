"""Each remedy does what it is for, on synthetic problems whose truth is known, over several seeds."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from gsmflow.data.problem import Problem
from gsmflow.learning.loop import advance
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner
from gsmflow.sources.synthetic import SyntheticOptions, Truth, make

SEEDS = range(3)
COUNT = 200

FULL: dict[str, float | bool] = {}
NO_PERTURBATION = {"perturbation": 0.0}
NO_POSITIONING = {"relative_positioning": False}
ONE_LAYER = {"semantics_in_every_layer": False}
NO_PROTOTYPE = {"prototype_weight": 0.0}


class _Quiet:
    def stepped(self, *_: object) -> None:
        pass


@lru_cache
def problem(seed: int) -> tuple[Problem, Truth]:
    return make(SyntheticOptions(n=1200, d=16, classes=40, unseen=10, a=10, spread=0.5, seed=seed))


@lru_cache
def learned(seed: int, **switched: float | bool) -> GSMFlowLearner:
    data, _ = problem(seed)
    options = GSMFlowOptions(
        epochs=40,
        batch_size=128,
        blocks=2,
        hidden=64,
        global_semantic=32,
        learning_rate=2e-3,
        **({"perturbation": 0.2} | switched),  # type: ignore[arg-type]
    )
    learner = GSMFlowLearner(TrainingData.of(data, torch.device("cpu")), options, seed)
    advance(learner, 0, learner.total_steps, _Quiet())
    return learner


@lru_cache
def synthesized(seed: int, **switched: float | bool) -> np.ndarray:
    """Synthetic features of all classes, (C, COUNT, D)."""
    semantics = torch.from_numpy(problem(seed)[0].semantics)
    features = learned(seed, **switched).sample(semantics, COUNT, seed, "test")
    return features.reshape(len(semantics), COUNT, -1).numpy()


def spread(seed: int, **switched: float | bool) -> float:
    """Mean over classes of synthetic over true within-class variance; 1 is right."""
    data, truth = problem(seed)
    true = np.trace(truth.covariance(data.semantics), axis1=1, axis2=2)
    return float((synthesized(seed, **switched).var(axis=1, ddof=1).sum(axis=1) / true).mean())


def centre_error(seed: int, **switched: float | bool) -> float:
    """Mean squared distance of synthetic from true class centres; 0 is right."""
    data, truth = problem(seed)
    off = synthesized(seed, **switched).mean(axis=1) - truth.mean(data.semantics)
    return float((off**2).sum(axis=1).mean())


def structure(seed: int, **switched: float | bool) -> float:
    """Rank correlation of the distances between classes, synthetic with true; 1 is right."""
    data, truth = problem(seed)
    centres = synthesized(seed, **switched).mean(axis=1)
    return float(spearmanr(pdist(centres), pdist(truth.mean(data.semantics))).statistic)


@pytest.mark.parametrize("seed", SEEDS)
def test_perturbation_keeps_classes_wide(seed: int) -> None:
    assert spread(seed, **NO_PERTURBATION) < 0.95 * spread(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_relative_positioning_preserves_the_geometry_of_classes(seed: int) -> None:
    assert structure(seed, **NO_POSITIONING) < structure(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_semantics_in_every_layer_make_samples_reflect_them(seed: int) -> None:
    """Classes lie where their semantics put them."""
    assert centre_error(seed) < 0.8 * centre_error(seed, **ONE_LAYER)


def test_the_prototype_loss_brings_centres_nearer() -> None:
    """On average over seeds."""
    with_it, without = (np.mean([centre_error(s, **o) for s in SEEDS]) for o in (FULL, NO_PROTOTYPE))
    assert with_it < 0.95 * without


@pytest.mark.parametrize("seed", SEEDS)
def test_the_trained_flow_is_inverted_to_1e_4(seed: int) -> None:
    learner = learned(seed)
    features, rows = learner.data.features, learner.data.labels
    with torch.no_grad():
        conditions = learner.model.flow.condition(learner.model.positioning(learner.seen_semantics))
        z, _ = learner.model.flow(features, conditions, rows)
        back, _ = learner.model.flow.inverse(z, conditions, rows)
    assert (back - features).abs().max() < 1e-4


@pytest.mark.parametrize("seed", SEEDS)
def test_unseen_classes_are_synthesized_where_they_belong(seed: int) -> None:
    """Nearly all synthetic centres of unseen classes are nearest to their own true centre."""
    data, truth = problem(seed)
    centres = synthesized(seed)[data.unseen].mean(axis=1)
    distance = ((centres[:, None] - truth.mean(data.semantics[data.unseen])[None]) ** 2).sum(axis=2)
    right = (distance.argmin(axis=1) == np.arange(len(data.unseen))).mean()
    assert right >= 0.8  # chance: one in ten
