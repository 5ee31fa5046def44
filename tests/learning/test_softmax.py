"""The softmax head against the same training written with autograd, and the bias carried over by rates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gsmflow.compute.randomness import normal, stream
from gsmflow.heads.linear import LinearHead
from gsmflow.learning.head_data import Pool, Stream
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.softmax import train_head
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner
from gsmflow.protocol.unseen_bias import UnseenRates, bias_for, rates_of
from support.recipes import problem


def pool(seed: int = 0, count: int = 300, dim: int = 6, classes: int = 5) -> Pool:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    centres = torch.randn(classes, dim, generator=generator)
    features = centres[labels] + 0.5 * torch.randn(count, dim, generator=generator)
    return Pool(features, labels, count // 2)


def test_training_is_that_of_an_ordinary_linear_layer() -> None:
    data = pool()
    options = HeadOptions(learning_rate=0.02, epochs=4, batch_size=64)
    layer = torch.nn.Linear(6, 5)
    with torch.no_grad():
        layer.weight.copy_(normal((5, 6), torch.device("cpu"), 7, "head", "weight") * (2 / 11) ** 0.5)
        layer.bias.zero_()
    adam = torch.optim.Adam(layer.parameters(), lr=0.02, betas=(0.5, 0.999))
    for epoch, head in enumerate(train_head(data, 5, options, 7, "head")):
        order = torch.randperm(300, generator=stream("cpu", 7, "head", "order", epoch))
        for rows in order.split(64):
            adam.zero_grad()
            F.nll_loss(F.log_softmax(layer(data.features[rows]), dim=1), data.labels[rows]).backward()
            adam.step()
        torch.testing.assert_close(head.weight, layer.weight.detach(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(head.bias, layer.bias.detach(), rtol=1e-4, atol=1e-5)


def test_the_initial_weight_is_xavier_normal() -> None:
    data = pool(dim=400, classes=200)
    *_, head = train_head(data, 200, HeadOptions(learning_rate=1e-12, epochs=1), 0, "head")
    assert head.weight.std().item() == pytest.approx((2 / 600) ** 0.5, rel=0.02)


def test_the_pool_holds_real_and_synthetic_features_class_by_class() -> None:
    data = problem()
    training = TrainingData.of(data, torch.device("cpu"))
    learner = GSMFlowLearner(training, GSMFlowOptions(hidden=16, global_semantic=8, blocks=1), 0)
    pool = Pool.synthesize(learner, training, 7, seed=3)
    assert pool.real == len(data.train)
    np.testing.assert_array_equal(pool.features[: pool.real], data.features[data.train])
    np.testing.assert_array_equal(pool.labels[: pool.real], data.labels[data.train])
    assert pool.labels[pool.real :].tolist() == [c for c in data.unseen for _ in range(7)]
    again = learner.sample(training.semantics[training.unseen], 7, 3, "synthesis", 0)
    torch.testing.assert_close(pool.features[pool.real :], again)
    unseen_alone = pool.synthetic(training.unseen)
    assert unseen_alone.labels.unique().tolist() == list(range(len(data.unseen)))


def test_a_bias_is_found_again_from_its_rates() -> None:
    data, unseen = pool(count=2000), torch.tensor([3, 4])
    *_, head = train_head(data, 5, HeadOptions(epochs=5, learning_rate=0.01), 0, "head")
    for bias in (-0.7, 0.0, 0.4):
        again = bias_for(head, data, unseen, rates_of(head, data, unseen, bias))
        assert again == pytest.approx(bias, abs=0.05)


def test_rates_do_not_depend_on_the_scale_of_the_logits() -> None:
    data, unseen = pool(count=2000), torch.tensor([3, 4])
    *_, head = train_head(data, 5, HeadOptions(epochs=5, learning_rate=0.01), 0, "head")
    larger = LinearHead(3 * head.weight, 3 * head.bias)
    rates = rates_of(head, data, unseen, 0.4)
    assert bias_for(larger, data, unseen, rates) == pytest.approx(1.2, abs=0.15)


def test_a_rate_that_tells_nothing_is_no_guess() -> None:
    """Any large bias calls all synthetic features unseen; then the rate of real ones counts alone."""
    data, unseen = pool(count=2000), torch.tensor([3, 4])
    *_, head = train_head(data, 5, HeadOptions(epochs=5, learning_rate=0.01), 0, "head")
    real = bias_for(head, data, unseen, UnseenRates(0.3, None))
    assert bias_for(head, data, unseen, UnseenRates(0.3, 1.0)) == real
    assert bias_for(head, data, unseen, UnseenRates(0.3, 0.9)) != real


def test_codes_train_nearly_the_same_head() -> None:
    data = problem()
    training = TrainingData.of(data, torch.device("cpu"))
    learner = GSMFlowLearner(training, GSMFlowOptions(hidden=16, global_semantic=8, blocks=1), 0)
    plain, coded = (Pool.synthesize(learner, training, 50, seed=3, coded=c) for c in (False, True))
    assert coded.features.dtype == torch.uint8
    span = plain.features.amax(dim=0) - plain.features.amin(dim=0)
    inside = (plain.features >= coded.low) & (plain.features <= coded.low + 255 * coded.step)
    assert inside.float().mean() > 0.99
    error = (coded.rows(0, len(coded.labels)) - plain.features).abs()
    assert (error <= 0.501 * coded.step)[inside].all()
    assert (255 * coded.step < 1.5 * span).all()
    options = HeadOptions(epochs=5, learning_rate=0.02)
    logits = []
    for each in (plain, coded):
        *_, head = train_head(each, len(data.classes), options, 0, "head")
        logits.append(head.logits(torch.from_numpy(data.features)))
    assert (logits[0].argmax(dim=1) == logits[1].argmax(dim=1)).float().mean() > 0.98
    torch.testing.assert_close(logits[1], logits[0], rtol=0.02, atol=0.1)


def test_a_stream_passes_over_the_same_features_in_shards_like_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = problem()
    training = TrainingData.of(data, torch.device("cpu"))
    learner = GSMFlowLearner(training, GSMFlowOptions(hidden=16, global_semantic=8, blocks=1), 0)
    monkeypatch.setattr("gsmflow.learning.head_data._STREAMED_FROM", 1)
    monkeypatch.setattr("gsmflow.learning.head_data._SHARD", 4 * 10 * 150)
    stream = Pool.synthesize(learner, training, 50, seed=3)
    assert isinstance(stream, Stream)
    first, second = ([*stream.shards("pass", epoch)] for epoch in (0, 1))
    assert len(first) > 2
    for shard in first:
        counts = torch.bincount(shard.labels[shard.real :], minlength=12)[training.unseen]
        assert counts.min() == counts.max() > 0  # every unseen class has the same share of every shard
        assert abs(shard.real - len(data.train) / len(first)) <= 1

    def everything(shards: list[Pool]) -> np.ndarray:
        rows = torch.cat([torch.cat((s.features, s.labels[:, None].float()), dim=1) for s in shards])
        return np.unique(rows.numpy(), axis=0)

    np.testing.assert_array_equal(everything(first), everything(second))
    assert len(everything(first)) == len(data.train) + 3 * 50
    np.testing.assert_array_equal(stream.counts(12), sum(s.counts(12) for s in first))
    alone = stream.synthetic(training.unseen)
    assert {int(label) for shard in alone.shards() for label in shard.labels} == {0, 1, 2}


def test_heads_and_rates_of_a_stream_are_those_of_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    data = problem()
    training = TrainingData.of(data, torch.device("cpu"))
    learner = GSMFlowLearner(training, GSMFlowOptions(hidden=16, global_semantic=8, blocks=1), 0)
    options = HeadOptions(learning_rate=0.02, epochs=8, batch_size=64)
    whole = Pool.synthesize(learner, training, 50, seed=3)
    monkeypatch.setattr("gsmflow.learning.head_data._STREAMED_FROM", 1)
    monkeypatch.setattr("gsmflow.learning.head_data._SHARD", 4 * 10 * 150)
    streamed = Pool.synthesize(learner, training, 50, seed=3)
    *_, one = train_head(whole, 12, options, 0, "head")
    *_, other = train_head(streamed, 12, options, 0, "head")
    x = training.features
    agree = (one.logits(x).argmax(dim=1) == other.logits(x).argmax(dim=1)).float().mean()
    assert agree > 0.95
    rates = rates_of(one, whole, training.unseen, 0.3), rates_of(one, streamed, training.unseen, 0.3)
    assert rates[0].real == pytest.approx(rates[1].real)
    assert rates[0].synthetic == pytest.approx(rates[1].synthetic, abs=0.15)  # other noise
