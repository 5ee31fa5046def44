"""What a person is told that looks wrong about data or a result."""

from __future__ import annotations

from collections.abc import Iterable

import click

from gsmflow.data.problem import Problem
from gsmflow.data.warnings import Concern, of_problem


def tell_concerns(concerns: Iterable[Concern]) -> None:
    """Each concern once, on stderr."""
    for concern in concerns:
        click.echo(f"warning: {concern.text}", err=True)


def told_about(problem: Problem) -> list[str]:
    """Lines about a problem: columns left out, labels matched, digits lost, and what looks wrong."""
    keys = ("left out", "names", "digits", "digits of semantics")
    remarks = [f"{key}: {problem.notes[key]}" for key in keys if key in problem.notes]
    return [*remarks, *(f"warning: {concern.text}" for concern in of_problem(problem))]
