"""Tuning by outcome as an option of every generator: its update by hand, its effect, its state, what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import gsmflow
from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.compute.randomness import normal
from gsmflow.data.lending import Setting, lend
from gsmflow.learning.learner import Generator, Scorer
from gsmflow.learning.reward import Reward
from gsmflow.learning.reward_options import RewardOptions
from gsmflow.learning.rewarded import RewardedLearner, rewarded
from gsmflow.learning.tensors import Batches, TrainingData
from gsmflow.methods import METHODS, Method, Options, find_method, method_names
from gsmflow.recipes.recipe import make_recipe, recipe_from
from gsmflow.studies.search_space import default_space
from support.recipes import PROBLEM, problem

CPU = torch.device("cpu")
SMALL = {
    "relation_epochs": 2,
    "hidden": 24,
    "global_semantic": 16,
    "blocks": 2,
    "epochs": 4,
    "least_steps": 0,
    "batch_size": 64,
    "noise_levels": 4,
}
QUICK = RewardOptions(tune=True, cold_start=0.0, classifier_epochs=10)


def data() -> TrainingData:
    return TrainingData.of(problem(), CPU)


def untuned(name: str, **more: Any) -> Any:
    method = find_method(name)
    known = method.options().as_dict()
    options = replace(
        method.options(), **({k: v for k, v in (SMALL | more).items() if k in known} | dict(method.fixed))
    )
    assert method.learner
    setting = method.setting(options)
    given = data() if setting is Setting.INDUCTIVE else TrainingData.of(lend(problem(), setting, 0), CPU)
    return method.learner(given, options, 3)


def generators() -> list[str]:
    names = [
        name for name in method_names() if find_method(name).learner and not find_method(name).upper_bound
    ]
    models = {name: untuned(name) for name in names if name != "rlvc"}
    return [
        name for name, each in models.items() if isinstance(each, Generator) and not isinstance(each, Scorer)
    ]


GENERATORS = generators()


def test_the_generators_are_those_that_synthesize() -> None:
    assert {
        "gsmflow",
        "cvae",
        "f-clswgan",
        "tf-vaegan",
        "free",
        "cada-vae",
        "sdgzsl",
        "diffusion",
        "izf",
    } <= set(GENERATORS)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_can_be_tuned_and_goes_on_where_it_was_interrupted(name: str) -> None:
    whole, first, second = (rewarded(untuned(name), data(), QUICK, 3) for _ in range(3))
    for index in range(6):
        assert float(whole.step(index)["loss_distillation"]) > 0
    for index in range(3):
        first.step(index)
    second.load_state({key: tensor.clone() for key, tensor in first.state().items()})
    for index in range(3, 6):
        second.step(index)
    assert whole.state().keys() == second.state().keys()
    for key, tensor in whole.state().items():
        assert torch.equal(tensor, second.state()[key]), key


@pytest.mark.parametrize("name", GENERATORS)
def test_until_the_cold_start_is_over_a_generator_is_itself(name: str) -> None:
    plain = untuned(name)
    tuned = rewarded(untuned(name), data(), replace(QUICK, cold_start=2.5 / plain.total_steps), 3)
    for index in range(3):
        plain.step(index)
        assert float(tuned.step(index)["loss_distillation"]) == 0
    for key, tensor in plain.weights().items():
        assert torch.equal(tensor, tuned.weights()[key]), key
    plain.step(3)
    tuned.step(3)
    assert any(not torch.equal(tensor, tuned.weights()[key]) for key, tensor in plain.weights().items())


@pytest.mark.parametrize("name", ["cvae", "tf-vaegan", "cada-vae", "diffusion", "izf"])
def test_tuned_features_get_higher_rewards(name: str) -> None:
    reached = []
    for weight in (0.0, 3.0):
        options = replace(
            QUICK, outcome_weight=weight, distillation_weight=0.0, classifier_learning_rate=0.03
        )
        tuned: Any = rewarded(untuned(name, learning_rate=3e-3, epochs=20), data(), options, 3)
        for index in range(60):
            tuned.step(index)
        reward = Reward(data(), options, 3)
        generator = tuned.generator if isinstance(tuned, RewardedLearner) else tuned
        rows = torch.arange(9).repeat(30)
        with torch.no_grad():
            reached.append(float(reward.rewards(generator.synthetic(rows, 7, "test"), rows).mean()))
    assert reached[1] > reached[0] + 0.05


def test_off_is_the_generator_itself() -> None:
    plain = untuned("cvae")
    assert rewarded(plain, data(), RewardOptions(), 3) is plain


class Linear:
    """A generator as a stranger writes it: x = W a + b + z."""

    def __init__(self, data: TrainingData, options: Any, seed: int) -> None:
        self.data, self.seed = data, seed
        self.layer = torch.nn.Linear(data.semantics.shape[1], data.features.shape[1])
        with torch.no_grad():
            self.layer.weight.copy_(normal(tuple(self.layer.weight.shape), CPU, seed, "w") / 3)
            self.layer.bias.zero_()
        self.sgd = torch.optim.SGD(self.layer.parameters(), 0.5)
        self.batches = Batches(len(data.labels), 32, seed, CPU)
        self.steps_per_epoch = self.batches.per_epoch
        self.total_steps = 4 * self.steps_per_epoch

    def step(self, index: int) -> dict[str, Tensor]:
        x, rows = self.data.rows(self.batches[index])
        loss = (self.layer(self.data.semantics[self.data.seen])[rows] - x).square().mean()
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()
        return {"loss": loss.detach()}

    def sample(self, semantics: Tensor, count: int, *key: int | str) -> Tensor:
        middle = self.layer(semantics).repeat_interleave(count, dim=0)
        return middle + normal(tuple(middle.shape), CPU, *key)

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        return features

    def representation(self) -> None:
        return None

    def weights(self) -> dict[str, Tensor]:
        return dict(self.layer.state_dict())

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        self.layer.load_state_dict(dict(weights))

    def state(self) -> dict[str, Tensor]:
        return self.weights()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.load_weights(state)


class Silent(Linear):
    @torch.no_grad()
    def sample(self, semantics: Tensor, count: int, *key: int | str) -> Tensor:
        return super().sample(semantics, count, *key)


def test_a_strangers_generator_takes_the_step_that_the_formula_says() -> None:
    given = data()
    options = replace(QUICK, outcome_weight=0.7, distillation_weight=0.2, baseline_decay=0.5)
    plain, tuned = Linear(given, None, 3), rewarded(Linear(given, None, 3), given, options, 3)
    assert isinstance(tuned, RewardedLearner)
    plain.step(0)
    shown = tuned.step(0)

    a = given.semantics[given.seen].double().numpy()
    weight, bias = (t.detach().double().numpy() for t in (plain.layer.weight, plain.layer.bias))
    with torch.no_grad():
        classes = given.labels[tuned.batches[0]].unique()
        each = 128 // len(classes)
        x = plain.sample(given.semantics[given.seen[classes]], each, 3, "outcome", 0).double().numpy()
    rows = np.repeat(classes.numpy(), each)
    head = tuned.reward.classifier
    w, c = head.weight.double().numpy(), head.bias.double().numpy()
    logits = x @ w.T + c
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rewards = np.log(share[np.arange(len(x)), rows])
    advantages = np.maximum(rewards - 0.5 * rewards.mean(), 0)
    by_outcome = -advantages[:, None] * (w[rows] - share @ w) / len(x)
    # d cos(x, v) / dx = v / (|x| |v|) - cos(x, v) x / |x|^2
    v = np.stack([given.features[given.labels == k].double().mean(dim=0).numpy() for k in range(9)])[rows]
    length, cue = np.linalg.norm(x, axis=1, keepdims=True), np.linalg.norm(v, axis=1, keepdims=True)
    cosine = (x * v).sum(axis=1, keepdims=True) / (length * cue)
    by_cue = -(v / (length * cue) - cosine * x / length**2) / len(x)
    slope = 0.7 * by_outcome + 0.2 * by_cue
    assert isinstance(tuned.generator, Linear)
    layer = tuned.generator.layer
    np.testing.assert_allclose(layer.weight.detach(), weight - 0.5 * slope.T @ a[rows], atol=1e-5)
    np.testing.assert_allclose(layer.bias.detach(), bias - 0.5 * slope.sum(axis=0), atol=1e-5)
    assert float(shown["loss_outcome"]) == pytest.approx(-(advantages * rewards).mean(), abs=1e-5)
    assert float(shown["loss_distillation"]) == pytest.approx((1 - cosine).mean(), abs=1e-5)


def test_what_cannot_be_tuned_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="no gradient reaches weights"):
        rewarded(Silent(data(), None, 3), data(), QUICK, 3).step(0)
    hidden = Linear(data(), None, 3)
    hidden.held, hidden.sgd = {"far": [hidden.sgd]}, None  # type: ignore[attr-defined, assignment]
    with pytest.raises(InputError, match="optimizers must be attributes"):
        rewarded(hidden, data(), QUICK, 3).step(0)
    with pytest.raises(InputError, match="classifies by itself"):
        rewarded(untuned("cnzsl"), data(), QUICK, 3)
    with pytest.raises(InputError, match="method 'lda' is a closed form"):
        make_recipe("lda", "best", ["reward.tune=on"])
    with pytest.raises(InputError, match="tuned by its outcome already"):
        rewarded(untuned("rlvc"), data(), QUICK, 3)


def test_the_option_is_recorded_only_where_it_is_used() -> None:
    plain, tuned = (make_recipe("cvae", "best", more) for more in ([], ["tune=on", "reward.cold_start=0.7"]))
    assert "reward" not in plain.tables()
    assert tuned.tables()["reward"]["cold_start"] == 0.7
    config = {"run": {"method": "cvae", "preset": "best"}, "options": tuned.tables()}
    assert recipe_from(config, "config.toml").reward == tuned.reward
    members = make_recipe("auto", "best", ["reward.tune=on"]).members
    assert {label for label, member in members.items() if member.reward.tune} == {
        label for label, member in members.items() if member.method.learner
    }


def test_its_weights_are_searched_where_it_is_on() -> None:
    off, on = (
        {dimension.key for dimension in default_space(make_recipe("cvae", "best", more))}
        for more in ([], ["reward.tune=on"])
    )
    assert on - off == {"reward.cold_start", "reward.outcome_weight", "reward.distillation_weight"}


@dataclass(frozen=True)
class LinearOptions(Options):
    table = "linear-generator"


def test_a_registered_method_is_trained_with_it_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(METHODS, "_registered", {})
    gsmflow.register_method(Method(LinearOptions.table, "a test", LinearOptions, learner=Linear))
    out = tmp_path / "run"
    asked = ["train", PROBLEM, "--method", LinearOptions.table, "--protocol", "last", "--out", str(out)]
    assert main([*asked, "--set", "reward.tune=on", "--set", "head.epochs=1"]) == 0
    assert "[options.reward]" in (out / "config.toml").read_text()
    assert "loss_outcome" in (out / "history.jsonl").read_text()
