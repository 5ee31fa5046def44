"""Heads that compare a sample with its nearest training samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from gsmflow.heads.graph import Graph
from gsmflow.heads.kernel import squared_distances

_ENTRIES = 1 << 24  # of the matrix of distances that is computed at a time


@dataclass(frozen=True)
class Neighbours:
    """Training samples, and the distance of a new sample from the nearest of them.

    Parameters
    ----------
    samples : Tensor
        (M, D) transformed features.
    count : int
        K, the number of nearest samples whose distance is averaged, from 1 to M.
    mean, spread : float
        Mean and standard deviation of that distance for training samples, each left out in turn; `spread` is above 0.
    """

    samples: Tensor
    count: int
    mean: float
    spread: float

    @staticmethod
    def of(samples: Tensor, count: int) -> Neighbours:
        """The neighbours among (M, D) training samples; `count` is lowered if there are too few of them."""
        count = max(1, min(count, len(samples) - 1))
        parts = []
        for start in range(0, len(samples), _rows(samples)):
            rows = torch.arange(start, min(start + _rows(samples), len(samples)), device=samples.device)
            distances = squared_distances(samples[rows], samples)
            if len(samples) > 1:
                distances[torch.arange(len(rows), device=samples.device), rows] = torch.inf
            parts.append(_nearest(distances.sqrt(), count))
        typical = torch.cat(parts).double()
        spread = float(typical.std(correction=0))
        return Neighbours(samples, count, float(typical.mean()), spread if spread > 0 else 1.0)

    def novelty(self, distances: Tensor) -> Tensor:
        """How much farther samples are from their neighbours than training samples are, (N, 1), in units of `spread`.

        Parameters
        ----------
        distances : Tensor
            (N, M) to all training samples.
        """
        return ((_nearest(distances, self.count) - self.mean) / self.spread)[:, None]


@dataclass(frozen=True)
class NeighbourHead:
    """Logits from distances to training samples, and to the predicted means of unseen classes.

    With the novelty v(x) of [`Neighbours`][gsmflow.heads.neighbours.Neighbours] and its spread s::

        seen c:    -(d_c(x) - min_c' d_c'(x)) / s              d_c: distance to the nearest sample of class c
        unseen u:  v(x) - (d_u(x) - min_u' d_u'(x)) / s        d_u: distance to the predicted mean of class u

    So the best seen logit is 0 and the best unseen one is v(x). Without `ranks` the other terms are left out, and the
    head only separates unseen from seen classes.

    Parameters
    ----------
    neighbours : Neighbours
        The training samples.
    labels : Tensor
        (M,) int64 class of each of them.
    is_unseen : Tensor
        (C,) bool.
    means : Tensor
        (U, D) predicted means of the unseen classes, in the order of classes; not used without `ranks`.
    ranks : bool
        Whether it ranks classes.
    """

    kind: ClassVar[str] = "neighbours"

    neighbours: Neighbours
    labels: Tensor
    is_unseen: Tensor
    means: Tensor
    ranks: bool = True

    @property
    def classes(self) -> int:
        """C, the number of logits."""
        return len(self.is_unseen)

    @property
    def in_dim(self) -> int:
        """D, dimensions of the features."""
        return self.neighbours.samples.shape[1]

    @property
    def device(self) -> torch.device:
        """The device that features must be on."""
        return self.neighbours.samples.device

    @cached_property
    def _samples(self) -> Tensor:
        """The samples in float64, converted once for all requests."""
        return self.neighbours.samples.double()

    @cached_property
    def _places(self) -> Tensor:
        """Indices of the samples of each seen class, (S, m); the last one is repeated if a class has fewer."""
        of_classes = [torch.nonzero(self.labels == label)[:, 0] for label in torch.nonzero(~self.is_unseen)]
        most = max((len(places) for places in of_classes), default=0)
        return torch.stack([torch.cat((p, p[-1:].expand(most - len(p)))) for p in of_classes])

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 logits of transformed features (N, D)."""
        parts = features.split(_rows(self.neighbours.samples))
        return torch.cat([self._logits(part.double()).float() for part in parts])

    def _logits(self, features: Tensor) -> Tensor:
        # In float64, because a small distance is the difference of two large numbers.
        distances = squared_distances(features, self._samples).sqrt()
        novelty = self.neighbours.novelty(distances)
        logits = self.is_unseen * novelty
        if self.ranks:
            seen = distances[:, self._places.flatten()].unflatten(1, self._places.shape).amin(dim=2)
            logits[:, ~self.is_unseen] = self._ranking(seen)
            if len(self.means):
                unseen = squared_distances(features, self.means.double()).sqrt()
                logits[:, self.is_unseen] += self._ranking(unseen)
        return logits

    def _ranking(self, distances: Tensor) -> Tensor:
        """Logits from distances; the largest logit is 0."""
        return (distances.amin(dim=1, keepdim=True) - distances) / self.neighbours.spread

    def graph(self, graph: Graph, x: str) -> str:
        """The logits as nodes of an ONNX graph."""
        near = self.neighbours
        distances = graph.add("Sqrt", graph.squared_distances(x, near.samples))
        nearest = graph.smallest(distances, near.count)
        mean = graph.add("MatMul", nearest, graph.constant(torch.full((near.count, 1), 1 / near.count)))
        novelty = graph.add(
            "Mul", graph.add("Sub", mean, graph.constant(near.mean)), graph.constant(1 / near.spread)
        )
        flags = self.is_unseen.float()[None]
        logits = graph.add("MatMul", novelty, graph.constant(flags))
        if not self.ranks:
            return logits
        by_class = graph.add("Gather", distances, graph.constant(self._places.cpu().numpy()), axis=1)
        seen = graph.smallest(by_class, 1, axis=2)
        seen = graph.add("Reshape", seen, graph.constant([-1, len(self._places)]))
        parts = [(seen, ~self.is_unseen)]
        if len(self.means):
            parts.append((graph.add("Sqrt", graph.squared_distances(x, self.means)), self.is_unseen))
        for part, chosen in parts:
            ranked = graph.add("Sub", graph.smallest(part, 1), part)
            ranked = graph.add("Mul", ranked, graph.constant(1 / near.spread))
            logits = graph.add(
                "Add", logits, graph.add("MatMul", ranked, graph.constant(_spread_out(chosen)))
            )
        return logits

    def state(self) -> dict[str, Tensor]:
        """Tensors from which [`from_state`][gsmflow.heads.neighbours.NeighbourHead.from_state] rebuilds the head."""
        near = self.neighbours
        return {
            "samples": near.samples.cpu(),
            "labels": self.labels.cpu(),
            "is_unseen": self.is_unseen.cpu(),
            "means": self.means.cpu(),
            "ranks": torch.tensor(self.ranks),
            "count": torch.tensor(near.count),
            "typical": torch.tensor([near.mean, near.spread], dtype=torch.float64),
        }

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> NeighbourHead:
        """Inverse of [`state`][gsmflow.heads.neighbours.NeighbourHead.state].

        Raises
        ------
        KeyError
            A tensor is missing.
        """
        mean, spread = state["typical"].tolist()
        near = Neighbours(state["samples"], int(state["count"]), mean, spread)
        return NeighbourHead(near, state["labels"], state["is_unseen"], state["means"], bool(state["ranks"]))


def _nearest(distances: Tensor, count: int) -> Tensor:
    """Mean of the smallest distances in each row, (N,)."""
    return distances.topk(count, dim=1, largest=False).values.mean(dim=1)


def _rows(samples: Tensor) -> int:
    return max(1, _ENTRIES // len(samples))


def _spread_out(chosen: Tensor) -> Tensor:
    """The matrix that writes values of the chosen classes (K) into the columns of all (C): (K, C)."""
    return torch.eye(len(chosen))[chosen.cpu()]
