"""Heads tell their kind, and others' heads are saved, loaded and exported like the built-in ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.data.transform import FeatureTransform
from gsmflow.files.tensors import read_tensors, write_tensors
from gsmflow.heads import Graph, LinearHead, register_head
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.heads.kinds import HEADS, head_from_state, head_state
from gsmflow.serve.onnx import export

NAMES = ("a", "b", "c")


@dataclass(frozen=True)
class NearestHead:
    """The logit of a class is minus the squared distance to its mean (C, D)."""

    kind: ClassVar[str] = "test-nearest"

    means: Tensor

    @property
    def classes(self) -> int:
        return len(self.means)

    @property
    def in_dim(self) -> int:
        return self.means.shape[1]

    @property
    def device(self) -> torch.device:
        return self.means.device

    def logits(self, features: Tensor) -> Tensor:
        return -torch.cdist(features.float(), self.means).square()

    def state(self) -> dict[str, Tensor]:
        return {"means": self.means.cpu()}

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> NearestHead:
        return NearestHead(state["means"])


@dataclass(frozen=True)
class DrawnHead(NearestHead):
    """The same with a graph."""

    kind: ClassVar[str] = "test-drawn"

    def graph(self, graph: Graph, x: str) -> str:
        squares = self.means.square().sum(dim=1)
        cross = graph.add("Gemm", x, graph.constant(2 * self.means), graph.constant(-squares), transB=1)
        ones = graph.constant(np.ones((self.in_dim, 1)))
        return graph.add("Sub", cross, graph.add("MatMul", graph.add("Mul", x, x), ones))

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> DrawnHead:
        return DrawnHead(state["means"])


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HEADS, "_registered", {})
    register_head(NearestHead)
    register_head(DrawnHead)


def classifier(head: NearestHead | LinearHead, alone: LinearHead | None = None) -> FittedClassifier:
    transform = FeatureTransform(np.zeros(4, np.float32), np.full(4, 0.5, np.float32))
    return FittedClassifier(transform, head, NAMES, np.array([2]), 0.25, alone, 1.5)


@pytest.mark.usefixtures("registered")
def test_a_head_of_others_comes_back_as_what_it_was(tmp_path: Path) -> None:
    head = NearestHead(torch.arange(12.0).reshape(3, 4))
    write_tensors(tmp_path / "head.safetensors", head_state(head))
    again = head_from_state(read_tensors(tmp_path / "head.safetensors")[0])
    assert type(again) is NearestHead
    x = torch.randn(5, 4)
    assert torch.equal(again.logits(x), head.logits(x))


def test_the_kind_is_written_with_a_classifier_and_needed_to_load_it(monkeypatch: pytest.MonkeyPatch) -> None:
    head, alone = (LinearHead(torch.eye(count, 4), torch.zeros(count)) for count in (3, 1))
    state = classifier(head, alone).state()
    assert bytes(state["head.kind"].tolist()) == b"linear"
    assert bytes(state["zsl.kind"].tolist()) == b"linear"
    again = FittedClassifier.from_state(state, NAMES, "it")
    assert isinstance(again.head, LinearHead)
    assert isinstance(again.unseen_head, LinearHead)
    state["head.kind"] = torch.tensor(list(b"liner"), dtype=torch.uint8)
    with pytest.raises(
        InputError, match=r"^it: install the package .* no head 'liner'; did you mean 'linear'"
    ):
        FittedClassifier.from_state(state, NAMES, "it")
    for damaged in (torch.tensor([255, 254]), torch.tensor([[0.5, -1.0]]), torch.zeros(0)):
        with pytest.raises(InputError, match=r"^it: "):
            FittedClassifier.from_state(state | {"head.kind": damaged}, NAMES, "it")


def test_a_head_that_is_not_registered_is_refused_before_it_is_written() -> None:
    with pytest.raises(
        InputError, match=r"NearestHead: register it by .*register_head: no head 'test-nearest'"
    ):
        head_state(NearestHead(torch.eye(3)))


@pytest.mark.usefixtures("registered")
def test_a_head_with_a_graph_is_exported_and_one_without_is_refused(tmp_path: Path) -> None:
    import onnxruntime

    means, features = torch.randn(3, 4), np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    drawn = classifier(DrawnHead(means))
    export(drawn, tmp_path / "c.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "c.onnx", providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"features": features})
    assert np.asarray(probabilities) == pytest.approx(drawn.probabilities(features), abs=1e-5)
    with pytest.raises(InputError, match=r"^export: heads of kind 'test-nearest' have no ONNX graph"):
        export(classifier(NearestHead(means)), tmp_path / "no.onnx")
    assert not (tmp_path / "no.onnx").exists()


def test_a_kind_cannot_be_taken() -> None:
    class Linear(NearestHead):
        kind: ClassVar[str] = "linear"

    with pytest.raises(InputError, match="head 'linear': is of gsmflow already"):
        register_head(Linear)
