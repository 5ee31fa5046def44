"""The transductive setting: unlabelled features of unseen classes, as each method that has it learns from them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.compute.randomness import stream
from gsmflow.data.lending import Setting, lend
from gsmflow.data.problem import Problem
from gsmflow.estimator import ZeroShotClassifier
from gsmflow.flow import ConditionalCoupling
from gsmflow.learning.learner import Generator
from gsmflow.learning.tensors import Lent, TrainingData
from gsmflow.methods import find_method, method_names
from gsmflow.methods.gsmflow import TransductiveOptions
from gsmflow.methods.workings.transductive_gsmflow import TransductiveGSMFlowLearner
from gsmflow.recipes.recipe import make_recipe, transductive_override
from gsmflow.runs.folder import read_config, read_metrics, read_problem
from gsmflow.studies.cells import Variant, in_transductive_setting
from methods.test_gsmflow_step import DIM, SEEN, PlainTraining
from methods.test_gsmflow_step import data as data_of_steps
from support.recipes import ARGUMENTS, PROBLEM, problem

CPU = torch.device("cpu")
ABLE = ["gsmflow", "f-vaegan-d2", "tf-vaegan"]
SMALL = {"hidden": 24, "global_semantic": 16, "blocks": 2, "epochs": 2, "batch_size": 64}
FROM = {"unlabelled_from": 0.0, "unseen_from": 0.0}


def learner(name: str, given: Problem | None = None, **more: Any) -> Any:
    """A small learner of a method in this setting, from the first step on."""
    method = find_method(name)
    known = method.options().as_dict()
    chosen = {k: v for k, v in (SMALL | FROM | more).items() if k in known}
    data = TrainingData.of(lend(given or problem(), Setting.TRANSDUCTIVE, 0), CPU)
    assert method.learner
    return method.learner(data, replace(method.options(), **chosen, transductive=True), 3)  # type: ignore[arg-type]


def trained(name: str, steps: int, given: Problem | None = None, **more: Any) -> Any:
    trained_learner = learner(name, given, **more)
    for index in range(steps):
        trained_learner.step(index)
    return trained_learner


def test_which_methods_have_the_setting() -> None:
    assert [name for name in method_names() if find_method(name).transductive] == ABLE


@pytest.mark.parametrize("name", ABLE)
def test_an_interrupted_training_continues_as_if_it_had_not_been(name: str) -> None:
    whole, second = trained(name, 6), learner(name)
    second.load_state({k: t.clone() for k, t in trained(name, 3).state().items()})
    for index in range(3, 6):
        second.step(index)
    for key, tensor in whole.weights().items():
        assert torch.equal(tensor, second.weights()[key]), key


@pytest.mark.parametrize("name", ABLE)
def test_labels_of_what_is_lent_are_never_looked_at(name: str) -> None:
    given = problem()
    labels = given.labels.copy()
    labels[given.test_unseen] = np.random.default_rng(0).permutation(labels[given.test_unseen])
    ours, other = trained(name, 4), trained(name, 4, replace(given, labels=labels))
    for key, tensor in ours.weights().items():
        assert torch.equal(tensor, other.weights()[key]), key


@pytest.mark.parametrize("name", ABLE)
def test_the_features_of_what_is_lent_are(name: str) -> None:
    given = problem()
    moved = given.features.copy()
    moved[given.test_unseen] += 0.5
    ours, other = trained(name, 4), trained(name, 4, replace(given, features=moved))
    assert isinstance(ours, Generator)
    semantics = ours.data.semantics[ours.data.unseen]
    assert not torch.equal(ours.sample(semantics, 3, 0), other.sample(semantics, 3, 0))


@pytest.mark.parametrize("name", ABLE)
def test_before_its_part_of_the_training_nothing_unlabelled_enters(name: str) -> None:
    late = {"unlabelled_from": 0.99, "unseen_from": 0.99}
    method = find_method(name)
    options = replace(method.options(), **{k: v for k, v in SMALL.items() if k in method.options().as_dict()})
    assert method.learner
    inductive = method.learner(TrainingData.of(problem(), CPU), options, 3)
    ours = trained(name, 3, **late)
    for index in range(3):
        inductive.step(index)
    for key, tensor in inductive.weights().items():
        assert torch.equal(tensor, ours.weights()[key]), key


class PlainTransductive(PlainTraining):
    """The same with FrEIA's blocks: log-likelihoods class by class, torch's logsumexp, autograd, torch's Adam."""

    def with_unlabelled(self, picked: Tensor, unlabelled: Tensor, weight: float) -> float:
        x, labels = self.data.features[picked], self.data.labels[picked]
        semantics = self.data.semantics[self.data.seen]
        z, log_det = self.flow(x, self.position(semantics[labels]))
        loss = z.square().mean() / 2 - log_det.mean() / DIM
        means = torch.stack([self.data.features[self.data.labels == c].mean(dim=0) for c in range(SEEN)])
        with torch.no_grad():
            g = self.position(semantics)
        prototypes, _ = self.flow(torch.zeros(SEEN, DIM), g, rev=True)
        loss = loss + self.options.prototype_weight * nn.functional.mse_loss(prototypes, means)
        of_classes = []
        for u in self.data.unseen:
            g_u = self.position(self.data.semantics[u][None]).expand(len(unlabelled), -1)
            noise, change = self.flow(unlabelled, g_u)
            of_classes.append(torch.distributions.Normal(0.0, 1.0).log_prob(noise).sum(dim=1) + change)
        mixture = torch.logsumexp(torch.stack(of_classes) - math.log(len(of_classes)), dim=0)
        unlabelled_loss = -mixture.mean() / DIM
        self.adam.zero_grad()
        (loss + weight * unlabelled_loss).backward()
        self.adam.step()
        return unlabelled_loss.item() - math.log(2 * math.pi) / 2


