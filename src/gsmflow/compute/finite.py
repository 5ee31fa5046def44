"""Checks for values that are not finite; the message names the step, the quantity and what to change.

A training that diverges would go on, and end with scores that look like those of a bad model. So every loss
is checked, and at every pause (an evaluation, a checkpoint, the end of a stage) the whole state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class TrainingFailed(RuntimeError):
    """Training cannot go on; the message names the step, the quantity and what to change."""


class LossGuard:
    """Checks the losses of every step, a few steps at a time.

    Reading a number from a GPU means waiting for it. So losses stay on the device until
    [`check`][gsmflow.compute.finite.LossGuard.check].
    """

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._losses: dict[str, list[Tensor]] = {}

    def note(self, done: int, losses: Mapping[str, Tensor]) -> None:
        """Keep the losses (scalars) of step `done`; every step has the same ones."""
        self._steps.append(done)
        for name, value in losses.items():
            self._losses.setdefault(name, []).append(value)

    def check(self) -> None:
        """Check the losses noted since the last call.

        Raises
        ------
        TrainingFailed
            A loss is not finite; the message names the first such step.
        """
        steps, losses = self._steps, self._losses
        self._steps, self._losses = [], {}
        by_name = {name: torch.stack(values).tolist() for name, values in losses.items()}
        for index, step in enumerate(steps):
            for name, values in by_name.items():
                if not math.isfinite(values[index]):
                    raise TrainingFailed(f"step {step}: {name} became {values[index]}; {_advice(step)}")


def _advice(step: int) -> str:
    if step == 1:  # no weight has changed yet: it cannot have been the learning rate
        return (
            "the weights were still the initial ones, so the scaled features or the noise on them are too "
            "large: choose another features.scaling, or lower the perturbation"
        )
    return (
        "lower the learning rate, or the weights of the losses; if that does not help, check the features for "
        "extreme values, or choose another features.scaling"
    )


def check_state(step: int, state: Mapping[str, Tensor]) -> None:
    """Check the whole state of a training after `step` steps: weights and the optimizer's moments.

    Raises
    ------
    TrainingFailed
        A value is not finite. Infinite second moments of Adam are found only here: their weights never change
        again, and no loss shows that.
    """
    for name, tensor in state.items():
        value = _not_finite(tensor)
        if value is not None:
            raise TrainingFailed(
                f"step {step}: {name} became {value}: its gradients are too large for float32; lower the "
                "learning rate, the weight decay, or the weights of the losses such as prototype_weight"
            )


def check_synthetic(features: Tensor, classes: Sequence[int]) -> None:
    """Check synthetic features (len(classes) * n, R), class by class.

    Raises
    ------
    TrainingFailed
        A value is not finite.
    """
    value = _not_finite(features)
    if value is not None:
        row = int((~torch.isfinite(features)).any(dim=1).nonzero()[0, 0])
        each = len(features) // len(classes)
        raise TrainingFailed(
            f"synthesis: a feature of class {classes[row // each]} (counted from 0) became {value}: the trained "
            "generator is too steep there; train it for fewer epochs or with a lower learning rate"
        )


def check_head(epoch: int, weights: Mapping[str, Tensor]) -> None:
    """Check a head after `epoch` passes.

    Raises
    ------
    TrainingFailed
        A weight is not finite.
    """
    for name, tensor in weights.items():
        value = _not_finite(tensor)
        if value is not None:
            raise TrainingFailed(
                f"head, epoch {epoch}: {name} became {value}; lower head.learning_rate, head.scale or "
                "head.logit_adjustment"
            )


def first_not_finite(logits: Tensor) -> int | None:
    """The first row of logits (N, C) with a value that is not finite, or None."""
    if _not_finite(logits) is None:
        return None
    return int((~torch.isfinite(logits)).any(dim=1).nonzero()[0, 0])


def positive(scale: Tensor) -> Tensor:
    """A scale (...) to divide by: `scale` with 1 in place of 0, which it is where all values are equal."""
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def _not_finite(tensor: Tensor) -> float | None:
    """A value that is not finite, or None. One pass, no copy: with a NaN both least and largest value are NaN."""
    if not tensor.is_floating_point() or not tensor.numel():
        return None
    low, high = (float(value) for value in torch.aminmax(tensor))
    return next((value for value in (low, high) if not math.isfinite(value)), None)
