"""Heads trained on several independent sets of synthetic features, and the mean of their logits.

A head trained on one set depends on the noise of that set. The mean of the logits of heads trained on several sets
depends on it less. It costs nothing when features are classified: the mean of linear heads is a linear head, with the
mean weights and biases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from gsmflow.heads.linear import LinearHead
from gsmflow.learning.head_data import Pool, Stream
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.softmax import train_head


def heads_on_sets(
    first: Pool | Stream,
    more: Callable[[int], Pool | Stream],
    classes: int,
    options: HeadOptions,
    *key: int | str,
    epochs: int | None = None,
) -> Iterator[LinearHead]:
    """The mean head over `options.sets` sets, after each epoch.

    Parameters
    ----------
    first : Pool | Stream
        The first set.
    more : Callable[[int], Pool | Stream]
        Returns set 1, 2, ...; only the first set and one other are in memory at a time.
    classes : int
        C, the number of logits.
    options : HeadOptions
        How each head is trained.
    key : int | str
        Names the random draws; for further sets the number of the set is appended.
    epochs : int | None
        Instead of `options.epochs`.

    Raises
    ------
    TrainingFailed
        The weights become not finite.
    """
    others = [
        list(train_head(more(draw), classes, options, *key, draw, epochs=epochs))
        for draw in range(1, options.sets)
    ]
    for epoch, head in enumerate(train_head(first, classes, options, *key, epochs=epochs)):
        yield mean_head([head, *(heads[epoch] for heads in others)])


def mean_head(heads: Sequence[LinearHead]) -> LinearHead:
    """The linear head whose logits are the mean of the logits of these linear heads.

    Raises
    ------
    ValueError
        There are several heads and one is a cosine head; their mean is not a single head.

    Examples
    --------
    >>> one, other = (LinearHead(torch.full((2, 3), w), torch.zeros(2)) for w in (1.0, 3.0))
    >>> mean_head([one, other]).weight[0].tolist()
    [2.0, 2.0, 2.0]
    """
    if len(heads) == 1:
        return heads[0]
    if any(head.scale is not None for head in heads):
        raise ValueError("heads: a cosine head among several; only linear heads have a mean that is one")
    return LinearHead(
        torch.stack([head.weight for head in heads]).mean(dim=0),
        torch.stack([head.bias for head in heads]).mean(dim=0),
    )
