"""Sums of heads: the logits are the sums of logits, whatever became of the heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from gsmflow.data.transform import FeatureTransform
from gsmflow.heads.base import Head
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.heads.kernel import GaussianKernel, KernelHead
from gsmflow.heads.kinds import head_from_state, head_state
from gsmflow.heads.linear import LinearHead
from gsmflow.heads.sum import SumHead, weighted_sum
from gsmflow.serve.onnx import export

C, D = 4, 3
STREAM = torch.Generator().manual_seed(1)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=STREAM)


KERNELS = [GaussianKernel(draw(6, D), width) for width in (1.0, 2.0)]
LINEAR: list[Head] = [LinearHead(draw(C, D), draw(C)) for _ in range(3)]
KERNEL: list[Head] = [KernelHead(KERNELS[index], draw(C, 6)) for index in (0, 1, 0)]
COSINE: list[Head] = [LinearHead(draw(C, D), draw(C), 5.0)]
WEIGHTS = [0.5, -1.0, 2.0]
X = draw(10, D)


def expected(heads: list[Head], weights: list[float]) -> torch.Tensor:
    return sum((w * head.logits(X) for head, w in zip(heads, weights, strict=True)), torch.zeros(10, C))


@pytest.mark.parametrize(
    ("heads", "kind", "parts"),
    [
        (LINEAR, "linear", 1),
        (KERNEL, "sum", 2),
        (KERNEL[::2], "kernel", 1),
        (LINEAR[:1] + KERNEL[:1] + COSINE, "sum", 3),
    ],
)
def test_logits_are_the_sum_and_few_heads_are_left(heads: list[Head], kind: str, parts: int) -> None:
    weights = WEIGHTS[: len(heads)]
    head = weighted_sum(heads, weights)
    torch.testing.assert_close(head.logits(X), expected(heads, weights), atol=1e-5, rtol=1e-5)
    assert head.kind == kind
    assert len(head.heads) == parts if isinstance(head, SumHead) else parts == 1


def test_one_head_is_itself() -> None:
    assert weighted_sum(KERNEL[:1], [1.0]) is KERNEL[0]


def test_a_sum_comes_back_from_its_tensors() -> None:
    head = weighted_sum(LINEAR[:1] + KERNEL[:2], WEIGHTS)
    again = head_from_state(head_state(head))
    assert isinstance(again, SumHead)
    assert torch.equal(again.logits(X), head.logits(X))
    with pytest.raises(KeyError):
        SumHead.from_state({"weights": torch.zeros(0)})


def test_a_sum_is_exported(tmp_path: Path) -> None:
    head = weighted_sum(LINEAR[:1] + KERNEL[:1] + COSINE, WEIGHTS)
    assert isinstance(head, SumHead)
    identity = FeatureTransform(np.zeros(D, np.float32), np.ones(D, np.float32))
    classifier = FittedClassifier(identity, head, tuple("abcd"), np.array([3]), 0.25)
    export(classifier, tmp_path / "sum.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "sum.onnx", providers=["CPUExecutionProvider"])
    (given,) = session.run(["probabilities"], {"features": X.numpy()})
    np.testing.assert_allclose(np.asarray(given), classifier.probabilities(X.numpy()), atol=1e-5)
