"""Other methods and sizes on the validation problems of a run, so that the run can say if it is far behind.

A closed form takes about a second; a flow of the recommended size is in `gsmflow.protocol.sizes`. Neither changes what
is chosen, and each is left out if it would take long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from gsmflow.learning.journal import Recorder
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods import find_method
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.sizes import RecommendedSize
from gsmflow.protocol.trial import Trial
from gsmflow.recipes.recipe import Recipe
from gsmflow.scores.gzsl import best_bias, harmonic_mean

FAR = 0.05  # difference in H from which another method is far better
_MOST = 8e10  # most multiplications on one validation problem: about three seconds of one core
_TRIED = 2  # exponents of its regularizer tried on either side


@dataclass(frozen=True)
class Rivals:
    """Everything that the method of a run is compared with.

    Parameters
    ----------
    method : Rival | None
        A closed form.
    size : RecommendedSize | None
        The same flow at the recommended size.
    problems : int
        Number of validation problems on which the run chooses.
    """

    method: Rival | None
    size: RecommendedSize | None
    problems: int

    @staticmethod
    def of(recipe: Recipe, seed: int) -> Rivals:
        """The rivals of a recipe."""
        return Rivals(Rival.of(recipe, seed), RecommendedSize.of(recipe, seed), recipe.selection.problems)

    def apart(self) -> Rivals:
        """The same rivals without results, for a problem that is judged at the same time as others."""
        return replace(self, method=self.method and replace(self.method, reached=[]))

    def add(self, apart: Iterable[Rivals]) -> None:
        """Add what the method reached on each of these problems, in their order."""
        for each in apart:
            if self.method and each.method:
                self.method.reached += each.method.reached

    def far_above(self, own: float) -> list[dict[str, Any]]:
        """Facts about the rivals that are far above the run, whose mean H is `own`."""
        told = (
            self.method.far_above(self.problems, own) if self.method else None,
            self.size.far_above(FAR) if self.size else None,
        )
        return [each for each in told if each]


@dataclass
class Rival:
    """A closed form that is compared with the method of a run.

    Parameters
    ----------
    recipe : Recipe
        Its recipe: features, semantics and head as in the run.
    seed : int
        The seed of the run.
    reached : list[list[float]]
        H of each of its candidates, a list for each problem it was judged on.
    """

    recipe: Recipe
    seed: int
    reached: list[list[float]] = field(default_factory=list)

    @staticmethod
    def of(recipe: Recipe, seed: int) -> Rival | None:
        """The rival that the method declares; None if it is not compared, or if validation is not trusted."""
        method = recipe.method
        compared = method.rival and not (method.untrained or method.upper_bound)
        if not compared or not recipe.selection.trust_validation:
            return None
        method = find_method(method.rival)
        options = method.options(**{"tried": _TRIED})
        return Rival(replace(recipe, method=method, options=options, members={}), seed)

    def judge(self, prepared: Prepared) -> None:
        """Score it on a validation problem, with the same transformation of features as in the run."""
        width = prepared.data.features.shape[1]
        cheap = _thinned(prepared, int(_MOST / 3 / width**2))
        if (
            5 * width + len(cheap.data.features)
        ) * width**2 > _MOST:  # a handful of factorizations, a covariance
            return
        trial = Trial(cheap, self.recipe, self.seed, Recorder(), "comparison")
        self.reached.append(list(_reached(trial, calibrate=self.recipe.head.calibrate)))

    def far_above(self, problems: int, own: float) -> dict[str, Any] | None:
        """Its name and its mean H, if it was judged on all problems and is far above `own`; otherwise None."""
        if len(self.reached) < problems:
            return None
        best = max(sum(each) / len(each) for each in zip(*self.reached, strict=True))
        return {"method": self.recipe.method.name, "H": best, "own": own} if best >= own + FAR else None


def _reached(trial: Trial, *, calibrate: bool) -> Iterator[float]:
    """H of every candidate, with the best bias if `calibrate` allows one."""
    for candidate in trial.candidates():
        curve = trial.prepared.curve(candidate.head)
        yield harmonic_mean(*curve.at(best_bias(curve) if calibrate else 0.0))


def _thinned(prepared: Prepared, most: int) -> Prepared:
    """The same problem with at most about `most` training samples, evenly spaced within each class."""
    data: TrainingData = prepared.data
    every = -(-len(data.features) // max(most, 1))
    order: Tensor = data.labels.argsort(stable=True)[::every]
    if every == 1 or len(data.labels[order].unique()) < len(data.seen):
        return prepared
    return replace(prepared, data=replace(data, features=data.features[order], labels=data.labels[order]))
