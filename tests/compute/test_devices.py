"""Products of 8-bit numbers are used only where torch computes what is expected of its private functions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from gsmflow.compute import devices

CPU = torch.device("cpu")


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True, raising=False)
    devices._eight_bit_as_expected.cache_clear()
    yield
    devices._eight_bit_as_expected.cache_clear()


def wrong(left: Tensor, right: Tensor) -> Tensor:
    return left.int() @ right.int() + 1


def broken(left: Tensor, right: Tensor) -> Tensor:
    raise RuntimeError("not compiled in")


@pytest.mark.parametrize("replacement", [wrong, broken])
def test_functions_that_changed_are_not_used(
    hardware: None, monkeypatch: pytest.MonkeyPatch, replacement: object
) -> None:
    monkeypatch.setattr(torch, "_int_mm", replacement)
    assert not devices.has_eight_bit(CPU)


def test_without_the_instructions_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False, raising=False)
    monkeypatch.setattr(devices, "_eight_bit_as_expected", lambda: pytest.fail("tried"))
    assert not devices.has_eight_bit(CPU)
