"""A small problem and a recipe for it that runs in a second, for tests of everything around training."""

from __future__ import annotations

from gsmflow.data.problem import Problem
from gsmflow.sources import synthetic

PROBLEM = "synthetic:n=600,d=10,classes=12,unseen=3,a=6,spread=0.4"
OVERRIDES = (
    "features.project_at_most=0",
    "gsmflow.epochs=12",
    "gsmflow.least_steps=0",
    "gsmflow.batch_size=40",
    "gsmflow.blocks=2",
    "gsmflow.hidden=24",
    "gsmflow.global_semantic=16",
    "gsmflow.learning_rate=0.002",
    "gsmflow.weight_decay=1e-5",
    "gsmflow.perturbation=0.07",
    "head.synthetic_per_class=40",
    "head.epochs=6",
    "head.batch_size=64",
    "head.learning_rate=0.02",
    "selection.every=40",
    "selection.problems=1",
)
ARGUMENTS = [part for override in OVERRIDES for part in ("--set", override)]


def problem() -> Problem:
    """The problem itself."""
    return synthetic.make(synthetic.parse(PROBLEM.partition(":")[2]))[0]
