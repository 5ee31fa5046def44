"""Training any generator that learns by steps: batches, optimizer, the loop, and what watches over it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.adam import adam

from gsmflow.flow.fusion import fused, pays
from gsmflow.flow.gradients import LARGE
from gsmflow.parallel import averaged
from gsmflow.problem import Problem
from gsmflow.randomness import stream
from gsmflow.store import rows_of

if TYPE_CHECKING:
    from gsmflow.head import Head
    from gsmflow.representation import Representation

Losses = Mapping[str, Tensor]

_ROWS = 1 << 14  # features widened to float64 in one go
_EPSILON = 1e-8  # Adam's


@dataclass(frozen=True)
class TrainingData:
    """The training part of a problem as tensors on one device.

    features: (N, D) float32. labels: (N,) int64 positions in the list of *seen* classes.
    semantics: (C, A) of all classes. seen, unseen: class indices.
    """

    features: Tensor
    labels: Tensor
    semantics: Tensor
    seen: Tensor
    unseen: Tensor

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
        )

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.features.device

    def rows(self, picked: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, D) and labels (B,) of the samples with these indices (B,)."""
        # On the CPU index_select takes rows of float32 about three times as fast as brackets do.
        return self.features.index_select(0, picked), self.labels[picked]

    def class_means(self) -> Tensor:
        """Mean feature of every seen class, (S, D), accumulated in float64 on the CPU for exactness."""
        sums = torch.zeros(len(self.seen), self.features.shape[1], dtype=torch.float64)
        labels = self.labels.cpu()
        for rows, classes in zip(self.features.split(_ROWS), labels.split(_ROWS), strict=True):
            sums.index_add_(0, classes, rows.cpu().double())
        counts = torch.bincount(labels, minlength=len(self.seen))
        return (sums / counts[:, None]).float().to(self.device)


def tensor_of(features: NDArray[np.float32]) -> Tensor:
    """Features as a tensor over the same memory, or the same file; nothing is ever written to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(features))


class Batches:
    """Batches without replacement; the incomplete last batch of an epoch is dropped.

    Batch `step` depends on (seed, step) alone: epoch e's order is a permutation drawn from its own
    stream, so training can start at any step.
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


