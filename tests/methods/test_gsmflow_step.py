"""Whole training steps (both losses, Adam, schedule) against the same steps written plainly with FrEIA."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gsmflow.compute import adam
from gsmflow.compute.adam import MasterAdam
from gsmflow.compute.cuda_graphs import Beside, Recording
from gsmflow.compute.devices import has_eight_bit
from gsmflow.flow import ConditionalCoupling, gradients
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner
from support.freia import FreiaFlow, freia_twin

SAMPLES, DIM, ATTRIBUTES, SEEN, UNSEEN = 50, 9, 6, 5, 2


def data(seed: int = 0) -> TrainingData:
    generator = torch.Generator().manual_seed(seed)
    return TrainingData(
        features=torch.rand(SAMPLES, DIM, generator=generator),
        labels=torch.arange(SAMPLES) % SEEN,
        semantics=torch.rand(SEEN + UNSEEN, ATTRIBUTES, generator=generator),
        seen=torch.arange(SEEN),
        unseen=torch.arange(SEEN, SEEN + UNSEEN),
    )


class PlainTraining:
    """The published step: FrEIA's blocks, torch's Adam and StepLR, one condition a sample."""

    def __init__(self, learner: GSMFlowLearner) -> None:
        options = learner.options
        self.options, self.data = options, learner.data
        self.flow: FreiaFlow = freia_twin(learner.model.flow, options.global_semantic)
        self.anchors = learner.model.positioning.anchors.clone()
        self.layers = nn.ModuleList(nn.Linear(ATTRIBUTES, options.global_semantic) for _ in self.anchors)
        self.layers.load_state_dict(learner.model.positioning.layers.state_dict())
        self.adam = torch.optim.Adam(
            [*self.flow.parameters(), *self.layers.parameters()],
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
        )
        self.schedule = torch.optim.lr_scheduler.StepLR(
            self.adam, step_size=options.decay_epochs, gamma=options.decay_gamma
        )
        self.done = 0

    def position(self, semantics: Tensor) -> Tensor:
        terms = [torch.relu(h(semantics - v)) for h, v in zip(self.layers, self.anchors, strict=True)]
        return torch.stack(terms).sum(dim=0)

    def step(self, picked: Tensor) -> tuple[float, float]:
        x, labels = self.data.features[picked], self.data.labels[picked]
        semantics = self.data.semantics[self.data.seen]
        z, log_det = self.flow(x, self.position(semantics[labels]))
        flow_loss = z.square().mean() / 2 - log_det.mean() / DIM
        means = torch.stack([self.data.features[self.data.labels == c].mean(dim=0) for c in range(SEEN)])
        with torch.no_grad():
            g = self.position(semantics)
        prototypes, _ = self.flow(torch.zeros(SEEN, DIM), g, rev=True)
        prototype_loss = nn.functional.mse_loss(prototypes, means)
        self.adam.zero_grad()
        (flow_loss + self.options.prototype_weight * prototype_loss).backward()
        self.adam.step()
        self.done += 1
        if self.done % math.ceil(SAMPLES / self.options.batch_size) == 0:
            self.schedule.step()
        return flow_loss.item(), prototype_loss.item()


@pytest.mark.parametrize("steps", [1, 25])
def test_steps_agree_with_freia(steps: int) -> None:
    options = GSMFlowOptions(
        batch_size=16,
        blocks=3,
        hidden=12,
        global_semantic=10,
        epochs=20,
        decay_epochs=2,
        decay_gamma=0.5,
        weight_decay=1e-2,
        learning_rate=3e-3,
        perturbation=0.0,
        precision="float32",
    )
    learner = GSMFlowLearner(data(), options, seed=3)
    learner.model.flow.reset(torch.Generator().manual_seed(0), scale=0.1)
    plain = PlainTraining(learner)
    for index in range(steps):
        ours = learner.step(index)
        theirs = plain.step(learner.batches[index])
        assert float(ours["loss_flow"]) == pytest.approx(theirs[0], rel=1e-4, abs=1e-5)
        assert float(ours["loss_prototype"]) == pytest.approx(theirs[1], rel=1e-4, abs=1e-6)
    assert learner.learning_rate(steps) == pytest.approx(plain.schedule.get_last_lr()[0])
    for block, other in zip(learner.model.flow.blocks, plain.flow.blocks, strict=True):
        assert isinstance(block, ConditionalCoupling)
        for which in ("1", "2"):
            net, sequence = getattr(block, f"net{which}"), getattr(other, f"subnet{which}")
            assert isinstance(sequence[0], nn.Linear)
            split = net.x_weight.shape[1]
            assert torch.allclose(net.x_weight, sequence[0].weight[:, :split], atol=2e-5)
            assert torch.allclose(net.g_weight, sequence[0].weight[:, split:], atol=2e-5)
            assert torch.allclose(net.out_weight, sequence[2].weight, atol=2e-5)
    for ours, theirs in zip(learner.model.positioning.layers, plain.layers, strict=True):
        assert torch.allclose(ours.weight, theirs.weight, atol=2e-5)  # type: ignore[arg-type]


def test_few_samples_are_passed_over_until_the_least_steps_are_done() -> None:
    options = GSMFlowOptions(batch_size=16, blocks=1, hidden=4, global_semantic=4, epochs=2)
    learner = GSMFlowLearner(data(), options, seed=0)
    assert learner.total_steps == 2 * learner.steps_per_epoch
    longer = GSMFlowLearner(data(), replace(options, least_steps=learner.total_steps + 1), seed=0)
    assert longer.total_steps == learner.total_steps + 1


def test_the_prototype_loss_does_not_move_g() -> None:
    learner = GSMFlowLearner(
        data(), GSMFlowOptions(blocks=2, hidden=8, global_semantic=6, precision="float32"), seed=0
    )
    learner.model.flow.note_gradients(None)
    _, apart = learner.model.conditions(learner.seen_semantics)
    learner.model.prototype_loss(apart, learner.means).backward()
    assert all(p.grad is None for p in learner.model.positioning.parameters())
    assert all(p.grad is not None for p in learner.model.flow.parameters())


def test_bfloat16_training_keeps_float32_masters_and_stays_close() -> None:
    """After some steps the bfloat16 run's masters lie near the float32 run's, and are no bfloat16 values."""
    runs = {}
    for precision in ("float32", "bfloat16"):
        options = GSMFlowOptions(blocks=2, hidden=16, global_semantic=8, batch_size=25, precision=precision)
        learner = GSMFlowLearner(data(), options, seed=1)
        for index in range(20):
            losses = learner.step(index)
        runs[precision] = (learner.weights(), float(losses["loss_flow"]))
    masters, loss = runs["bfloat16"]
    assert all(tensor.dtype == torch.float32 for tensor in masters.values())
    weight = masters["flow.blocks.0.net1.out_weight"]
    assert not torch.equal(weight, weight.bfloat16().float())
    assert loss == pytest.approx(runs["float32"][1], abs=0.02)
    for name, tensor in runs["float32"][0].items():
        assert torch.allclose(tensor, masters[name], atol=5e-3), name


def test_state_continues_bit_for_bit() -> None:
    for precision in ("float32", "bfloat16"):
        options = GSMFlowOptions(blocks=2, hidden=8, global_semantic=6, batch_size=16, precision=precision)
        whole = GSMFlowLearner(data(), options, seed=5)
        for index in range(12):
            whole.step(index)
        first = GSMFlowLearner(data(), options, seed=5)
        for index in range(7):
            first.step(index)
        state = {name: tensor.clone() for name, tensor in first.state().items()}
        second = GSMFlowLearner(data(), options, seed=5)
        second.load_state(state)
        for index in range(7, 12):
            second.step(index)
        for name, tensor in whole.state().items():
            assert torch.equal(tensor, second.state()[name]), name
        assert torch.equal(
            whole.sample(whole.data.semantics, 3, 1), second.sample(whole.data.semantics, 3, 1)
        )


def test_a_state_of_another_shape_is_refused() -> None:
    small = GSMFlowLearner(data(), GSMFlowOptions(blocks=1, hidden=8, global_semantic=6), seed=0)
    large = GSMFlowLearner(data(), GSMFlowOptions(blocks=1, hidden=9, global_semantic=6), seed=0)
    with pytest.raises(ValueError, match="has shape"):
        large.load_state(small.state())
    deep = GSMFlowLearner(data(), GSMFlowOptions(blocks=2, hidden=8, global_semantic=6), seed=0)
    with pytest.raises(ValueError, match="not in both"):
        deep.load_state(small.state())


def test_more_classes_than_samples_a_batch_gives_the_same_step() -> None:
    """Conditions once a class or once a sample: the same gradients."""
    options = GSMFlowOptions(
        blocks=2, hidden=8, global_semantic=6, batch_size=25, precision="float32", perturbation=0.0
    )
    by_class = GSMFlowLearner(data(), options, seed=2)
    by_class.model.flow.note_gradients(None)
    conditions, _ = by_class.model.conditions(by_class.seen_semantics)
    rows = by_class.data.labels[by_class.batches[0]]
    features = by_class.data.features[by_class.batches[0]]
    one = by_class.model.flow_loss(features, conditions, rows)
    one.backward()
    gradients = {n: p.grad.clone() for n, p in by_class.model.named_parameters() if p.grad is not None}
    by_class.model.zero_grad()
    by_sample, _ = by_class.model.conditions(by_class.seen_semantics[rows])
    by_class.model.flow_loss(features, by_sample).backward()
    assert gradients.keys() == {n for n, p in by_class.model.named_parameters() if p.grad is not None}
    for name, parameter in by_class.model.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(gradients[name], parameter.grad, atol=1e-6), name


@pytest.mark.parametrize("prototype_weight", [0.0, 2.0])
@pytest.mark.parametrize("every_layer", [True, False])
def test_noted_gradients_are_the_ordinary_ones(prototype_weight: float, every_layer: bool) -> None:
    """What the optimizer is given, against autograd's own accumulation through plain layers."""
    options = GSMFlowOptions(
        blocks=3,
        hidden=8,
        global_semantic=6,
        batch_size=25,
        precision="float32",
        perturbation=0.0,
        prototype_weight=prototype_weight,
        semantics_in_every_layer=every_layer,
    )
    learner = GSMFlowLearner(data(), options, seed=2)
    learner.model.flow.reset(torch.Generator().manual_seed(0), scale=0.3)
    features, rows = (part[learner.batches[0]] for part in (learner.data.features, learner.data.labels))

    def loss() -> Tensor:
        conditions, apart = learner.model.conditions(learner.seen_semantics)
        total = learner.model.flow_loss(features, conditions, rows)
        return total + prototype_weight * learner.model.prototype_loss(apart, learner.means)

    loss().backward()
    collected = {p: g.clone() for p, g in learner.gradients.collect()}
    collected |= {p: p.grad.clone() for p in learner.model.parameters() if p.grad is not None}
    learner.model.zero_grad()
    learner.model.flow.note_gradients(None)
    loss().backward()
    for name, parameter in learner.model.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(collected[parameter], parameter.grad, rtol=1e-4, atol=1e-7), name


