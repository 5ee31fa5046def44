"""Compiled where that can be done, the same numbers where it cannot."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gsmflow.flow import fusion


def doubled(x: Tensor) -> Tensor:
    return x * 2


def test_without_a_compiler_the_function_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def compiler(function: Callable[[Tensor], Tensor], dynamic: bool) -> Callable[[Tensor], Tensor]:
        def fails(x: Tensor) -> Tensor:
            raise RuntimeError("no C compiler\nin many lines")

        return fails

    monkeypatch.setattr(fusion, "find_spec", lambda name: True)
    monkeypatch.setattr(torch, "compile", compiler)
    call = fusion.fused(doubled)
    with pytest.warns(UserWarning, match="no C compiler; continuing without, more slowly"):
        assert call(torch.ones(2)).tolist() == [2, 2]
    assert call(torch.ones(3)).tolist() == [2, 2, 2]  # and says so once


def test_without_triton_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "find_spec", lambda name: None)
    monkeypatch.setattr(torch, "compile", lambda function, **options: pytest.fail("compiled"))
    assert fusion.fused(doubled)(torch.ones(2)).tolist() == [2, 2]


def test_only_large_weights_on_a_gpu_pay() -> None:
    assert not fusion.pays(torch.zeros(1 << 10, 1 << 10))
