"""Nearest neighbours: training samples for seen classes, predicted means for unseen ones, and a test of novelty.

How it works is in [`gsmflow.methods.workings.neighbours`][gsmflow.methods.workings.neighbours].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gsmflow.base.options import Options, option
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class NeighbourOptions(Options):
    """How many neighbours, and how the means of unseen classes are predicted."""

    table = "neighbours"

    count: int = option(3, "K, training samples whose distance is averaged", low=1, search="1:10")
    ridge: float = option(
        -1.0, "exponent of 10: regularizer of the regression of class means", low=-12, high=12
    )
    tried: int = option(2, "exponents tried on either side, if the protocol may choose", low=0, high=12)
    samples: int = option(5000, "most training samples to compare with, evenly over the classes", low=2)
    ranked: bool = option(
        True, "rank classes; off: only separate unseen from seen classes, as a member of a stack"
    )


def _at(options: NeighbourOptions, parameters: Mapping[str, float]) -> NeighbourOptions:
    return replace(options, ridge=parameters["ridge"], tried=0)


METHOD = Method(
    name="neighbours",
    citation="Sun et al., Out-of-distribution detection with deep nearest neighbors, ICML 2022, for the test of "
    "novelty; ridge regression of class means for unseen classes",
    options=NeighbourOptions,
    direct=later("gsmflow.methods.workings.neighbours:solutions"),
    at=_at,
    kind="closed form",
    speed="seconds",
    when="features of few dimensions with meaningful distances, such as pixels or measurements; otherwise as a member "
    "of auto, where it separates unseen from seen classes",
)
