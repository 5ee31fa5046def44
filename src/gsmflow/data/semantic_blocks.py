"""Joined semantics of several kinds: each kind is a block of dimensions, and its units do not change its weight.

With m the mean of a block's vectors over the seen classes and s² the mean squared length of a - m over them, a block's
vectors become::

    a -> (a - m) / s

so that the mean squared length is 1 for every block, whatever the number of its dimensions. Weights then determine the
influence of each block ([`weighted`][gsmflow.data.semantic_blocks.weighted]). The means and scales are stored in the
problem's `semantic_origin`, under ``blocks``, so that a new class can be described in the units of each block.
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
        Subtracted from each of its dimensions.
    scale : float
        The differences are divided by it.
    origin : Mapping[str, Any]
        How the table was made ([`read_origin`][gsmflow.files.semantic_origin.read_origin]); empty if that is not known.
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
        """The text encoder that computed it; empty for attributes."""
        return str(self.origin.get("encoder", ""))

    def joined(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """Convert vectors (K, size) in the block's own units to those of joined semantics."""
        values = np.asarray(vectors, np.float64)
        return ((values - np.array(self.mean)) / self.scale).astype(np.float32)

    def own(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """Inverse of `joined` up to rounding: (K, size) in joined semantics to (K, size) in the block's own units."""
        return (np.asarray(vectors, np.float64) * self.scale + np.array(self.mean)).astype(np.float32)

    @staticmethod
    def fit(
        name: str, vectors: NDArray[np.float32], seen: NDArray[np.int64], origin: Mapping[str, Any] | None
    ) -> Block:
        """The block for a table of semantics (C, size), with the mean and the scale of its seen classes."""
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
    """The blocks that semantics consist of.

    Semantics from one table by a text encoder are one unscaled block; other semantics from one table have no blocks.

    Raises
    ------
    InputError
        The recorded blocks do not match the number of dimensions.
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
    """The weights of blocks in a text such as ``1,0.5``; ``equal`` and ``chosen`` give equal weights.

    Raises
    ------
    InputError
        The text is not one positive number for each block.
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
    """Joined semantics (C, A) with each block multiplied by its weight, (C, A); only ratios of weights matter.

    The squares of the weights are scaled to mean 1, so that the lengths of vectors stay the same on the whole.

    Examples
    --------
    >>> blocks = [Block("a", (0.0,)), Block("b", (0.0, 0.0))]
    >>> weighted(np.ones((1, 3), np.float32), blocks, (2, 2)).tolist()
    [[1.0, 1.0, 1.0]]
    """
    factors = np.asarray(weights, np.float64)
    factors /= np.sqrt(np.square(factors).mean())
    return (semantics * np.repeat(factors, [block.size for block in blocks])).astype(np.float32)
