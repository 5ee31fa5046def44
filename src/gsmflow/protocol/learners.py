"""The model that a recipe trains, and the same with the weights of a finished run."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from gsmflow.learning.learner import Learner
from gsmflow.learning.rewarded import rewarded
from gsmflow.learning.tensors import TrainingData
from gsmflow.recipes.recipe import Recipe


def untrained(recipe: Recipe, data: TrainingData, seed: int) -> Learner:
    """The learner of a recipe before its first step, tuned by its outcome if the recipe says so.

    Raises
    ------
    InputError
        It is to be tuned by its outcome, and synthesizes nothing.
    ValueError
        The method is direct.
    """
    build = recipe.method.learner
    if build is None:
        raise ValueError(f"method '{recipe.method.name}' is direct: it has no learner")
    return rewarded(build(data, recipe.options, seed), data, recipe.reward, seed)


def restored(recipe: Recipe, data: TrainingData, seed: int, weights: Mapping[str, Tensor]) -> Learner:
    """The learner of a recipe with the weights of a finished run; what only training needs is not made again.

    Raises
    ------
    ValueError
        The weights do not belong to this method with these options on such data, or the method is direct.
    """
    build = recipe.method.rebuild or recipe.method.learner
    if build is None:
        raise ValueError(f"method '{recipe.method.name}' is direct: it has no learner")
    learner = build(data, recipe.options, seed)
    learner.load_weights(weights)
    return learner
