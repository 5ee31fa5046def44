"""Compiled where that can be done, the same numbers where it cannot."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gsmflow.compute import fusion
from gsmflow.flow import ConditionalFlow, WeightGradients, coupling


def doubled(x: Tensor) -> Tensor:
    return x * 2


def test_without_a_compiler_the_function_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def compiler(function: Callable[[Tensor], Tensor], **options: bool) -> Callable[[Tensor], Tensor]:
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


def test_synthesis_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of a training step have two sizes, those of synthesis any number."""
    asked: list[bool] = []
    monkeypatch.setattr(coupling, "pays", lambda weight: True)
    affine = coupling._affine
    monkeypatch.setattr(coupling, "_affine_fused", lambda *given: (asked.append(True), affine(*given))[1])
    flow = ConditionalFlow(6, 4, blocks=1, hidden=5)
    flow.note_gradients(WeightGradients())
    conditions = flow.condition(torch.ones(1, 4))
    with torch.no_grad():
        flow.inverse(torch.ones(3, 6), conditions)
    assert not asked
    flow(torch.ones(3, 6), conditions)
    assert len(asked) == 2  # subnets


def test_a_tensor_of_another_shape_is_compiled_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[torch.Size] = []

    def compiler(function: Callable[[Tensor], Tensor], **options: bool) -> Callable[[Tensor], Tensor]:
        def runs(x: Tensor) -> Tensor:
            shapes.append(x.shape)
            return function(x)

        return runs

    monkeypatch.setattr(fusion, "find_spec", lambda name: True)
    compilers: list[object] = []
    monkeypatch.setattr(
        torch, "compile", lambda function, **options: (compilers.append(1), compiler(function))[1]
    )
    call = fusion.fused(doubled)
    for size in (2, 3, 2, 3):
        assert call(torch.ones(size)).tolist() == [2] * size
    assert len(compilers) == 2
    assert len(shapes) == 4
