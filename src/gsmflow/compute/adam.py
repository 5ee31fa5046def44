"""Adam with float32 master weights (Kingma and Ba, ICLR 2015)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim.adam import adam

from gsmflow.compute.data_parallel import averaged
from gsmflow.compute.fusion import LARGE, fused, pays

if TYPE_CHECKING:
    pass


_EPSILON = 1e-8  # Adam's


class MasterAdam:
    """Adam with L2 weight decay; its state and master weights are float32 for parameters of every dtype.

    Parameters may be bfloat16: then a float32 master of each is kept and updated, and the rounded result
    written back. float32 (or float64) parameters are their own masters. One fused pass over memory updates each
    parameter.

    Parameters
    ----------
    divided : bool
        Whether each process of [`gsmflow.compute.data_parallel`][gsmflow.compute.data_parallel] holds
        gradients of its own share of the batch, which are averaged first.
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
        self.steps = {
            name: torch.zeros((), dtype=torch.float32, device=m.device) for name, m in self.masters.items()
        }
        self.betas, self.weight_decay = betas, weight_decay
        self._names = {parameter: name for name, parameter in self.parameters.items()}
        self._wide: Tensor | None = None
        if any(master.is_cuda for master in self.masters.values()):
            self.state()  # moments are made now, before steps are recorded

    @cached_property
    def averages(self) -> dict[str, Tensor]:
        """The first moment of every parameter, (*shape); made on first use: weights that are only loaded need none."""
        return {name: torch.zeros_like(master) for name, master in self.masters.items()}

    @cached_property
    def squares(self) -> dict[str, Tensor]:
        """The second moment of every parameter, (*shape)."""
        return {name: torch.zeros_like(master) for name, master in self.masters.items()}

    @torch.no_grad()
    def step(self, rate: float | Tensor, gradients: Iterable[tuple[torch.nn.Parameter, Tensor]] = ()) -> None:
        """Update the parameters that have a gradient, in `gradients` or in ``.grad``, and reset ``.grad`` to None.

        Large gradients are used one at a time, as soon as they are computed, see
        [`WeightGradients`][gsmflow.flow.gradients.WeightGradients].

        Parameters
        ----------
        rate : float | Tensor
            The learning rate; a scalar tensor on the GPU if the step is recorded there.
        gradients : Iterable[tuple[torch.nn.Parameter, Tensor]]
            Pairs of a parameter and its gradient, one at a time.
        """
        small: list[tuple[str, Tensor]] = []
        own = [(p, p.grad) for p in self.parameters.values() if p.grad is not None]
        # Gradients that are float32 already are used all together. The others are converted one at a time,
        # in the same memory.
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
        """Update one parameter; only for training in a single process."""
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
        """One pass over a large bfloat16 weight, its gradient and its float32 state."""
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
        """The gradient as float32. Large ones share one piece of memory, one after the other."""
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
        """Continue from what [`state`][gsmflow.compute.adam.MasterAdam.state] returned.

        Raises
        ------
        ValueError
            Names or shapes differ from this optimizer's.
        """
        copy_weights(self.state(), state)
        self._round()

    def load_masters(self, weights: Mapping[str, Tensor]) -> None:
        """Overwrite the master weights and leave the optimizer's state as it is.

        Raises
        ------
        ValueError
            Names or shapes differ from this optimizer's.
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
    """Adam (Kingma & Ba 2015) on a float32 master with a bfloat16 gradient; the parameter is the rounded result."""
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


@torch.no_grad()
def copy_weights(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Overwrite the tensors of a model with those of the same names.

    Raises
    ------
    ValueError
        Names or shapes differ; nothing was overwritten.
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
