"""FSIGenZ (Shohag et al., 2025): a few prototypes of unseen classes, and a classifier of pairs of feature and class.

How it works is in [`gsmflow.methods.workings.fsigenz`][gsmflow.methods.workings.fsigenz].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class FSIGenZOptions(Options):
    """Prototypes of unseen classes, and the training of the classifier."""

    table = "fsigenz"

    epochs: int = option(40, "passes over features and prototypes", low=1, search="10:100:log")
    batch_size: int = option(128, "features and prototypes in a step", low=1)
    learning_rate: float = option(1e-3, "Adam's", above=0, search="2e-4:3e-3:log")
    hidden: int = option(512, "dimensions in which features and semantics meet", low=1, search="256,512,1024")
    raised: float = option(
        1.0,
        "how much semantics above the threshold are raised, as a multiple of themselves; 0 switches it off",
        low=0,
        search="0:2",
    )
    threshold: float = option(
        0.5,
        "T_h, above the mean of the seen classes, in standard deviations of their semantics",
        search="-1:2",
    )
    prototypes: int = option(10, "K, prototypes of each unseen class", low=1, search="1:50:log")
    lowest: float = option(-3.0, "exponent of 10: the smallest lambda of the prototypes", low=-9, high=9)
    highest: float = option(0.0, "exponent of 10: the largest lambda of the prototypes", low=-9, high=9)
    unseen_weight: float = option(
        0.3, "beta, weight of the loss of unseen classes", low=0, search="0.01:3:log"
    )
    similarity: float = option(
        1.0,
        "how much classes count as similar to others in the targets; 0 switches it off",
        low=0,
        high=1,
        search="0:1",
    )
    similarity_ridge: float = option(-1.0, "exponent of 10: phi, of the similarities", low=-9, high=9)


METHOD = Method(
    name="fsigenz",
    citation="Shohag et al., Few-shot inspired generative zero-shot learning, arXiv 2507.01026, 2025",
    options=FSIGenZOptions,
    learner=later("gsmflow.methods.workings.fsigenz:FSIGenZLearner"),
    parts={
        "without raised attributes": ("raised=0",),
        "without similar classes": ("similarity=0",),
        "one prototype a class": ("prototypes=1",),
    },
    kind="classifier by itself",
    speed="10 seconds to 2 minutes",
    when="a classifier of pairs of feature and class, in seconds: it needs ten prototypes of an unseen class and no "
    "generator",
)
