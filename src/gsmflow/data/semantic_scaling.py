"""Scaling of semantics before a method uses them, so that results do not depend on their units.

With m the mean of the seen classes' vectors and n the root mean square of the lengths |a - m| over these classes,
``centered`` gives::

    a -> 2 (a - m) / n

so that vectors have lengths around 2 for any number of attributes. Networks hardly learn from much shorter vectors, and
memorize single classes with much longer ones. Multiplying all attributes by a factor, or adding a constant to one,
changes nothing. Presets of published results have ``none``, as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.options import Options, option
from gsmflow.data.semantic_blocks import blocks_of, parse_weights, weighted

_LENGTH = 2.0


@dataclass(frozen=True)
class SemanticOptions(Options):
    """How semantics are scaled."""

    table = "semantics"

    scaling: str = option(
        "none",
        "centered: minus the mean of the seen classes, scaled to lengths around 2, so that units do not matter; "
        "none: as they are",
        choices=("none", "centered"),
    )
    weights: str = option(
        "chosen",
        "weights of joined semantics, such as classes,text. chosen: on validation problems under protocol validated, "
        "and otherwise equal; equal; or one number for each, such as 1,0.5",
    )


def scaled_semantics(
    semantics: NDArray[np.float32],
    seen: NDArray[np.int64],
    options: SemanticOptions,
    origin: Mapping[str, Any] | None = None,
) -> NDArray[np.float32]:
    """Semantics (C, A) as a method uses them, (C, A) float32; scaled by the rows of the seen classes (S,).

    If they are joined, as recorded in `origin`, each block is multiplied by its weight first.

    Examples
    --------
    >>> semantics = np.array([[0, 1], [0, 3], [5, 2]], np.float32)
    >>> scaled_semantics(semantics, np.array([0, 1]), SemanticOptions("centered")).tolist()
    [[0.0, -2.0], [0.0, 2.0], [10.0, 0.0]]
    """
    blocks = blocks_of(origin, semantics.shape[1])
    if len(blocks) > 1:
        semantics = weighted(semantics, blocks, parse_weights(options.weights, blocks))
    if options.scaling == "none":
        return semantics
    values = semantics.astype(np.float64)
    centered = values - values[seen].mean(axis=0)
    length = float(np.sqrt(np.square(centered[seen]).sum(axis=1).mean())) or 1.0
    return (_LENGTH / length * centered).astype(np.float32)


def is_binary(semantics: NDArray[np.float32], most: int) -> bool:
    """Whether semantics (C, A) have at most `most` dimensions, each with two values or one.

    Examples
    --------
    >>> is_binary(np.array([[0, 1], [1, 1]], np.float32), 2), is_binary(np.array([[0], [1], [2]], np.float32), 2)
    (True, False)
    """
    return semantics.shape[1] <= most and all(len(np.unique(column)) <= 2 for column in semantics.T)