@pytest.mark.parametrize("steps", [1, 12])
def test_steps_of_the_flow_agree_with_freia(steps: int) -> None:
    options = TransductiveOptions(
        batch_size=16,
        blocks=3,
        hidden=12,
        global_semantic=10,
        epochs=20,
        decay_epochs=1000,
        weight_decay=1e-2,
        learning_rate=3e-3,
        perturbation=0.0,
        precision="float32",
        transductive=True,
        unlabelled_weight=0.7,
        unlabelled_batch=10,
        unlabelled_from=0.0,
    )
    lent = Lent(torch.rand(23, DIM, generator=torch.Generator().manual_seed(5)), None)
    ours = TransductiveGSMFlowLearner(replace(data_of_steps(), lent=lent), options, seed=3)
    ours.model.flow.reset(torch.Generator().manual_seed(0), scale=0.1)
    plain = PlainTransductive(ours)
    for index in range(steps):
        losses = ours.step(index)
        theirs = plain.with_unlabelled(ours.batches[index], ours.unlabelled(index), 0.7)
        assert float(losses["loss_unlabelled"]) == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    for block, other in zip(ours.model.flow.blocks, plain.flow.blocks, strict=True):
        assert isinstance(block, ConditionalCoupling)
        for which in ("1", "2"):
            net, sequence = getattr(block, f"net{which}"), getattr(other, f"subnet{which}")
            split = net.x_weight.shape[1]
            assert torch.allclose(net.x_weight, sequence[0].weight[:, :split], atol=2e-5)
            assert torch.allclose(net.g_weight, sequence[0].weight[:, split:], atol=2e-5)
            assert torch.allclose(net.bias, sequence[0].bias, atol=2e-5)
            assert torch.allclose(net.out_weight, sequence[2].weight, atol=2e-5)
    for layer, theirs_layer in zip(ours.model.positioning.layers, plain.layers, strict=True):
        assert torch.allclose(layer.weight, theirs_layer.weight, atol=2e-5)  # type: ignore[arg-type]


