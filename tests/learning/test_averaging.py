"""Heads on several synthetic sets: the mean head is the mean of heads trained alone."""

from __future__ import annotations

import pytest
import torch

from gsmflow.base.errors import InputError
from gsmflow.heads.linear import LinearHead
from gsmflow.learning.averaging import heads_on_sets, mean_head
from gsmflow.learning.head_data import Pool
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.softmax import train_head


def pool(draw: int) -> Pool:
    generator = torch.Generator().manual_seed(draw)
    labels = torch.arange(60) % 3
    features = torch.randn(60, 4, generator=generator) + labels[:, None]
    return Pool(features, labels, 60)


def test_it_is_the_mean_of_heads_trained_alone() -> None:
    options = HeadOptions(epochs=3, batch_size=20, sets=3)
    averaged = list(heads_on_sets(pool(0), pool, 3, options, 5, "head"))
    alone = [
        list(train_head(pool(draw), 3, options, *key))
        for draw, key in enumerate([(5, "head"), (5, "head", 1), (5, "head", 2)])
    ]
    x = torch.randn(7, 4)
    for epoch, head in enumerate(averaged):
        mean = torch.stack([heads[epoch].logits(x) for heads in alone]).mean(dim=0)
        torch.testing.assert_close(head.logits(x), mean)


def test_one_set_is_the_head_itself() -> None:
    options = HeadOptions(epochs=2, batch_size=20)
    (*_, one), (*_, plain) = (
        heads_on_sets(pool(0), pool, 3, options, 5, "head"),
        train_head(pool(0), 3, options, 5, "head"),
    )
    assert torch.equal(one.weight, plain.weight)


def test_cosine_heads_have_no_mean() -> None:
    cosine = LinearHead(torch.ones(2, 3), torch.zeros(2), 20.0)
    with pytest.raises(ValueError, match="cosine"):
        mean_head([cosine, cosine])
    with pytest.raises(InputError, match=r"head\.sets"):
        HeadOptions(kind="cosine", sets=2)
