"""Random numbers by name: many draws at a time are those of one after the other."""

from __future__ import annotations

import pytest
import torch

from gsmflow.compute.randomness import normal, normals


@pytest.mark.parametrize("threads", [1, 3])
def test_many_draws_at_a_time_are_those_of_one_after_the_other(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        drawn = normals([(40, ("a", 0)), (1, ("a", 1)), (300, ("b",)), (40, ("a", 0))], 70)
    finally:
        torch.set_num_threads(before)
    one_by_one = [
        normal((rows, 70), "cpu", *key) for rows, key in [(40, ("a", 0)), (1, ("a", 1)), (300, ("b",))]
    ]
    assert torch.equal(drawn, torch.cat((*one_by_one, one_by_one[0])))
