"""Nearest neighbours for seen classes, predicted means for unseen ones.

The distance of a sample x from its K nearest training samples shows whether its class was not trained on (Sun et al.,
ICML 2022)::

    n(x) = mean of the K smallest |x - x_i|,    v(x) = (n(x) - m) / s

where m and s are the mean and the standard deviation of n over the training samples, each left out in turn. The logits
are those of [`NeighbourHead`][gsmflow.heads.neighbours.NeighbourHead]: the nearest sample ranks seen classes, the
distance to a mean that ridge regression predicts from semantics ranks unseen ones, and v(x) is the difference of the
best unseen and the best seen logit. A bias on unseen classes is then a threshold on v.

With ``ranked=off`` only v(x) is left, for use as a member of a stack: the other members rank the classes, and the
weight in the stack says how much novelty counts.

Different from Sun et al.: the mean distance of K neighbours replaces the distance of the K-th, and features are scaled
by `features.scaling` and not to unit length. In validation on several problems both were at least as good.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gsmflow.heads.base import Head
from gsmflow.heads.neighbours import NeighbourHead, Neighbours
from gsmflow.learning.tensors import TrainingData, evenly_drawn
from gsmflow.methods.neighbours import NeighbourOptions
from gsmflow.methods.workings.semantic_kernel import regression, semantic_kernel


def solutions(data: TrainingData, options: NeighbourOptions) -> Iterator[tuple[dict[str, float], Head]]:
    """A head for every regularizer to try; the one in the options comes first."""
    chosen = evenly_drawn(data.labels, max(options.samples, len(data.seen)))
    neighbours = Neighbours.of(data.features[chosen], options.count)
    labels = data.seen[data.labels[chosen]]
    is_unseen = torch.zeros(len(data.semantics), dtype=torch.bool, device=data.device)
    is_unseen[data.unseen] = True
    if not options.ranked:
        none = data.features[:0]
        yield {"ridge": options.ridge}, NeighbourHead(neighbours, labels, is_unseen, none, ranks=False)
        return
    kernel = semantic_kernel(data, 0.0)
    means = data.class_means().double()
    middle = means.mean(dim=0)
    for shift in sorted(range(-options.tried, options.tried + 1), key=abs):
        ridge = options.ridge + shift
        predicted = regression(kernel, data.seen, ridge).T @ (means - middle) + middle
        of_unseen = predicted[is_unseen].float()
        yield {"ridge": ridge}, NeighbourHead(neighbours, labels, is_unseen, of_unseen)