def test_the_second_critics_loss_is_that_of_gulrajani_with_autograds_slopes() -> None:
    second = learner("f-vaegan-d2").second
    x = second.unlabelled[:20]
    fake = second.synthesize(20, "test", 0)
    loss = second.loss(x, fake, turn=4)
    share = torch.rand(len(x), 1, generator=stream(CPU, 3, "second mixture", 4))
    mixed = (share * x + (1 - share) * fake).detach().requires_grad_()
    hidden, readout = second.critic.of_input, second.critic.rest

    def scores(features: Tensor) -> Tensor:
        return readout(hidden(features))  # no semantics anywhere

    (slope,) = torch.autograd.grad(scores(mixed).sum(), mixed)
    plain = scores(fake).mean() - scores(x).mean() + 10 * (slope.norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(loss, plain)


def test_synthetic_features_for_the_second_critic_are_of_unseen_classes_alike() -> None:
    untrained = learner("f-vaegan-d2")
    drawn: list[Tensor] = []

    def noted(z: Tensor, semantics: Tensor, rows: Tensor) -> Tensor:
        drawn.append(semantics[rows])
        return torch.zeros(len(z), untrained.dim)

    untrained.synthesize = noted
    untrained.second.synthesize(3000, "x", 0)
    unseen = untrained.units.semantics(untrained.data.semantics[untrained.data.unseen])
    shares = torch.stack([(drawn[0] == a).all(dim=1).double().mean() for a in unseen])
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3, dtype=torch.float64), atol=0.03, rtol=0)


def test_unlabelled_features_become_more_likely_under_the_mixture() -> None:
    more = {"learning_rate": 3e-3, "epochs": 6, "least_steps": 0, "unlabelled_weight": 1.0}
    ours, late = trained("gsmflow", 40, **more), trained("gsmflow", 40, **more, unlabelled_from=0.99)
    features = ours.data.lent.features
    with torch.no_grad():
        assert float(ours.mixture_loss(features)) < float(late.mixture_loss(features)) - 0.05


def test_a_run_says_its_setting_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(["train", PROBLEM, *ARGUMENTS, "--transductive", "--oracle", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "(transductive)" in " ".join(shown.split())
    metrics, config = read_metrics(out), read_config(out)
    assert metrics["setting"] == config["run"]["setting"] == "transductive"
    assert config["options"]["gsmflow"]["transductive"] is True
    again, same = read_problem(out, config, data_root=tmp_path)
    assert same
    np.testing.assert_array_equal(again.test_unseen, problem().test_unseen)
    assert main(["evaluate", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["setting"] == "transductive"
    assert told["T1"] == metrics["T1"]
    assert main(["runs", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["setting"] == "transductive"
    new = ",".join(["0.3"] * 6)
    assert main(["add-class", str(out), "--name", "new", "--attributes", new, "--json"]) == 0
    assert read_config(tmp_path / "run-v2")["run"]["setting"] == "transductive"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--method", "lda", "--transductive"],
            "method 'lda' has no transductive setting; choose one of gsmflow,",
        ),
        (["--method", "auto", "--transductive"], "method 'auto' has no transductive setting"),
        (["--method", "cflow", "--transductive"], "method 'cflow' has no transductive setting"),
        (["--method", "auto", "--set", "gsmflow.transductive=on"], "members of a stack are inductive"),
        (
            ["--transductive", "--set", "selection.trust_validation=off"],
            "no features of unseen classes, which the transductive setting looks at",
        ),
    ],
)
def test_what_has_no_such_setting_is_refused_in_one_line(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", PROBLEM, *words, "--out", str(tmp_path / "x")]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_an_estimator_that_is_given_seen_classes_alone_is_refused() -> None:
    given = problem()
    labels = np.array(given.classes)[given.labels[given.train]]
    estimator = ZeroShotClassifier("gsmflow", options={"gsmflow.transductive": True})
    with pytest.raises(InputError, match="no features of unseen classes"):
        estimator.fit(given.features[given.train], labels, semantics=given.semantics, classes=given.classes)


def test_a_bench_has_a_row_of_its_own_for_the_setting() -> None:
    variants = [Variant.parse(name, ("head.epochs=2",)) for name in ("lda", "gsmflow@best", "tf-vaegan")]
    more = in_transductive_setting(variants)
    assert [variant.label for variant in more] == ["gsmflow@best+transductive", "tf-vaegan+transductive"]
    recipe = make_recipe(more[1].method, "best", more[1].overrides)
    assert recipe.setting is Setting.TRANSDUCTIVE
    assert recipe.head.epochs == 2
    with pytest.raises(InputError, match="'lda' has no transductive setting"):
        in_transductive_setting(variants[:1])
    with pytest.raises(InputError, match="'free' has no transductive setting"):
        transductive_override("free")
