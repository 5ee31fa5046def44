"""What a head is trained on: real features of seen classes and synthetic ones of unseen classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gsmflow.training import Generator, TrainingData

_CODED_FROM = 1 << 30  # bytes of float32 features from which they are kept as codes
_LEVELS = 255
_AT_ONCE = 1 << 14  # features synthesized in one go
_LOOKED_AT = 1 << 13  # synthetic features that the range of the codes is taken from


@dataclass(frozen=True)
class Pool:
    """Features to train heads on: the real ones first, then the synthetic ones, class by class.

    features: (N + U n, D) float32; or, where those would be large, uint8 codes of a quarter of the size, for
    features low + step * code. labels: (N + U n,) class indices. real: N. low, step: (D,) or None.

    A dimension is divided into 255 steps from its least to its largest value, so that the error of a code is
    at most a 510th of the range: far less than the width of any class.
    """

    features: Tensor
    labels: Tensor
    real: int
    low: Tensor | None = None
    step: Tensor | None = None

    @staticmethod
    def synthesize(
        learner: Generator, data: TrainingData, count: int, seed: int, *, coded: bool | None = None
    ) -> Pool:
        """Real training features and `count` synthetic ones of every unseen class.

        The same seed gives the same noise, so heads along one training differ by the generator alone.
        coded: whether to keep codes; None decides by size.
        """
        real = len(data.features)
        dim = learner.represent(data.features[:1], seed, "real").shape[1]
        total = real + count * len(data.unseen)
        if coded is None:
            coded = total * dim * 4 >= _CODED_FROM
        group = max(1, _AT_ONCE // count)
        low = step = None
        if coded:
            low, step = _range(learner, data, count, seed)
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
            made = learner.sample(
                data.semantics[data.unseen[first : first + group]], count, seed, "synthesis", first
            )
            pool._put(real + first * count, made)
        return pool

    @staticmethod
    def of_real(data: TrainingData, at_most: int | None = None) -> Pool:
        """The real training features alone, or `at_most` so many of them, evenly spaced."""
        count = len(data.labels)
        every = 1 if at_most is None else max(1, -(-count // at_most))
        features, labels = data.features[::every], data.labels[::every]
        return Pool(features, data.seen[labels], len(labels))

    def synthetic(self, unseen: Tensor) -> Pool:
        """The synthetic features alone, labelled by position in `unseen`: for conventional ZSL."""
        labels = torch.searchsorted(unseen, self.labels[self.real :])
        return Pool(self.features[self.real :], labels, 0, self.low, self.step)

    def rows(self, start: int, stop: int) -> Tensor:
        """Features start, ..., stop - 1 as float32."""
        return self.decoded(self.features[start:stop])

    def decoded(self, rows: Tensor) -> Tensor:
        """Rows as `features` keeps them, as float32 features."""
        if self.low is None or self.step is None:
            return rows
        return torch.addcmul(self.low, rows.float(), self.step)

    def _put(self, start: int, rows: Tensor) -> None:
        for part in rows.split(4096):
            if self.low is not None and self.step is not None:
                part = ((part - self.low) / self.step).round_().clamp_(0, _LEVELS)
            self.features[start : start + len(part)] = part
            start += len(part)


def _range(learner: Generator, data: TrainingData, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Least value and step of the codes of each dimension, from all real and some synthetic features."""
    each = max(1, min(count, _LOOKED_AT // max(1, len(data.unseen))))
    some = data.unseen[: max(1, _LOOKED_AT // each)]
    made = learner.sample(data.semantics[some], each, seed, "range")
    low, high = made.amin(dim=0), made.amax(dim=0)
    for start in range(0, len(data.features), _AT_ONCE):
        rows = learner.represent(data.features[start : start + _AT_ONCE], seed, "real", start)
        low, high = torch.minimum(low, rows.amin(dim=0)), torch.maximum(high, rows.amax(dim=0))
    step = (high - low) / _LEVELS
    return low, torch.where(step > 0, step, 1)
