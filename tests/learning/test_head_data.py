"""What heads are trained on: codes near enough, streams that hold what pools hold, and every class its share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gsmflow.compute.finite import TrainingFailed
from gsmflow.compute.randomness import normal
from gsmflow.learning import head_data
from gsmflow.learning.head_data import Pool, Stream
from gsmflow.learning.tensors import TrainingData

DIM = 5


class Sampler:
    """A generator of class c's features: c + 0.1 times noise, of DIM + 1 dimensions; the last is always 1."""

    steps_per_epoch = total_steps = 1

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken

    def sample(self, semantics: Tensor, count: int, *key: int | str) -> Tensor:
        noise = normal((len(semantics) * count, DIM), semantics.device, *key)
        centres = semantics[:, :1].repeat_interleave(count, dim=0)
        rows = torch.cat((centres + 0.1 * noise, torch.ones(len(noise), 1)), dim=1)
        if self.broken:
            rows[-1, 0] = torch.nan
        return rows

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        return torch.cat((features, torch.ones(len(features), 1)), dim=1)

    def representation(self) -> None:
        return None

    def step(self, index: int) -> dict[str, Tensor]:
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor]:
        return {}

    state = weights

    def load_weights(self, weights: object) -> None: ...

    load_state = load_weights


def data(samples: int = 12) -> TrainingData:
    """Classes 0, 2 and 4 are seen, 1 and 3 are not."""
    labels = torch.arange(samples) % 3
    seen = torch.tensor([0, 2, 4])
    noise = normal((samples, DIM), torch.device("cpu"), "real")
    return TrainingData(
        features=seen[labels, None] + 0.1 * noise,
        labels=labels,
        semantics=torch.arange(5.0)[:, None].repeat(1, 2),
        seen=seen,
        unseen=torch.tensor([1, 3]),
    )


def test_real_features_come_first_and_then_every_unseen_class_in_turn() -> None:
    given = data()
    pool = Pool.synthesize(Sampler(), given, 4, seed=0)
    assert isinstance(pool, Pool)
    assert pool.features.dtype == torch.float32
    assert (pool.real, pool.dim) == (12, DIM + 1)
    assert pool.labels.tolist() == [*given.seen[given.labels].tolist(), *[1] * 4, *[3] * 4]
    assert torch.equal(pool.features[:12, :DIM], given.features)
    for label in (1, 3):
        assert (pool.features[pool.labels == label, :DIM] - label).abs().max() < 0.6
    assert pool.counts(5).tolist() == [4, 4, 4, 4, 4]


def test_the_same_seed_gives_the_same_features_whatever_is_done_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, again, other = (Pool.synthesize(Sampler(), data(), 6, seed=seed) for seed in (0, 0, 1))
    assert isinstance(first, Pool)
    assert isinstance(again, Pool)
    assert isinstance(other, Pool)
    assert torch.equal(first.features, again.features)
    assert not torch.equal(first.features, other.features)
    monkeypatch.setattr(head_data, "_AT_ONCE", 5)
    monkeypatch.setattr(head_data, "_OF_A_CLASS", 4)  # each class in two goes
    parts = Pool.synthesize(Sampler(), data(), 6, seed=0)
    assert isinstance(parts, Pool)
    assert torch.equal(parts.labels, first.labels)
    assert torch.equal(parts.features[: parts.real], first.features[: first.real])
    for label in (1, 3):
        rows = parts.features[parts.labels == label]
        assert len(torch.unique(rows[:, 0])) == 6  # the second go repeats nothing of the first
        assert (rows[:, :DIM] - label).abs().max() < 0.6


def test_codes_are_a_quarter_of_the_size_and_near() -> None:
    plain = Pool.synthesize(Sampler(), data(), 50, seed=0, coded=False)
    coded = Pool.synthesize(Sampler(), data(), 50, seed=0, coded=True)
    assert isinstance(plain, Pool)
    assert isinstance(coded, Pool)
    assert coded.features.dtype == torch.uint8
    assert coded.low is not None
    assert coded.step is not None
    assert torch.equal(coded.labels, plain.labels)
    error = (coded.rows(0, len(coded.labels)) - plain.features).abs()
    known = torch.cat(
        (plain.features[:12], plain.features[12:].clamp(coded.low, coded.low + 255 * coded.step))
    )
    near = (coded.rows(0, len(coded.labels)) - known).abs()
    assert (near <= coded.step / 2 + 1e-5).all()
    assert error[:, -1].max() == 0  # a dimension that is always the same is exact
    assert torch.equal(coded.decoded(coded.features[3:5]), coded.rows(3, 5))


def test_size_decides_about_codes_and_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = (12 + 2 * 50) * (DIM + 1)
    monkeypatch.setattr(head_data, "_CODED_FROM", entries * 4)
    coded = Pool.synthesize(Sampler(), data(), 50, seed=0)
    assert isinstance(coded, Pool)
    assert coded.features.dtype == torch.uint8
    monkeypatch.setattr(head_data, "_CODED_FROM", entries * 4 + 1)
    plain = Pool.synthesize(Sampler(), data(), 50, seed=0)
    assert isinstance(plain, Pool)
    assert plain.features.dtype == torch.float32
    monkeypatch.setattr(head_data, "_STREAMED_FROM", entries)
    assert isinstance(Pool.synthesize(Sampler(), data(), 50, seed=0), Stream)


