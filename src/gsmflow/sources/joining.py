"""One problem of several that differ in their semantics alone: the semantics side by side, in blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.data.problem import Problem
from gsmflow.data.semantic_blocks import BLOCKS, Block
from gsmflow.files.class_names import alike


def parts_of(semantics: str | None) -> tuple[str, ...]:
    """The names in ``classes,text``; one or none are no parts.

    Raises
    ------
    InputError
        A name is empty or there twice.
    """
    parts = tuple(part.strip() for part in (semantics or "").split(","))
    if len(parts) < 2:
        return ()
    if "" in parts or len(set(parts)) < len(parts):
        raise InputError(f"{semantics}: name each once, such as classes,text", parameter="semantics")
    return parts


def joined(problems: Sequence[Problem], parts: Sequence[str]) -> Problem:
    """The first problem with the semantics of all.

    Parameters
    ----------
    problems : Sequence[Problem]
        Problems of the same samples, classes and split, their classes in any order.
    parts : Sequence[str]
        The name of each one's semantics.

    Raises
    ------
    InputError
        A class is not in all of them, or their samples or splits differ.
    """
    first = problems[0]
    vectors, names, blocks = [], [], []
    for problem, part in zip(problems, parts, strict=True):
        same = _in_order_of(first, problem, parts[0], part)
        block = Block.fit(part, same.semantics, first.seen, same.semantic_origin)
        blocks.append(block)
        vectors.append(block.joined(same.semantics))
        called = same.semantic_names or tuple(f"{part} {n + 1}" for n in range(block.size))
        names += [(part, name) for name in called]
    often = Counter(name for _, name in names)
    sizes = "; ".join(f"{block.name}: {block.size} dimensions" for block in blocks)
    return replace(
        first,
        semantics=np.concatenate(vectors, axis=1),
        semantic_names=tuple(name if often[name] == 1 else f"{part}:{name}" for part, name in names),
        semantic_origin={BLOCKS: [block.to_dict() for block in blocks]},
        origins={**first.origins, "semantics": " and ".join(each.where("semantics") for each in problems)},
        notes={
            **first.notes,
            "semantics": f"{sizes}; each block centred and scaled to mean squared length 1",
        },
    )


def _in_order_of(first: Problem, problem: Problem, one: str, other: str) -> Problem:
    """A problem with its classes in the order and under the names of the first."""
    place = {alike(name): index for index, name in enumerate(first.classes)}
    odd = [name for name in problem.classes if alike(name) not in place]
    known = {alike(name) for name in problem.classes}
    odd += [name for name in first.classes if alike(name) not in known]
    if odd:
        raise InputError(
            f"{first.where('semantics')} and {problem.where('semantics')}: not the same classes "
            f"({listed(odd)} in one alone); describe every class in both"
        )
    ordered = problem.in_order_of([place[alike(name)] for name in problem.classes], first.classes)
    same = np.array_equal(ordered.labels, first.labels) and all(
        np.array_equal(getattr(ordered, part), getattr(first, part))
        for part in ("train", "test_seen", "test_unseen")
    )
    if not same:
        raise InputError(
            f"{first.where('semantics')} and {problem.where('semantics')}: {one} and {other} come with different "
            "splits, and cannot be joined"
        )
    return ordered
