"""A flow of the recommended size on the first validation problem, so that a run can say if its own size is worse.

It does not change what is chosen, and is left out if it would take long compared with the run's own training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gsmflow.compute.finite import TrainingFailed
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.choice import Choice
from gsmflow.protocol.trial import Trial
from gsmflow.recipes.recipe import Recipe, make_recipe

_SIZES = ("blocks", "hidden")
_QUICK = 1e9  # a training with so few multiplications is always short enough
_MOST = 2e12  # most multiplications, however long the run's own training takes
_PART = 1 / 8  # most multiplications relative to the run's own training


@dataclass
class RecommendedSize:
    """The flow of a run with the size in the preset ``best`` and otherwise the options of the run.

    Parameters
    ----------
    recipe : Recipe
        The recipe of that flow.
    settings : dict[str, int]
        Its sizes by option.
    own : dict[str, int]
        The sizes in the run, by option.
    seed : int
        The seed of the run.
    reached : dict[str, float]
        Its ``H`` and the run's ``own`` H on the first validation problem; empty if it was not compared.
    """

    recipe: Recipe
    settings: dict[str, int]
    own: dict[str, int]
    seed: int
    reached: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def of(recipe: Recipe, seed: int) -> RecommendedSize | None:
        """The flow for a recipe; None if the method is no flow or has this size, or if validation is not trusted."""
        method, options = recipe.method, recipe.options
        if not recipe.selection.trust_validation or not all(hasattr(options, name) for name in _SIZES):
            return None
        recommended = make_recipe(method.name, "best").options
        settings = {name: getattr(recommended, name) for name in _SIZES}
        own = {name: getattr(options, name) for name in _SIZES}
        if settings == own or any(name in method.fixed for name in _SIZES):
            return None
        other = type(options)(**options.as_dict() | settings)
        return RecommendedSize(replace(recipe, options=other), settings, own, seed)

    def judge(self, trial: Trial, scored: Sequence[Choice]) -> None:
        """Train it as long as a trial of the run was trained, and score it at the end.

        Parameters
        ----------
        trial : Trial
            The trial of the run on the first validation problem.
        scored : Sequence[Choice]
            All choices that were scored along it.
        """
        other = Trial(trial.prepared, self.recipe, self.seed, Recorder(), "another size")
        cost = _multiplications(other)
        if cost > max(_QUICK, min(_MOST, _multiplications(trial) * _PART)):
            return
        try:
            for _ in other.train_to([other.learner.total_steps]):
                best = max(choice.H for choice in other.score_all())
                self.reached = {"H": best, "own": max(choice.H for choice in scored)}
        except TrainingFailed:  # of what the run does not use
            return

    def far_above(self, far: float) -> dict[str, Any] | None:
        """Both sizes and their H, if this one is better than the run's own by `far`; otherwise None."""
        if not self.reached or self.reached["H"] < self.reached["own"] + far:
            return None
        table = self.recipe.options.table
        return {"table": table, "settings": self.settings, "own_settings": self.own, **self.reached}


def _multiplications(trial: Trial) -> float:
    """Approximate multiplications of a training: three products with every weight for each sample and prototype."""
    weights = sum(tensor.numel() for tensor in trial.learner.weights().values())
    batch = getattr(trial.recipe.options, "batch_size", 1) + len(trial.prepared.data.seen)
    return 3.0 * weights * batch * trial.learner.total_steps
