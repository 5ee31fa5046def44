"""The weights of several joined semantics, chosen on validation problems before everything else.

Each weighting of a small grid is judged by the mean score of a closed form on the validation problems. That is the
method of the run if it is a closed form, and otherwise ``lda``, which takes seconds where a training would take hours.
The test set is never used. Under protocol ``last``, or if validation is not trusted, all weights are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch

from gsmflow.data.problem import Problem
from gsmflow.data.semantic_blocks import Block, blocks_of, parse_weights
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.choosing import choose
from gsmflow.recipes.recipe import Recipe, make_recipe

_JUDGE = "lda"
# Of each block relative to the first; equal weights come first and win a tie
_RATIOS = (1.0, 0.5, 2.0)


@dataclass(frozen=True)
class SemanticWeights:
    """The weights of joined semantics, and how they were chosen.

    Parameters
    ----------
    weights : tuple[float, ...]
        One weight for each block.
    names : tuple[str, ...]
        The names of the blocks.
    judge : str
        The method whose scores decided; empty if nothing was chosen.
    score : str
        Name of the score.
    tried : dict[str, float]
        The score of each weighting.
    """

    weights: tuple[float, ...]
    names: tuple[str, ...]
    judge: str = ""
    score: str = ""
    tried: dict[str, float] | None = None

    @property
    def text(self) -> str:
        """The weights as the option takes them.

        >>> SemanticWeights((1.0, 0.5), ("classes", "text")).text
        '1,0.5'
        """
        return spelled(self.weights)

    @property
    def words(self) -> str:
        """The weights in words.

        >>> SemanticWeights((1.0, 0.5), ("classes", "text"), "lda").words
        'classes 1, text 0.5 (chosen on validation problems, by lda)'
        """
        each = ", ".join(f"{name} {weight:g}" for name, weight in zip(self.names, self.weights, strict=True))
        return each + (f" (chosen on validation problems, by {self.judge})" if self.judge else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        chosen = {"chosen_by": self.judge, "score": self.score, "tried": self.tried} if self.judge else {}
        return {"weights": dict(zip(self.names, self.weights, strict=True)), **chosen}


def spelled(weights: Sequence[float]) -> str:
    """Weights with commas between them.

    >>> spelled((1.0, 0.5))
    '1,0.5'
    """
    return ",".join(f"{weight:g}" for weight in weights)


def semantic_weights(
    problem: Problem, recipe: Recipe, protocol: str, seed: int, device: torch.device
) -> SemanticWeights | None:
    """The weights of a problem's joined semantics; None if its semantics are not joined.

    Raises
    ------
    InputError
        The given weights do not match the semantics; or no validation problem can be cut.
    """
    blocks = blocks_of(problem.semantic_origin, problem.semantic_dim, problem.where("semantics"))
    if len(blocks) < 2:
        return None
    names = tuple(block.name for block in blocks)
    asked = recipe.semantics.weights
    if asked != "chosen" or protocol != "validated" or not recipe.selection.trust_validation:
        return SemanticWeights(parse_weights(asked, blocks), names)
    judge = recipe
    if recipe.members or recipe.method.direct is None:
        judge = replace(
            make_recipe(_JUDGE, recipe.preset), selection=recipe.selection, semantics=recipe.semantics
        )
    tried = {}
    for weights in _grid(blocks):
        choice = choose(problem, with_weights(judge, weights), seed, device, Recorder())
        tried[weights] = float(getattr(choice, recipe.selection.score))
    best = max(tried, key=lambda weights: tried[weights])
    return SemanticWeights(
        best,
        names,
        judge.method.name,
        recipe.selection.score,
        {spelled(weights): score for weights, score in tried.items()},
    )


def with_weights(recipe: Recipe, weights: Sequence[float]) -> Recipe:
    """The recipe with these weights, in the recipes of its members too."""
    return replace(
        recipe,
        semantics=replace(recipe.semantics, weights=spelled(weights)),
        members={label: with_weights(member, weights) for label, member in recipe.members.items()},
    )


def _grid(blocks: Sequence[Block]) -> list[tuple[float, ...]]:
    """The weightings to try: the first block 1, every other one half as much, as much or twice as much."""
    return [(1.0, *ratios) for ratios in product(_RATIOS, repeat=len(blocks) - 1)]
