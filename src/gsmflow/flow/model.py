"""The GSMFlow model: semantics to the global semantic vector, noise to features and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gsmflow.compute.randomness import normal, normals
from gsmflow.flow import (
    ConditionalFlow,
    Conditions,
    RelativePositioning,
)
from gsmflow.flow.eight_bit import ROWS, EightBitInverse
from gsmflow.flow.flow import condition_rows

_SAMPLE_ROWS = 2048  # samples synthesized in one go
_COMPARED = 8  # classes on which 8-bit products are compared with exact ones
_NEAR = 0.03  # most that they may differ by, in standard deviations within a class


@dataclass(frozen=True)
class FlowSizes:
    """Sizes of a model.

    Parameters
    ----------
    feature_dim : int
        D.
    blocks : int
        Coupling blocks.
    hidden : int
        Width of their subnets.
    global_semantic : int
        G, dimensions of g.
    semantics_in_every_layer : bool
        Whether every block takes g, or only the one next to the noise.
    """

    feature_dim: int
    blocks: int
    hidden: int
    global_semantic: int
    semantics_in_every_layer: bool

    @staticmethod
    def of(state: Mapping[str, Tensor]) -> FlowSizes:
        """The sizes of the model whose ``state_dict`` is given.

        Raises
        ------
        KeyError
            A tensor is missing.
        """
        first = state["flow.blocks.0.net1.x_weight"]
        return FlowSizes(
            feature_dim=first.shape[1] + state["flow.blocks.0.net2.x_weight"].shape[1],
            blocks=1 + max(int(name.split(".")[2]) for name in state if name.startswith("flow.blocks.")),
            hidden=first.shape[0],
            global_semantic=state["positioning.layers.0.weight"].shape[0],
            semantics_in_every_layer="flow.blocks.0.net1.g_weight" in state,
        )


class GSMFlow(nn.Module):
    """The trained model: semantics -> g (relative positioning) and g, noise <-> features (flow).

    Parameters
    ----------
    sizes : FlowSizes
        Sizes of the flow and of the semantics.
    anchors : Tensor
        (K, A) see [`RelativePositioning`][gsmflow.flow.anchors.RelativePositioning].
    clamp : float
        Bound c of the soft clamp on log-scales, above 0.

    Examples
    --------
    >>> sizes = FlowSizes(feature_dim=6, blocks=2, hidden=16, global_semantic=8, semantics_in_every_layer=True)
    >>> model = GSMFlow(sizes, torch.eye(3, 4))
    >>> model.sample(torch.rand(2, 4), 5, "example").shape
    torch.Size([10, 6])
    """

    def __init__(self, sizes: FlowSizes, anchors: Tensor, clamp: float = 1.0) -> None:
        super().__init__()
        self.positioning = RelativePositioning(anchors, sizes.global_semantic)
        self.flow = ConditionalFlow(
            sizes.feature_dim,
            sizes.global_semantic,
            blocks=sizes.blocks,
            hidden=sizes.hidden,
            every_layer=sizes.semantics_in_every_layer,
            clamp=clamp,
        )

    def conditions(self, semantics: Tensor) -> tuple[Conditions, Conditions]:
        """The flow's conditions for semantics (C, A) twice: with a gradient to g, and without."""
        return self.flow.condition_twice(self.positioning(semantics))

    def flow_loss(self, features: Tensor, conditions: Conditions, rows: Tensor | None = None) -> Tensor:
        """Negative log-likelihood a dimension, without its constant; scalar.

        Parameters
        ----------
        features : Tensor
            (B, D) scaled training features.
        conditions : Conditions
            Conditions of C classes, or of the B samples one by one.
        rows : Tensor | None
            (B,) the row of the conditions that holds each sample's class; None where the conditions have one
            row a sample.
        """
        z, log_det = self.flow(features, conditions, rows)
        return z.square().mean() / 2 - log_det.mean() / features.shape[1]

    def prototype_loss(self, conditions: Conditions, means: Tensor) -> Tensor:
        """MSE of each class's prototype f^-1(0; g) and its mean feature, both (S, D); scalar.

        Parameters
        ----------
        conditions : Conditions
            Conditions of S classes. No gradient reaches g through them.
        means : Tensor
            (S, D) mean feature of each class.
        """
        prototypes, _ = self.flow.inverse(torch.zeros_like(means), conditions)
        return F.mse_loss(prototypes, means)

    @torch.no_grad()
    def log_likelihood(self, features: Tensor, semantics: Tensor) -> Tensor:
        """log p(x | class) in nats of features (N, D) under each of the classes' semantics (C, A): (N, C)."""
        conditions = self.flow.condition(self.positioning(semantics))
        out = torch.empty(len(features), len(semantics), device=features.device)
        for index in range(len(semantics)):
            row = torch.full((len(features),), index, device=features.device)
            z, log_det = self.flow(features, conditions, row)
            out[:, index] = log_det - z.square().sum(dim=1) / 2
        return out - features.shape[1] / 2 * math.log(2 * math.pi)

    @staticmethod
    def from_state(state: Mapping[str, Tensor], clamp: float) -> GSMFlow:
        """The model whose ``state_dict`` is given; its sizes follow from the tensors.

        Raises
        ------
        KeyError
            A tensor is missing.
        """
        model = GSMFlow(FlowSizes.of(state), state["positioning.anchors"], clamp)
        model.load_state_dict(dict(state))
        return model.eval()

    @torch.no_grad()
    def sample(self, semantics: Tensor, count: int, *key: int | str) -> Tensor:
        """Synthesize (len(semantics) * count, D) float32 features, class after class.

        The noise of a class depends on `key` and on the position of its semantics alone, and so not on how
        many samples are computed at a time.
        """
        device, dim = semantics.device, self.flow.dim
        out = torch.empty(len(semantics) * count, dim, device=device)
        at_once = max(1, _SAMPLE_ROWS // count)
        for first in range(0, len(semantics), at_once):
            group = semantics[first : first + at_once]
            conditions = self.flow.condition(self.positioning(group))
            noise = torch.cat([normal((count, dim), device, *key, first + i) for i in range(len(group))])
            rows = torch.arange(len(group), device=device).repeat_interleave(count)
            for start in range(0, len(noise), _SAMPLE_ROWS):
                part = slice(start, start + _SAMPLE_ROWS)
                features, _ = self.flow.inverse(noise[part], conditions, rows[part])
                begin = first * count + start
                out[begin : begin + len(features)] = features
        return out

    def coarse_sampler(self, semantics: Tensor) -> Callable[..., Tensor] | None:
        """A function like [`sample`][gsmflow.flow.model.GSMFlow.sample] with 8-bit products and other noise.

        It keeps the weights of now. The noise of a class is drawn in parts of 512 samples, each from a generator of its
        own, on all cores: it does not depend on the number of threads.

        Parameters
        ----------
        semantics : Tensor
            (C, A) of classes on whose samples the 8-bit products are compared with the exact ones.

        Returns
        -------
        Callable[..., Tensor] | None
            None if they differ by more than 3 % of the standard deviation within a class.
        """
        inverse, dim = EightBitInverse(self.flow), self.flow.dim
        if not self._near(inverse, semantics[:_COMPARED]):
            return None

        @torch.no_grad()
        def sample(semantics: Tensor, count: int, *key: int | str) -> Tensor:
            conditions = self.flow.condition(self.positioning(semantics))
            out = torch.empty(len(semantics) * count, dim)
            at_once = max(1, _SAMPLE_ROWS // count) if count < ROWS else 1
            for first in range(0, len(semantics), at_once):
                group = range(first, min(first + at_once, len(semantics)))
                draws = [
                    (min(ROWS, count - start), (*key, place, start))
                    for place in group
                    for start in range(0, count, ROWS)
                ]
                noise = normals(draws, dim)
                of_classes = out[first * count : first * count + len(noise)]
                of_group = condition_rows(conditions, group.start, group.stop)
                rows = torch.arange(len(group)).repeat_interleave(count)
                for start in range(0, len(noise), ROWS):
                    part = slice(start, start + ROWS)
                    inverse(noise[part], of_group, rows[part], out=of_classes[part])
            return out

        return sample

    @torch.no_grad()
    def _near(self, inverse: EightBitInverse, semantics: Tensor) -> bool:
        """Whether an 8-bit inverse is near enough for codes, on some samples of each of the classes (C, A)."""
        conditions = self.flow.condition(self.positioning(semantics))
        each = ROWS // len(semantics)
        noise = normals([(each, ("compared", place)) for place in range(len(semantics))], self.flow.dim)
        rows = torch.arange(len(semantics)).repeat_interleave(each)
        exact, _ = self.flow.inverse(noise, conditions, rows)
        spread = exact.view(len(semantics), each, -1).var(dim=1).mean()
        error = (inverse(noise, conditions, rows) - exact).square().mean()
        return bool(error <= _NEAR**2 * spread)  # False also if one is not a number
