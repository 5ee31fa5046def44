"""What a trained method offers: steps, weights, a state to continue from, and synthesis or a classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor

if TYPE_CHECKING:
    from gsmflow.heads.base import Head
    from gsmflow.heads.representation import Representation

Losses = Mapping[str, Tensor]


class Learner(Protocol):
    """A model being trained on one problem, step by step; also a
    [`Generator`][gsmflow.learning.learner.Generator] or a [`Scorer`][gsmflow.learning.learner.Scorer].
    """

    steps_per_epoch: int
    total_steps: int

    def step(self, index: int) -> Losses:
        """Do training step `index` (from 0) and return its losses, still on the device."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """The model's float32 weights, as a run folder stores them."""
        ...

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load what [`weights`][gsmflow.learning.learner.Learner.weights] returned.

        Raises
        ------
        ValueError
            Names or shapes differ from this learner's.
        """
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything needed to continue training."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what [`state`][gsmflow.learning.learner.Learner.state] returned."""
        ...


@runtime_checkable
class Generator(Learner, Protocol):
    """A learner that synthesizes features, which a head is then trained on."""

    def sample(self, semantics: Tensor, count: int, *key: int | str) -> Tensor:
        """Synthesize represented features (len(semantics) * count, R), class by class.

        R is D for methods whose heads see the features themselves. `key` names the random draws. It is called without
        gradients, except where they tune the generator ([`gsmflow.learning.rewarded`][gsmflow.learning.rewarded]).
        """
        ...

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        """Real features (N, D) as a head is trained on them, (N, R); a stochastic encoder draws by `key`."""
        ...

    def representation(self) -> Representation | None:
        """The same map without random draws, for features to be classified; None where a head sees the
        features themselves.
        """
        ...


@runtime_checkable
class CoarseGenerator(Generator, Protocol):
    """A generator that can synthesize more quickly where features are stored as 8-bit codes anyway."""

    def coarse_sampler(self) -> Callable[..., Tensor] | None:
        """A function with the arguments of [`sample`][gsmflow.learning.learner.Generator.sample] and a result like its,
        (len(semantics) * count, R), for the weights as they are now; None where it would not be quicker.
        """
        ...


@runtime_checkable
class Differentiable(Generator, Protocol):
    """A generator that offers features with a gradient, so that they can be rewarded
    ([`gsmflow.learning.rewarded`][gsmflow.learning.rewarded]).
    """

    def synthetic(self, rows: Tensor, *key: int | str) -> Tensor:
        """Features (B, D) of the seen classes at the positions `rows` (B,), with a gradient; `key` names the draws."""
        ...


@runtime_checkable
class Scorer(Learner, Protocol):
    """A learner that classifies by itself, without synthesis."""

    def head(self) -> Head:
        """The classifier over all classes, computed from the current weights."""
        ...
