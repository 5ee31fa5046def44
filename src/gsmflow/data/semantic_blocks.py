"""Semantics of several kinds side by side: each is a block of dimensions, of the same weight whatever its units.

With m the mean of a block's vectors over the seen classes and s² the mean squared length of a - m over them, a block's
vectors become::

    a -> (a - m) / s

so that the mean squared length is 1 for every block, however many dimensions it has. Weights then say how much more one
counts than another ([`weighted`][gsmflow.data.semantic_blocks.weighted]). What was done is kept in a problem's
`semantic_origin`, under ``blocks``, so that a new class can be described in a block's own units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError

BLOCKS = "blocks"  # in `semantic_origin`


@dataclass(frozen=True)
class Block:
    """Consecutive dimensions of semantics that came from one table.

    Parameters
    ----------
    name : str
        The name of the table.
    mean : tuple[float, ...]
        What was taken off each of its dimensions.
    scale : float
        What they were divided by then.
    origin : Mapping[str, Any]
        How the table was made ([`read_origin`][gsmflow.files.semantic_origin.read_origin]); empty where nobody knows.
    """

    name: str
    mean: tuple[float, ...]
    scale: float = 1.0
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of its dimensions."""
        return len(self.mean)

    @property
    def encoder(self) -> str:
        """The text encoder that made it; empty where it is of numbers."""
        return str(self.origin.get("encoder", ""))

    def joined(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """Vectors (K, size) in the block's own units as they stand in joined semantics."""
        values = np.asarray(vectors, np.float64)
        return ((values - np.array(self.mean)) / self.scale).astype(np.float32)

    def own(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """Inverse of `joined`, to rounding: (K, size) as in joined semantics to (K, size) in own units."""
        return (np.asarray(vectors, np.float64) * self.scale + np.array(self.mean)).astype(np.float32)

    @staticmethod
    def fit(
        name: str, vectors: NDArray[np.float32], seen: NDArray[np.int64], origin: Mapping[str, Any] | None
    ) -> Block:
        """The block of a table of semantics (C, size), with the mean and the scale of its seen classes."""
        values = vectors[seen].astype(np.float64)
        mean = values.mean(axis=0)
        scale = float(np.sqrt(np.square(values - mean).sum(axis=1).mean())) or 1.0
        return Block(name, tuple(mean.tolist()), scale, dict(origin or {}))

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the mean is a text, so that it takes one line of a file."""
        return {
            "name": self.name,
            "mean": " ".join(map(repr, self.mean)),
            "scale": self.scale,
            "origin": dict(self.origin),
        }


def blocks_of(
    origin: Mapping[str, Any] | None, dimensions: int, where: str = "semantics"
) -> tuple[Block, ...]:
    """The blocks that semantics of so many dimensions are of.

    Semantics of one table that a text encoder made are one block as it is; other semantics of one table have none.

    Raises
    ------
    InputError
        What is said of them does not fit their dimensions.
    """
    origin = dict(origin or {})
    said = origin.get(BLOCKS)
    if not said:
        return (Block("text", (0.0,) * dimensions, 1.0, origin),) if origin.get("encoder") else ()
    try:
        blocks = tuple(
            Block(str(b["name"]), tuple(map(float, b["mean"].split())), float(b["scale"]), dict(b["origin"]))
            for b in said
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"{where}: its blocks are not as a run writes them; make the run again") from None
    if sum(block.size for block in blocks) != dimensions:
        raise InputError(f"{where}: its blocks do not make {dimensions} dimensions; make the run again")
    return blocks


def parse_weights(text: str, blocks: Sequence[Block]) -> tuple[float, ...]:
    """The weights that ``1,0.5`` spells for blocks; ``equal`` and ``chosen`` are equal ones.

    Raises
    ------
    InputError
        They are no positive numbers, or not one for each block.
    """
    if text in ("equal", "chosen"):
        return (1.0,) * len(blocks)
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        weights = ()
    if len(weights) != len(blocks) or not all(0 < weight < 1e6 for weight in weights):
        named = ", ".join(block.name for block in blocks)
        raise InputError(
            f"semantics.weights = '{text}': expected one positive number for each of {named}, such as "
            f"{','.join('1' * len(blocks))}; or equal, or chosen"
        )
    return weights


def weighted(
    semantics: NDArray[np.float32], blocks: Sequence[Block], weights: Sequence[float]
) -> NDArray[np.float32]:
    """Joined semantics (C, A) with each block times its weight, (C, A); only the weights' ratios matter.

    The squares of the weights are brought to the mean 1, so that vectors stay as long as they are on the whole.

    Examples
    --------
    >>> blocks = [Block("a", (0.0,)), Block("b", (0.0, 0.0))]
    >>> weighted(np.ones((1, 3), np.float32), blocks, (2, 2)).tolist()
    [[1.0, 1.0, 1.0]]
    """
    factors = np.asarray(weights, np.float64)
    factors /= np.sqrt(np.square(factors).mean())
    return (semantics * np.repeat(factors, [block.size for block in blocks])).astype(np.float32)
