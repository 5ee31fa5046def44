"""What a head is trained on: real features of seen classes and synthetic ones of unseen classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gsmflow.compute.finite import check_synthetic
from gsmflow.compute.randomness import stream
from gsmflow.learning.learner import CoarseGenerator, Generator
from gsmflow.learning.tensors import TrainingData

_CODED_FROM = 1 << 28  # size in bytes from which float32 features are stored as codes
COARSE_FROM = 1 << 29  # size in bytes of float32 features from which products with codes may be 8-bit
_STREAMED_FROM = 1 << 32  # size in bytes from which even codes are computed again in every pass
_SHARD = 1 << 27  # bytes of float32 features in a shard of a stream, about
_LEVELS = 255
_AT_ONCE = 1 << 13  # features of several classes synthesized at a time
_OF_A_CLASS = 1 << 12  # features of one class synthesized at a time
_LOOKED_AT = 1 << 13  # synthetic features from which the range of the codes is estimated
_PART_LOOKED_AT = 32  # at most this part of all, if synthesis is coarse


@dataclass(frozen=True)
class Pool:
    """Features to train heads on: the real ones first, then the synthetic ones, class by class.

    Codes divide each dimension into 255 steps from its least to its largest value. So the error of a code is
    at most 1/510 of the range, far less than the width of any class.

    Parameters
    ----------
    features : Tensor
        (N + U n, D) float32 features, or uint8 codes for the features low + step * code, which take a quarter
        of the memory.
    labels : Tensor
        (N + U n,) class indices.
    real : int
        N.
    low, step : Tensor | None
        (D,) or None.
    """

    features: Tensor
    labels: Tensor
    real: int
    low: Tensor | None = None
    step: Tensor | None = None

    @property
    def device(self) -> torch.device:
        """The device of the features."""
        return self.features.device

    @property
    def dim(self) -> int:
        """R, dimensions of the represented features."""
        return self.features.shape[1]

    def shards(self, *key: int | str) -> Iterator[Pool]:
        """The pool itself, in one piece."""
        yield self

    def counts(self, classes: int) -> Tensor:
        """Features of every class, (C,)."""
        return torch.bincount(self.labels, minlength=classes)

    @staticmethod
    @torch.no_grad()
    def synthesize(
        learner: Generator,
        data: TrainingData,
        count: int,
        seed: int,
        *,
        draw: int = 0,
        coded: bool | None = None,
    ) -> Pool | Stream:
        """Real training features and `count` synthetic ones of every unseen class.

        The same seed gives the same noise, so heads along one training differ by the generator alone.

        Parameters
        ----------
        learner : Generator
            The generator.
        data : TrainingData
            Training features and semantics.
        count : int
            Synthetic features of each unseen class.
        seed : int
            Determines the noise.
        draw : int
            Number of the set: each has noise of its own.
        coded : bool | None
            Whether features are stored as 8-bit codes. None: large sets are, and sets that are too large even
            as codes are computed again in every pass.

        Raises
        ------
        TrainingFailed
            A synthetic feature is not finite.
        """
        real = len(data.features)
        dim = learner.represent(data.features[:1], seed, "real").shape[1]
        total = real + count * len(data.unseen)
        if coded is None and total * dim >= _STREAMED_FROM:
            return Stream(learner, data, count, seed, draw)
        if coded is None:
            coded = total * dim * 4 >= _CODED_FROM
        group = max(1, _AT_ONCE // count)
        noise = _key("synthesis", draw)
        low = step = None
        sample, looked_at = learner.sample, _LOOKED_AT
        if coded:
            coarse = _coarse(learner) if total * dim * 4 >= COARSE_FROM else None
            if coarse:
                sample, looked_at = coarse, min(_LOOKED_AT, total // _PART_LOOKED_AT)
            each = max(1, min(count, looked_at // max(1, len(data.unseen))))
            some = data.unseen[: max(1, looked_at // each)]
            low, step = _range(learner, sample(data.semantics[some], each, seed, "range"), data, seed)
        features = torch.empty(total, dim, dtype=torch.uint8 if coded else torch.float32, device=data.device)
        pool = Pool(
            features,
            torch.cat((data.seen[data.labels], data.unseen.repeat_interleave(count))),
            real,
            low,
            step,
        )
        for start in range(0, real, _AT_ONCE):
            rows = data.features[start : start + _AT_ONCE]
            pool._put(start, learner.represent(rows, seed, "real", start))
        for first in range(0, len(data.unseen), group):
            classes = data.unseen[first : first + group].tolist()
            semantics = data.semantics[classes]
            start = real + first * count
            synthetic = sample(semantics, min(count, _OF_A_CLASS), seed, *noise, first)
            check_synthetic(synthetic, classes)
            pool._put(start, synthetic)
            for done in range(_OF_A_CLASS, count, _OF_A_CLASS):  # a class too large to synthesize in one go
                rest = min(count - done, _OF_A_CLASS)
                synthetic = sample(semantics, rest, seed, *noise, first, done)
                check_synthetic(synthetic, classes)
                pool._put(start + done, synthetic)
        return pool

    @staticmethod
    def of_real(data: TrainingData, at_most: int | None = None) -> Pool:
        """The real training features alone; at most `at_most` of them, evenly spaced."""
        count = len(data.labels)
        every = 1 if at_most is None else max(1, -(-count // at_most))
        features, labels = data.features[::every], data.labels[::every]
        return Pool(features, data.seen[labels], len(labels))

    def synthetic(self, unseen: Tensor) -> Pool:
        """The synthetic features alone, labelled by their position in `unseen`, for conventional zero-shot
        learning.
        """
        labels = torch.searchsorted(unseen, self.labels[self.real :])
        return Pool(self.features[self.real :], labels, 0, self.low, self.step)

    def rows(self, start: int, stop: int) -> Tensor:
        """Features start, ..., stop - 1 as float32, (stop - start, D)."""
        return self.decoded(self.features[start:stop])

    def decoded(self, rows: Tensor) -> Tensor:
        """Stored rows (B, D) as float32 features."""
        if self.low is None or self.step is None:
            return rows
        return torch.addcmul(self.low, rows.float(), self.step)

    def _put(self, start: int, rows: Tensor) -> None:
        for part in rows.split(1024):
            if self.low is not None and self.step is not None:
                part = (part - self.low).div_(self.step).round_().clamp_(0, _LEVELS)
            self.features[start : start + len(part)] = part
            start += len(part)


@dataclass(frozen=True)
class Stream:
    """A [`Pool`][gsmflow.learning.head_data.Pool] too large for memory, computed shard by shard on every pass.

    A shard has the same share of the synthetic features of every unseen class and of the real features, so that
    batches drawn within it are like batches drawn from the whole. Noise is keyed by the shard: every pass
    sees the same features.

    Parameters
    ----------
    learner : Generator
        The generator.
    data : TrainingData
        Training features and semantics.
    count : int
        Synthetic features of each unseen class.
    seed : int
        Determines the noise.
    draw : int
        Number of the set, which names its noise.
    alone : bool
        Only synthetic features, labelled by their position among the unseen classes.
    """

    learner: Generator
    data: TrainingData
    count: int
    seed: int
    draw: int = 0
    alone: bool = False

    @property
    def device(self) -> torch.device:
        """The device that shards are computed on."""
        return self.data.device

    @property
    def dim(self) -> int:
        """R, dimensions of the represented features."""
        return self.learner.represent(self.data.features[:1], self.seed, "real").shape[1]

    def counts(self, classes: int) -> Tensor:
        """Features of every class, (C,)."""
        if self.alone:
            return torch.full((classes,), self.count, device=self.device)
        count = torch.bincount(self.data.seen[self.data.labels], minlength=classes)
        count[self.data.unseen] = self.count
        return count

    def synthetic(self, unseen: Tensor) -> Stream:
        """The synthetic features alone, labelled by their position in `unseen`, for conventional zero-shot
        learning.
        """
        return replace(self, alone=True)

    def shards(self, *key: int | str) -> Iterator[Pool]:
        """All shards; `key` determines their order and which real features each has."""
        unseen, classes = self.data.unseen, len(self.data.unseen)
        total = self.count * classes + len(self.data.features)
        number = max(1, min(self.count, round(total * self.dim * 4 / _SHARD)))
        parts = torch.arange(number + 1) * self.count // number
        generator = stream("cpu", *key, "shards")
        order = torch.randperm(number, generator=generator)
        real = torch.randperm(len(self.data.features), generator=generator).to(self.device)
        sample = _coarse(self.learner) or self.learner.sample
        for place, shard in enumerate(order.tolist()):
            each = int(parts[shard + 1] - parts[shard])
            synthetic = self._synthesized(sample, each, shard)
            if self.alone:
                labels = torch.arange(classes, device=self.device).repeat_interleave(each)
                yield Pool(synthetic, labels, 0)
                continue
            some = real[place * len(real) // number : (place + 1) * len(real) // number]
            with torch.no_grad():
                rows = self.learner.represent(self.data.features[some], self.seed, "real", place)
            labels = torch.cat((self.data.seen[self.data.labels[some]], unseen.repeat_interleave(each)))
            yield Pool(torch.cat((rows, synthetic)), labels, len(some))

    @torch.no_grad()
    def _synthesized(self, sample: Callable[..., Tensor], each: int, shard: int) -> Tensor:
        group = max(1, _AT_ONCE // each)
        semantics = self.data.semantics[self.data.unseen]
        synthetic = torch.empty(len(semantics) * each, self.dim, device=self.device)
        for first in range(0, len(semantics), group):
            some = sample(
                semantics[first : first + group], each, self.seed, *_key("stream", self.draw), shard, first
            )
            check_synthetic(some, self.data.unseen[first : first + group].tolist())
            synthetic[first * each : first * each + len(some)] = some
        return synthetic


def _key(name: str, draw: int) -> tuple[int | str, ...]:
    """Names the noise of a set of synthetic features; that of the first set has no number."""
    return (name, draw) if draw else (name,)


def _coarse(learner: Generator) -> Callable[..., Tensor] | None:
    """The generator's quicker way to synthesize features that will be stored as codes, if it has one here."""
    return learner.coarse_sampler() if isinstance(learner, CoarseGenerator) else None


def _range(learner: Generator, synthetic: Tensor, data: TrainingData, seed: int) -> tuple[Tensor, Tensor]:
    """Least value and step of the codes of each dimension, estimated from all real and some synthetic features."""
    low, high = (synthetic.new_full((synthetic.shape[1],), end) for end in (torch.inf, -torch.inf))
    if len(synthetic):
        low, high = synthetic.amin(dim=0), synthetic.amax(dim=0)
    for start in range(0, len(data.features), _AT_ONCE):
        rows = learner.represent(data.features[start : start + _AT_ONCE], seed, "real", start)
        low, high = torch.minimum(low, rows.amin(dim=0)), torch.maximum(high, rows.amax(dim=0))
    step = (high - low) / _LEVELS
    return low, torch.where(step > 0, step, 1)
