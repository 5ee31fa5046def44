"""When a training is scored, and on what choices are made."""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option


@dataclass(frozen=True)
class SelectionOptions(Options):
    """When a training is scored, for protocols that choose by scores."""

    table = "selection"

    every: int = option(100, "iterations from one evaluation to the next", low=1)
    after: int = option(0, "no evaluation before this iteration", low=0)
    problems: int = option(
        1,
        "validation problems that a choice is averaged over: the first uses the published validation classes if "
        "there are any, the others use randomly drawn ones",
        low=1,
    )
    averaged: int = option(
        1,
        "heads of a closed-form method whose logits are averaged: those with the best parameters on the validation "
        "problems",
        low=1,
    )
    score: str = option("H", "score that choices maximize on validation problems", choices=("H", "AUSUC"))
    trust_validation: bool = option(
        True,
        "off if the features were learned with the labels of all seen classes: seen classes that are held out as "
        "unseen are then too easy, so generators are judged on held-out samples of seen classes",
    )

    def fractions(self, total: int) -> list[float]:
        """The fractions of a training of `total` steps after which it is scored; the last one is 1.

        The options count steps of a training on all training data. A shorter one, on a validation problem, is scored
        at the same fractions of its length.
        """
        marks = range(self.after + self.every, total, self.every)
        return [*(mark / total for mark in marks), 1.0]
