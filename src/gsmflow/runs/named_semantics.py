"""Semantics of a new class that are given by the names of their dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import instead_of, listed


def named_semantics(problem_names: Sequence[str] | None, values: Mapping[str, float]) -> list[float]:
    """The vector of values given by name, in the order of the dimensions.

    Raises
    ------
    InputError
        The dimensions have no names, one is missing, or one is unknown.
    """
    if problem_names is None:
        raise InputError("attributes: the dimensions of this run have no names; give the values in order")
    unknown = [name for name in values if name not in problem_names]
    if unknown:
        raise InputError(f"attributes: no '{unknown[0]}'; {instead_of(unknown[0], problem_names)}")
    missing = [name for name in problem_names if name not in values]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise InputError(
            f"attributes: {listed(missing)} {verb} missing; give each dimension a value, such as {missing[0]}=0"
        )
    return [float(values[name]) for name in problem_names]