def step_decay(rate: float, gamma: float, epochs: int, samples: int, batch_size: int, step: int) -> float:
    """Learning rate at `step`: multiplied by gamma once every `epochs` epochs of ceil(N / B) steps."""
    return rate * gamma ** (step // math.ceil(samples / batch_size) // epochs)


class MasterAdam:
    """Adam with L2 weight decay whose state and master weights are float32, whatever computes.

    Parameters may be bfloat16: then a float32 master of each is kept and updated, and the rounded
    result written back. float32 (or float64) parameters are their own masters. One fused pass over
    memory updates each parameter. divided: every process of :mod:`gsmflow.parallel` has the gradients of its
    share of the batch.
    """

    def __init__(
        self,
        parameters: Mapping[str, torch.nn.Parameter],
        masters: Mapping[str, Tensor],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        divided: bool = False,
    ) -> None:
        self.parameters, self.divided = dict(parameters), divided
        self.masters = {
            name: masters[name] if p.dtype == torch.bfloat16 else p.data
            for name, p in self.parameters.items()
        }
        self.averages = {name: torch.zeros_like(m) for name, m in self.masters.items()}
        self.squares = {name: torch.zeros_like(m) for name, m in self.masters.items()}
        self.steps = {
            name: torch.zeros((), dtype=torch.float32, device=m.device) for name, m in self.masters.items()
        }
        self.betas, self.weight_decay = betas, weight_decay
        self._names = {parameter: name for name, parameter in self.parameters.items()}
        self._wide: Tensor | None = None

    @torch.no_grad()
    def step(self, rate: float | Tensor, gradients: Iterable[tuple[torch.nn.Parameter, Tensor]] = ()) -> None:
        """Update parameters by `gradients` and by their own ``.grad``, which is dropped; others stay.

        Large gradients are used up one by one as they come, see :class:`gsmflow.flow.WeightGradients`.
        rate: the learning rate; a scalar on the GPU where the step is recorded there.
        """
        small: list[tuple[str, Tensor]] = []
        own = [(p, p.grad) for p in self.parameters.values() if p.grad is not None]
        # Whole already, and used together; those to be widened share the memory for it and go one by one.
        whole = {p for p, gradient in own if gradient.dtype == torch.float32}
        every = chain(gradients, own)
        for parameter, gradient in averaged(every) if self.divided else every:
            parameter.grad = None
            name = self._names[parameter]
            if gradient.numel() < LARGE or parameter in whole:
                small.append((name, gradient))
            else:
                self._update([(name, gradient)], rate)
        if small:
            self._update(small, rate)

    @torch.no_grad()
    def update(self, rate: float | Tensor, parameter: torch.nn.Parameter, gradient: Tensor) -> None:
        """Update one parameter alone, of a single process."""
        self._update([(self._names[parameter], gradient)], rate)

    def _update(self, gradients: list[tuple[str, Tensor]], rate: float | Tensor) -> None:
        if len(gradients) == 1 and isinstance(rate, Tensor):
            name, gradient = gradients[0]
            if gradient.dtype == torch.bfloat16 and pays(gradient):
                self._update_at_once(name, gradient, rate)
                return
        names = [name for name, _ in gradients]
        adam(
            [self.masters[name] for name in names],
            [g if g.dtype == self.masters[name].dtype else self._widened(g) for name, g in gradients],
            [self.averages[name] for name in names],
            [self.squares[name] for name in names],
            [],
            [self.steps[name] for name in names],
            fused=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=rate,
            weight_decay=self.weight_decay,
            eps=_EPSILON,
            maximize=False,
        )
        for name in names:
            if self.parameters[name].dtype == torch.bfloat16:
                self.parameters[name].copy_(self.masters[name])

    def _update_at_once(self, name: str, gradient: Tensor, rate: Tensor) -> None:
        """One pass over a large bfloat16 weight, its gradient and what float32 state belongs to it."""
        self.steps[name] += 1
        _adam_and_round_fused(
            self.parameters[name].data,
            self.masters[name],
            self.averages[name],
            self.squares[name],
            gradient,
            self.steps[name],
            rate,
            self.betas,
            self.weight_decay,
        )

    def _widened(self, gradient: Tensor) -> Tensor:
        """The gradient as float32; large ones in memory that all of them share, one after the other."""
        if gradient.numel() < LARGE:
            return gradient.float()
        if self._wide is None:
            largest = max(master.numel() for master in self.masters.values())
            self._wide = torch.empty(largest, dtype=torch.float32, device=gradient.device)
        return self._wide[: gradient.numel()].view(gradient.shape).copy_(gradient)

    def state(self) -> dict[str, Tensor]:
        """Everything needed to continue, master weights included."""
        groups = {
            "master": self.masters,
            "average": self.averages,
            "square": self.squares,
            "step": self.steps,
        }
        return {f"{group}.{name}": t for group, tensors in groups.items() for name, t in tensors.items()}

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what :meth:`state` gave.

        Raises
        ------
        ValueError: names or shapes differ from this optimizer's.
        """
        copy_weights(self.state(), state)
        self._round()

    def load_masters(self, weights: Mapping[str, Tensor]) -> None:
        """Overwrite the master weights, and nothing of the optimizer's own state.

        Raises
        ------
        ValueError: names or shapes differ from this optimizer's.
        """
        copy_weights(self.masters, weights)
        self._round()

    @torch.no_grad()
    def _round(self) -> None:
        """Write the masters, rounded, into the parameters that are not their own masters."""
        for name, parameter in self.parameters.items():
            if parameter.dtype == torch.bfloat16:
                parameter.copy_(self.masters[name])


def _adam_and_round(
    parameter: Tensor,
    master: Tensor,
    average: Tensor,
    square: Tensor,
    gradient: Tensor,
    step: Tensor,
    rate: Tensor,
    betas: tuple[float, float],
    weight_decay: float,
) -> None:
    """Adam (Kingma & Ba 2015) on a float32 master by a bfloat16 gradient; the result rounded into the parameter."""
    first, second = betas
    wide = torch.add(gradient.float(), master, alpha=weight_decay)
    average.lerp_(wide, 1 - first)
    square.mul_(second).addcmul_(wide, wide, value=1 - second)
    # 1 - beta^step, exact also where beta^step is close to 1
    unbiased = rate / -torch.expm1(step * math.log(first))
    root = (square / -torch.expm1(step * math.log(second))).sqrt() + _EPSILON
    master.sub_(unbiased * average / root)
    parameter.copy_(master)


_adam_and_round_fused = fused(_adam_and_round)


class Learner(Protocol):
    """A model being trained on one problem, step by step; also a :class:`Generator` or a :class:`Scorer`."""

    steps_per_epoch: int
    total_steps: int

    def step(self, index: int) -> Losses:
        """Do training step `index` (from 0) and return its losses, still on the device."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """The model alone, float32, as it is kept in a run folder."""
        ...

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`weights` gave, in place of the initial weights.

        Raises
        ------
        ValueError: names or shapes differ from this learner's.
        """
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything needed to continue training."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what :meth:`state` gave."""
        ...


@runtime_checkable
class Generator(Learner, Protocol):
    """A learner that synthesizes what a head is then trained on."""

    def sample(self, semantics: Tensor, count: int, *key: int | str) -> Tensor:
        """Synthesize represented features (len(semantics) * count, R), class by class.

        R is D where features are not represented. `key` names the random draws.
        """
        ...

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        """Real features (N, D) as a head is trained on them, (N, R); a stochastic encoder draws by `key`."""
        ...

    def representation(self) -> Representation | None:
        """The same for features to be classified, without chance; None where a head sees them as they are."""
        ...


@runtime_checkable
class Scorer(Learner, Protocol):
    """A learner that classifies by itself, without synthesis."""

    def head(self) -> Head:
        """The classifier over all classes, with the current weights."""
        ...


@torch.no_grad()
def copy_weights(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Overwrite the tensors of a model by those of the same names.

    Raises
    ------
    ValueError: names or shapes differ; nothing was overwritten.
    """
    for name in sorted(own.keys() | given.keys()):
        if name not in own or name not in given:
            raise ValueError(f"'{name}' is not in both the file and the model")
        if own[name].shape != given[name].shape:
            raise ValueError(
                f"'{name}' has shape {tuple(given[name].shape)} in the file and {tuple(own[name].shape)} in "
                "the model"
            )
    for name, tensor in own.items():
        tensor.copy_(given[name])


class Watch(Protocol):
    """What the loop tells about every step it has done."""

    def stepped(self, done: int, losses: Losses, learner: Learner) -> None:
        """`done` steps are done; `losses` are those of the last one."""
        ...


def advance(learner: Learner, start: int, stop: int, watch: Watch) -> None:
    """Do the steps start, ..., stop - 1."""
    for index in range(start, stop):
        losses = learner.step(index)
        watch.stepped(index + 1, losses, learner)