def test_synthetic_features_alone_are_labelled_among_the_unseen_classes() -> None:
    given = data()
    pool = Pool.synthesize(Sampler(), given, 4, seed=0)
    assert isinstance(pool, Pool)
    alone = pool.synthetic(given.unseen)
    assert alone.labels.tolist() == [0] * 4 + [1] * 4
    assert alone.real == 0
    assert torch.equal(alone.features, pool.features[12:])


@pytest.mark.parametrize(("at_most", "rows"), [(None, 12), (12, 12), (6, 6), (5, 4), (1, 1)])
def test_real_features_alone_are_evenly_spaced(at_most: int | None, rows: int) -> None:
    given = data()
    pool = Pool.of_real(given, at_most)
    assert len(pool.labels) == pool.real == rows
    every = 12 // rows
    assert torch.equal(pool.features, given.features[::every])
    assert torch.equal(pool.labels, given.seen[given.labels[::every]])


def test_a_stream_passes_over_every_feature_once_and_again_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    given = data()
    monkeypatch.setattr(head_data, "_SHARD", 4 * 20 * (DIM + 1))  # about twenty features
    stream = Stream(Sampler(), given, 30, seed=0)
    assert stream.dim == DIM + 1
    shards = list(stream.shards(0, "order", 0))
    assert len(shards) == round((12 + 60) / 20)
    labels = torch.cat([shard.labels for shard in shards])
    assert torch.bincount(labels, minlength=5).tolist() == stream.counts(5).tolist() == [4, 30, 4, 30, 4]
    real = torch.cat([shard.features[: shard.real] for shard in shards])
    order = real[:, 0].argsort(), given.features[:, 0].argsort()
    assert torch.equal(real[order[0], :DIM], given.features[order[1]])
    for shard in shards:
        synthetic_labels = shard.labels[shard.real :]
        assert (synthetic_labels == 1).sum() == (
            synthetic_labels == 3
        ).sum()  # every class has its share in each
        assert shard.real == 12 // len(shards)
    # In another order, with other company: the same synthetic features
    again = list(stream.shards(0, "order", 1))

    def synthetic(parts: list[Pool]) -> Tensor:
        rows = torch.cat([part.features[part.real :] for part in parts])
        return rows[rows[:, 0].argsort()]

    assert torch.equal(synthetic(shards), synthetic(again))


def test_a_stream_of_synthetic_features_alone() -> None:
    given = data()
    alone = Stream(Sampler(), given, 7, seed=0).synthetic(given.unseen)
    (shard,) = alone.shards("zsl")
    assert shard.real == 0
    assert shard.labels.tolist() == [0] * 7 + [1] * 7
    assert alone.counts(2).tolist() == [7, 7]
    assert (shard.features[:7, :DIM] - 1).abs().max() < 0.6


def test_a_synthetic_feature_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(TrainingFailed):
        Pool.synthesize(Sampler(broken=True), data(), 4, seed=0)
    with pytest.raises(TrainingFailed):
        list(Stream(Sampler(broken=True), data(), 4, seed=0).shards())


class Coarse(Sampler):
    """A sampler with a coarse way, which adds 0.25 to the first dimension."""

    def __init__(self, offered: bool = True) -> None:
        super().__init__()
        self.offered = offered

    def coarse_sampler(self) -> Callable[..., Tensor] | None:
        def sample(semantics: Tensor, count: int, *key: int | str) -> Tensor:
            return self.sample(semantics, count, *key) + torch.tensor([0.25, *[0.0] * DIM])

        return sample if self.offered else None


def test_only_large_sets_of_codes_are_synthesized_coarsely(monkeypatch: pytest.MonkeyPatch) -> None:
    size = (12 + 2 * 50) * (DIM + 1) * 4
    monkeypatch.setattr(head_data, "COARSE_FROM", size)

    def first(generator: Sampler, coded: bool) -> Tensor:
        pool = Pool.synthesize(generator, data(), 50, seed=0, coded=coded)
        assert isinstance(pool, Pool)
        return pool.rows(pool.real, len(pool.labels))

    assert torch.equal(first(Coarse(), False), first(Sampler(), False))
    assert torch.equal(first(Coarse(offered=False), True), first(Sampler(), True))
    monkeypatch.setattr(head_data, "COARSE_FROM", size + 1)
    assert torch.equal(first(Coarse(), True), first(Sampler(), True))
    monkeypatch.setattr(head_data, "COARSE_FROM", size)
    coarse = first(Coarse(), True) - first(Sampler(), False)
    assert coarse[:, 0].mean() == pytest.approx(0.25, abs=0.03)
    assert coarse[:, 1].mean() == pytest.approx(0, abs=0.03)


def test_streams_are_synthesized_coarsely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_data, "_STREAMED_FROM", 1)

    def first(generator: Sampler) -> Tensor:
        stream = Pool.synthesize(generator, data(), 50, seed=0)
        assert isinstance(stream, Stream)
        return torch.cat([shard.features[shard.real :] for shard in stream.shards("pass")])

    assert torch.equal(first(Coarse())[:, 0], first(Sampler())[:, 0] + 0.25)


def test_real_features_alone_have_codes_too() -> None:
    given = replace(data(), unseen=torch.arange(0))
    pool = Pool.synthesize(Sampler(), given, 50, seed=0, coded=True)
    assert isinstance(pool, Pool)
    assert pool.step is not None
    assert ((pool.rows(0, 12)[:, :DIM] - given.features).abs() <= pool.step[:DIM] / 2 + 1e-6).all()
