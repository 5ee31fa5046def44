"""The training part of a problem as tensors, and the batches drawn from it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.compute.randomness import stream
from gsmflow.data.lending import LendingProblem
from gsmflow.data.problem import Problem
from gsmflow.files.feature_store import rows_of
from gsmflow.files.image_text import ImageTextModel

Result = TypeVar("Result")

_ROWS = 1 << 14  # features converted to float64 at a time


@dataclass(frozen=True)
class Lent:
    """What training may use of the unseen classes besides their semantics, as tensors on one device.

    Parameters
    ----------
    features : Tensor
        (L, D) float32.
    labels : Tensor | None
        (L,) int64 class indices; None where training may not use them.
    """

    features: Tensor
    labels: Tensor | None


@dataclass(frozen=True)
class TrainingData:
    """The training part of a problem as tensors on one device.

    Parameters
    ----------
    features : Tensor
        (N, D) float32.
    labels : Tensor
        (N,) int64 positions of the classes in `seen`.
    semantics : Tensor
        (C, A) of all classes.
    seen, unseen : Tensor
        Class indices.
    image_text : ImageTextModel | None
        The model of images and texts that computed both features and semantics; None if no single model did.
    lent : Lent | None
        What may be known of unseen classes besides their semantics; None in the usual, inductive setting.
    """

    features: Tensor
    labels: Tensor
    semantics: Tensor
    seen: Tensor
    unseen: Tensor
    image_text: ImageTextModel | None = None
    lent: Lent | None = None
    _computed: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @staticmethod
    def of(problem: Problem, device: torch.device) -> TrainingData:
        """Copy the training part of `problem` (features already transformed) to `device`."""
        labels = np.searchsorted(problem.seen, problem.labels[problem.train])
        return TrainingData(
            features=tensor_of(rows_of(problem.features, problem.train)).to(device),
            labels=torch.from_numpy(labels).to(device),
            semantics=torch.from_numpy(np.ascontiguousarray(problem.semantics)).to(device),
            seen=torch.from_numpy(problem.seen).to(device),
            unseen=torch.from_numpy(problem.unseen).to(device),
            image_text=problem.image_text,
            lent=_lent_by(problem, device) if isinstance(problem, LendingProblem) else None,
        )

    @property
    def device(self) -> torch.device:
        """The device of the tensors."""
        return self.features.device

    def rows(self, picked: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, D) and labels (B,) of the samples with these indices (B,)."""
        # On the CPU index_select is about three times as fast as indexing.
        return self.features.index_select(0, picked), self.labels[picked]

    def once(self, name: Hashable, compute: Callable[[], Result]) -> Result:
        """What `compute` returns, or returned before under that name.

        A closed form is asked for its heads several times: for all that are tried, then for each of the chosen ones.
        """
        if name not in self._computed:
            self._computed[name] = compute()
        return self._computed[name]

    @cached_property
    def within_covariance(self) -> Tensor:
        """The pooled covariance of features around their class means, (D, D) float64."""
        means = self.class_means().double()
        total = torch.zeros(means.shape[1], means.shape[1], dtype=torch.float64, device=self.device)
        for rows, labels in zip(self.features.split(_ROWS), self.labels.split(_ROWS), strict=True):
            centered = rows.double() - means[labels]
            total += centered.T @ centered
        return total / len(self.features)

    @cached_property
    def gram_axes(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues (D,), ascending, and eigenvectors (D, D) of X'X, the features' second moments; float64."""
        x = self.features.double()
        values, axes = torch.linalg.eigh(x.T @ x)
        return values, axes

    def class_means(self) -> Tensor:
        """Mean feature of every seen class, (S, D), accumulated in float64 on the CPU for exactness."""
        sums = torch.zeros(len(self.seen), self.features.shape[1], dtype=torch.float64)
        labels = self.labels.cpu()
        for rows, classes in zip(self.features.split(_ROWS), labels.split(_ROWS), strict=True):
            sums.index_add_(0, classes, rows.cpu().double())
        counts = torch.bincount(labels, minlength=len(self.seen))
        return (sums / counts[:, None]).float().to(self.device)


def _lent_by(problem: LendingProblem, device: torch.device) -> Lent:
    labels = torch.from_numpy(problem.labels[problem.lent]).to(device) if problem.labelled else None
    return Lent(tensor_of(rows_of(problem.features, problem.lent)).to(device), labels)


def tensor_of(features: NDArray[np.float32]) -> Tensor:
    """Features (N, D) as a tensor that shares their memory or file, and is never written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(features))


def evenly_drawn(labels: Tensor, count: int) -> Tensor:
    """Indices of about equally many samples of each class: the first ones in a drawn order, the same in every run.

    Parameters
    ----------
    labels : Tensor
        (N,) int64 classes, counted from 0.
    count : int
        K, samples to take; all of them where there are no more.

    Returns
    -------
    Tensor
        (K,) int64 indices.
    """
    order = torch.randperm(len(labels), generator=stream("cpu", 0, "landmarks")).to(labels.device)
    mixed = labels[order]
    by_class = torch.argsort(mixed, stable=True)
    starts = torch.bincount(mixed).cumsum(0) - torch.bincount(mixed)
    rank = torch.empty_like(mixed)
    rank[by_class] = torch.arange(len(mixed), device=labels.device) - starts[mixed[by_class]]
    return order[torch.argsort(rank, stable=True)[:count]]


class Batches:
    """Batches drawn without replacement; the incomplete last batch of an epoch is dropped.

    Batch `step` depends on (seed, step) alone: each epoch has a permutation from a random stream of its own.
    So training can start at any step.
    """

    def __init__(self, samples: int, batch_size: int, seed: int, device: torch.device) -> None:
        self.size = min(batch_size, samples)
        self.per_epoch = samples // self.size
        self._samples, self._seed, self._device = samples, seed, device
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __getitem__(self, step: int) -> Tensor:
        """Sample indices (B,) of batch `step`, counted from 0."""
        epoch, position = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            order = torch.randperm(self._samples, generator=stream("cpu", self._seed, "batches", epoch))
            self._epoch, self._order = epoch, order.to(self._device)
        return self._order[position * self.size : (position + 1) * self.size]
