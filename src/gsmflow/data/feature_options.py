"""Options of the transformation of features, which [`gsmflow.data.transform`][gsmflow.data.transform] carries out."""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.errors import InputError
from gsmflow.base.options import Options, option
from gsmflow.data.problem import Problem

SCALINGS = ("minmax", "standard", "length", "none")


def most_components(dim: int, samples: int) -> int:
    """The largest number of principal components of that many centered samples of `dim` dimensions."""
    return max(0, min(dim, samples - 1))


@dataclass(frozen=True)
class FeatureOptions(Options):
    """How raw features are scaled and, if asked for, projected."""

    table = "features"

    scaling: str = option(
        "minmax",
        "minmax: each dimension to [0, 1] by the training range (the paper's); standard: zero mean, unit "
        "variance; length: every sample to unit length; none: as they are",
        choices=SCALINGS,
    )
    project: int = option(
        0, "keep this many principal components of the scaled training features; 0: no projection", low=0
    )
    project_at_most: int = option(
        0,
        "components to keep where `project` is 0 and features have more dimensions; 0: no projection",
        low=0,
    )
    log: bool = option(False, "log(1 + x) first; for non-negative features with heavy tails")

    def components(self, dim: int, samples: int) -> int:
        """The number of principal components for `dim` dimensions and that many training samples; 0: no projection."""
        if self.project or dim <= self.project_at_most:
            return self.project  # features of few dimensions lose by a rotation
        return min(self.project_at_most, most_components(dim, samples))

    def out_dim(self, problem: Problem) -> int:
        """Dimensions of the transformed features of `problem`."""
        return self.components(problem.feature_dim, len(problem.train)) or problem.feature_dim


def check_projection(problem: Problem, options: FeatureOptions) -> None:
    """Refuse a projection to more components than the training features have.

    Raises
    ------
    InputError
        ``features.project`` is larger than that.
    """
    samples, dim = len(problem.train), problem.feature_dim
    largest = most_components(dim, samples)
    if options.project > largest:
        raise InputError(
            f"features.project = {options.project}: {samples} training samples of {dim} dimensions have at "
            f"most {largest} components; lower it"
        )
