"""Joining several semantics of a problem, in blocks of the same weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.data.problem import Problem
from gsmflow.data.semantic_blocks import BLOCKS, Block
from gsmflow.files.class_names import alike


@dataclass(frozen=True)
class NamedSemantics:
    """Semantics of one kind, before they are joined with others.

    Parameters
    ----------
    part : str
        Their name.
    classes : tuple[str, ...]
        C class names, in any order.
    vectors : NDArray[np.float32]
        (C, A).
    dimensions : tuple[str, ...] | None
        A names of the dimensions, if they have names.
    origin : Mapping[str, Any] | None
        How they were made, if that is known.
    where : str
        Where they came from, for messages.
    """

    part: str
    classes: tuple[str, ...]
    vectors: NDArray[np.float32]
    dimensions: tuple[str, ...] | None
    origin: Mapping[str, Any] | None
    where: str

    @staticmethod
    def of(problem: Problem, part: str) -> NamedSemantics:
        """The semantics of a problem."""
        where = problem.where("semantics")
        names = problem.semantic_names
        return NamedSemantics(part, problem.classes, problem.semantics, names, problem.semantic_origin, where)

    def in_order_of(self, first: NamedSemantics) -> NDArray[np.float32]:
        """The vectors (C, A) in the order of the classes of `first`.

        Raises
        ------
        InputError
            The two have different classes.
        """
        place = {alike(name): index for index, name in enumerate(self.classes)}
        known = set(map(alike, first.classes))
        odd = [name for name in self.classes if alike(name) not in known]
        odd += [name for name in first.classes if alike(name) not in place]
        if odd or len(place) != len(first.classes):
            raise InputError(
                f"{first.where} and {self.where}: not the same classes ({listed(odd)} in one alone); describe every "
                "class in both"
            )
        return self.vectors[[place[alike(name)] for name in first.classes]]


def parts_of(semantics: str | None) -> tuple[str, ...]:
    """The names in a text such as ``classes,text``; empty for a single name or none.

    Raises
    ------
    InputError
        A name is empty or occurs twice.
    """
    parts = tuple(part.strip() for part in (semantics or "").split(","))
    if len(parts) < 2:
        return ()
    if "" in parts or len(set(parts)) < len(parts):
        raise InputError(f"{semantics}: name each once, such as classes,text", parameter="semantics")
    return parts


def joined(problem: Problem, semantics: Sequence[NamedSemantics]) -> Problem:
    """The problem with these semantics, joined, in place of its own.

    Raises
    ------
    InputError
        A class is missing in one of them.
    """
    vectors, names, blocks = [], [], []
    for each in semantics:
        own = each.in_order_of(semantics[0])
        block = Block.fit(each.part, own, problem.seen, each.origin)
        blocks.append(block)
        vectors.append(block.joined(own))
        called = each.dimensions or tuple(f"{each.part} {n + 1}" for n in range(block.size))
        names += [(each.part, name) for name in called]
    often = Counter(name for _, name in names)
    sizes = "; ".join(f"{block.name}: {block.size} dimensions" for block in blocks)
    return replace(
        problem,
        semantics=np.concatenate(vectors, axis=1),
        semantic_names=tuple(name if often[name] == 1 else f"{part}:{name}" for part, name in names),
        semantic_origin={BLOCKS: [block.to_dict() for block in blocks]},
        origins={**problem.origins, "semantics": " and ".join(each.where for each in semantics)},
        notes={
            **problem.notes,
            "semantics": f"{sizes}; each block centred and scaled to mean squared length 1",
        },
    )


def check_same_samples(first: Problem, other: Problem) -> None:
    """Refuse to join semantics that come with another split or other labels.

    Raises
    ------
    InputError
        Splits or labels differ.
    """
    place = {alike(name): index for index, name in enumerate(first.classes)}
    order = np.array([place.get(alike(name), -1) for name in other.classes])
    same = np.array_equal(order[other.labels], first.labels) and all(
        np.array_equal(getattr(other, part), getattr(first, part))
        for part in ("train", "test_seen", "test_unseen")
    )
    if not same:
        raise InputError(
            f"{first.where('semantics')} and {other.where('semantics')}: come with different splits, and cannot be "
            "joined"
        )
