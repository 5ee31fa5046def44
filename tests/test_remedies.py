"""Each remedy does what it is for, on synthetic problems whose truth is known, over several seeds."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch

from gsmflow.methods.gsmflow import GSMFlowLearner, GSMFlowOptions
from gsmflow.problem import Problem
from gsmflow.sources.synthetic import SyntheticOptions, Truth, make
from gsmflow.training import TrainingData, advance

SEEDS = range(3)
COUNT = 400


class _Quiet:
    def stepped(self, *_: object) -> None:
        pass


@lru_cache
def problem(seed: int) -> tuple[Problem, Truth]:
    return make(SyntheticOptions(n=1500, d=16, classes=40, unseen=8, a=10, spread=0.4, seed=seed))


@lru_cache
def synthetic_features(seed: int, **switched: float | bool) -> dict[str, torch.Tensor]:
    """Synthetic features of all classes, (C, COUNT, D), and the trained round-trip error."""
    data, _ = problem(seed)
    options = GSMFlowOptions(
        **(
            {
                "epochs": 60,
                "batch_size": 128,
                "blocks": 3,
                "hidden": 96,
                "global_semantic": 48,
                "learning_rate": 1e-3,
                "perturbation": 0.2,
            }
            | switched
        )  # type: ignore[arg-type]
    )
    learner = GSMFlowLearner(TrainingData.of(data, torch.device("cpu")), options, seed)
    advance(learner, 0, learner.total_steps, _Quiet())
    semantics = torch.from_numpy(data.semantics)
    made = learner.sample(semantics, COUNT, seed, "test").reshape(len(semantics), COUNT, -1)
    with torch.no_grad():
        conditions = learner.model.flow.condition(learner.model.positioning(learner.seen_semantics))
        z, _ = learner.model.flow(learner.data.features, conditions, learner.data.labels)
        back, _ = learner.model.flow.inverse(z, conditions, learner.data.labels)
    return {"made": made, "error": (back - learner.data.features).abs().max()}


def spread(made: torch.Tensor, classes: np.ndarray) -> float:
    """Within-class variance, summed over dimensions, averaged over classes."""
    return float(made[classes].var(dim=1).sum(dim=1).mean())


def centre_error(made: torch.Tensor, truth: Truth, classes: np.ndarray) -> float:
    """Mean squared distance of synthetic class centres from the true ones."""
    return float(((made[classes].mean(dim=1).numpy() - truth.means[classes]) ** 2).sum(axis=1).mean())


@pytest.mark.parametrize("seed", SEEDS)
def test_perturbation_keeps_classes_wide(seed: int) -> None:
    data, truth = problem(seed)
    with_it = spread(synthetic_features(seed)["made"], data.seen)
    without = spread(synthetic_features(seed, perturbation=0.0)["made"], data.seen)
    true = float(np.trace(truth.covariance))
    assert without < 0.97 * with_it
    assert abs(with_it - true) < 0.35 * true


@pytest.mark.parametrize("seed", SEEDS)
def test_the_prototype_loss_brings_centres_nearer(seed: int) -> None:
    data, truth = problem(seed)
    with_it = centre_error(synthetic_features(seed, prototype_weight=10.0)["made"], truth, data.seen)
    without = centre_error(synthetic_features(seed, prototype_weight=0.0)["made"], truth, data.seen)
    assert with_it < without


def test_semantics_in_every_layer_make_samples_reflect_them() -> None:
    """Centres of the classes, seen and unseen, lie nearer to the true ones; on average over seeds."""
    errors = {True: [], False: []}
    for seed in SEEDS:
        data, truth = problem(seed)
        for everywhere, found in errors.items():
            made = synthetic_features(seed, semantics_in_every_layer=everywhere, prototype_weight=0.0)["made"]
            found.append(centre_error(made, truth, data.seen))
    assert np.mean(errors[True]) < np.mean(errors[False])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_trained_flow_is_inverted_to_1e_4(seed: int) -> None:
    assert synthetic_features(seed)["error"] < 1e-4


@pytest.mark.parametrize("seed", SEEDS)
def test_unseen_classes_are_nearer_to_the_truth_than_chance(seed: int) -> None:
    """Most synthetic centres of unseen classes have their own true centre as the nearest of the unseen."""
    data, truth = problem(seed)
    centres = synthetic_features(seed)["made"][data.unseen].mean(dim=1).numpy()
    distance = ((centres[:, None] - truth.means[data.unseen][None]) ** 2).sum(axis=2)
    right = (distance.argmin(axis=1) == np.arange(len(data.unseen))).mean()
    assert right >= 0.5  # chance: one in eight