@pytest.mark.parametrize("prototype_weight", [3.0, 0.0])  # two batches through every layer, or one
def test_weights_updated_during_the_backward_pass_are_those_updated_after_it(
    prototype_weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU does beside the backward pass, done here in turn: no weight is changed while it is still needed."""
    for module in (gradients, adam):
        monkeypatch.setattr(module, "LARGE", 24 * 4)
    options = GSMFlowOptions(
        batch_size=16,
        blocks=2,
        hidden=24,
        global_semantic=10,
        prototype_weight=prototype_weight,
        precision="float32",
    )
    after, during = (GSMFlowLearner(data(), options, seed=3) for _ in range(2))
    during.recording = Recording()
    monkeypatch.setattr(during.recording, "run", lambda function, *inputs: function(*inputs))
    early: list[nn.Parameter] = []
    update = during.optimizer.update

    def seen(rate: float, parameter: nn.Parameter, gradient: Tensor) -> None:
        early.append(parameter)
        update(rate, parameter, gradient)

    monkeypatch.setattr(during.optimizer, "update", seen)
    for index in range(5):
        after.step(index)
        during.step(index)
    assert len(early) == 5 * 2 * 2 * 3  # steps, blocks, subnets, weights
    for name, tensor in after.weights().items():
        torch.testing.assert_close(during.weights()[name], tensor, rtol=1e-5, atol=1e-6)


def test_adam_in_one_pass_is_adam() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(40, 30, generator=generator)
    plain, once = (
        MasterAdam({"w": nn.Parameter(start.bfloat16())}, {"w": start.clone()}, weight_decay=0.01)
        for _ in range(2)
    )
    for _ in range(30):
        gradient = torch.randn(40, 30, generator=generator).bfloat16()
        plain.step(0.01, [(plain.parameters["w"], gradient)])
        with torch.no_grad():
            once._update_at_once("w", gradient, torch.tensor(0.01))
    for name, tensor in plain.state().items():
        torch.testing.assert_close(once.state()[name], tensor, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(once.parameters["w"], plain.parameters["w"])


def test_a_backward_pass_that_fails_leaves_nothing_behind() -> None:
    notes = gradients.WeightGradients()
    weight = nn.Parameter(torch.zeros(3, 2))

    def interrupted() -> None:
        with notes.used_early(lambda *given: None, Beside(torch.device("cpu")), 2):
            notes.note(weight, None, torch.ones(1, 2), torch.ones(1, 3))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(notes.collect())


@pytest.mark.parametrize(
    ("options", "coarse"),
    [
        ({}, True),
        ({"precision": "float32"}, False),
        ({"precision": "bfloat16"}, False),
        ({"hidden": 64}, False),
    ],
)
def test_only_large_flows_of_automatic_precision_synthesize_coarsely(
    options: dict[str, Any], coarse: bool
) -> None:
    given = data()
    wide = replace(given, features=torch.rand(SAMPLES, 64, generator=torch.Generator().manual_seed(4)))
    base = {"blocks": 1, "hidden": 1024, "global_semantic": 8, "residual": True}
    learner = GSMFlowLearner(wide, GSMFlowOptions(**base | options), 0)
    sample = learner.coarse_sampler()
    assert (sample is not None) == (coarse and has_eight_bit(torch.device("cpu")))
    if sample is None:
        return
    semantics = given.semantics[given.unseen]
    exact = learner.sample(semantics, 500, 1).view(UNSEEN, 500, -1)
    means = sample(semantics, 500, 1).view(UNSEEN, 500, -1).mean(dim=1)
    assert ((means - exact.mean(dim=1)).abs() < 7 * exact.std(dim=1) / 500**0.5).all()


@pytest.mark.parametrize("every_layer", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_the_prototype_loss_of_drawn_classes_is_unbiased(every_layer: bool, residual: bool) -> None:
    """Loss and gradients averaged over all subsets of classes are those of all classes."""
    options = GSMFlowOptions(
        blocks=2,
        hidden=8,
        global_semantic=6,
        batch_size=16,
        precision="float32",
        perturbation=0.0,
        semantics_in_every_layer=every_layer,
        residual=residual,
    )
    learner = GSMFlowLearner(data(), options, seed=2)
    learner.model.flow.reset(torch.Generator().manual_seed(0), scale=0.2)
    learner.model.flow.note_gradients(None)
    features, rows = learner.data.rows(learner.batches[0])

    def loss_and_gradients(chosen: Tensor | None) -> tuple[float, dict[str, Tensor]]:
        learner.model.zero_grad()
        total, losses = learner.losses_of(features, rows, chosen)
        total.backward()
        gradients = {n: p.grad.clone() for n, p in learner.model.named_parameters() if p.grad is not None}
        return float(losses["loss_prototype"]), gradients

    loss, gradients = loss_and_gradients(None)
    parts = [loss_and_gradients(torch.tensor(some)) for some in combinations(range(SEEN), 2)]
    assert len({round(part, 6) for part, _ in parts}) == len(parts)  # each subset has a loss of its own
    assert sum(part for part, _ in parts) / len(parts) == pytest.approx(loss, rel=1e-5)
    for name, gradient in gradients.items():
        mean = torch.stack([part[name] for _, part in parts]).mean(dim=0)
        torch.testing.assert_close(mean, gradient, rtol=1e-4, atol=1e-6)


def test_classes_of_the_prototype_loss_are_drawn_evenly_and_anew() -> None:
    options = GSMFlowOptions(blocks=1, hidden=4, global_semantic=4, batch_size=16, prototype_classes=2)
    learner = GSMFlowLearner(data(), options, seed=1)
    drawn = [learner.prototype_classes(index) for index in range(1000)]
    assert all(each is not None and len(set(each.tolist())) == 2 for each in drawn)
    counts = torch.bincount(torch.cat([each for each in drawn if each is not None]), minlength=SEEN)
    assert (counts - 400).abs().max() < 80  # five standard deviations
    again = GSMFlowLearner(data(), options, seed=1).prototype_classes(7)
    assert again is not None
    assert drawn[7] is not None
    assert torch.equal(again, drawn[7])
    for name, value in (("prototype_classes", SEEN), ("prototype_classes", 0), ("prototype_weight", 0.0)):
        assert GSMFlowLearner(data(), replace(options, **{name: value}), seed=1).prototype_classes(7) is None


def test_training_on_drawn_classes_lowers_the_prototype_loss_of_all() -> None:
    options = GSMFlowOptions(
        blocks=2, hidden=16, global_semantic=8, batch_size=25, prototype_classes=1, learning_rate=3e-3
    )
    learner = GSMFlowLearner(data(), options, seed=1)

    @torch.no_grad()
    def loss() -> float:
        _, apart = learner.model.conditions(learner.seen_semantics)
        return float(learner.model.prototype_loss(apart, learner.means))

    before = loss()
    for index in range(60):
        learner.step(index)
    assert loss() < before / 3
