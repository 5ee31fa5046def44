"""Warnings about data and results, printed on stderr."""

from __future__ import annotations

from collections.abc import Iterable

from gsmflow.cli.saying import say
from gsmflow.data.concern import Concern
from gsmflow.data.problem import Problem
from gsmflow.data.warnings import of_problem, remarks


def tell_concerns(concerns: Iterable[Concern]) -> None:
    """Print each warning once, on stderr."""
    for concern in concerns:
        say(f"warning: {concern.text}", indent=2)


def told_about(problem: Problem) -> list[str]:
    """Lines about a problem: columns left out, labels matched, digits lost, and what looks wrong."""
    return [*remarks(problem), *(f"warning: {concern.text}" for concern in of_problem(problem))]


def tell_about(problem: Problem) -> None:
    """Print these lines on stderr."""
    for line in told_about(problem):
        say(line, indent=2)


def tell_outside(outside: int, samples: int, where: object) -> None:
    """How many samples lie far outside of what a run was trained on, on stderr; nothing where none does."""
    if outside:
        say(
            f"warning: {where}: {outside} of {samples} samples lie far outside of the features that the run was "
            "trained on; if they are in other units, or scaled otherwise, give them as those were",
            indent=2,
        )
