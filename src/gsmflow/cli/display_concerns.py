"""Warnings about data and results, printed on stderr."""

from __future__ import annotations

from collections.abc import Iterable

from gsmflow.cli.saying import say
from gsmflow.data.concern import Concern
from gsmflow.data.problem import Problem
from gsmflow.data.warnings import of_problem


def tell_concerns(concerns: Iterable[Concern]) -> None:
    """Print each warning once, on stderr."""
    for concern in concerns:
        say(f"warning: {concern.text}", indent=2)


def told_about(problem: Problem) -> list[str]:
    """Lines about a problem: columns left out, labels matched, digits lost, and what looks wrong."""
    keys = ("left out", "names", "read as 1 and 0", "digits", "digits of semantics")
    remarks = [f"{key}: {problem.notes[key]}" for key in keys if key in problem.notes]
    return [*remarks, *(f"warning: {concern.text}" for concern in of_problem(problem))]
