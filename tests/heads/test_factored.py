"""Heads that share rows are the linear heads they stand for, and compute what they share once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gsmflow.heads import remembered
from gsmflow.heads.factored import FactoredHead, Rows
from gsmflow.heads.kinds import head_from_state, head_state
from gsmflow.heads.linear import LinearHead
from gsmflow.heads.remembered import Remembered


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_a_factored_head_is_a_linear_head_in_logits_and_in_a_run_folder() -> None:
    head = FactoredHead(Rows(draw(3, 5)), draw(4, 3), draw(4))
    assert (head.classes, head.in_dim) == (4, 5)
    features = draw(7, 5)
    expected = features @ (head.across @ head.rows.values).T + head.bias
    torch.testing.assert_close(head.logits(features), expected)
    again = head_from_state(head_state(head))
    assert isinstance(again, LinearHead)
    torch.testing.assert_close(again.logits(features), expected)


def test_what_heads_share_is_computed_once_for_the_same_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Tensor] = []

    def compute(features: Tensor) -> Tensor:
        asked.append(features)
        return features + len(asked)

    answers, features = Remembered(), draw(6, 2)
    first = answers.of(features, compute)
    assert answers.of(features[:], compute) is first  # another view of all of it
    assert answers.of(features[:3], compute) is not first
    assert answers.of(features.clone(), compute) is not first
    assert len(asked) == 3
    monkeypatch.setattr(remembered, "_ENTRIES", 12)
    answers.of(draw(5, 2), compute)  # the older ones go
    assert answers.of(features, compute) is not first
    assert len(asked) == 5
