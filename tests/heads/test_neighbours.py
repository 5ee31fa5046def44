"""Heads of nearest neighbours against distances computed one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gsmflow.data.transform import FeatureTransform
from gsmflow.files.tensors import read_tensors, write_tensors
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.heads.kinds import head_from_state, head_state
from gsmflow.heads.neighbours import NeighbourHead, Neighbours
from gsmflow.serve.onnx import export

UNSEEN = [1, 4]
SEEN = [0, 2, 3]


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def head(*, ranked: bool) -> NeighbourHead:
    samples = drawn(17, 6, seed=1)
    labels = torch.tensor([0] * 9 + [2] * 5 + [3] * 3)
    is_unseen = torch.tensor([c in UNSEEN for c in range(5)])
    means = drawn(2 if ranked else 0, 6, seed=2)
    return NeighbourHead(Neighbours.of(samples, 3), labels, is_unseen, means, ranked)


def distance(x: torch.Tensor, z: torch.Tensor) -> float:
    return float((x.double() - z.double()).square().sum().sqrt())


def test_novelty_is_measured_by_training_samples_left_out_in_turn() -> None:
    near = head(ranked=False).neighbours
    left_out = [
        np.mean(sorted(distance(x, z) for j, z in enumerate(near.samples) if j != i)[:3])
        for i, x in enumerate(near.samples)
    ]
    assert near.mean == pytest.approx(np.mean(left_out), rel=1e-5)
    assert near.spread == pytest.approx(np.std(left_out), rel=1e-4)


@pytest.mark.parametrize("ranked", [True, False])
def test_logits_are_those_of_the_equations(ranked: bool) -> None:
    neighbours_head, features = head(ranked=ranked), drawn(4, 6, seed=3)
    near = neighbours_head.neighbours
    for x, logits in zip(features, neighbours_head.logits(features), strict=True):
        nearest = sorted(distance(x, z) for z in near.samples)
        novelty = (np.mean(nearest[:3]) - near.mean) / near.spread
        of_class = [
            min(
                distance(x, z)
                for z, label in zip(near.samples, neighbours_head.labels, strict=True)
                if label == c
            )
            for c in SEEN
        ]
        to_mean = [distance(x, mean) for mean in neighbours_head.means] or [0.0, 0.0]
        seen = -(np.array(of_class) - min(of_class)) / near.spread * ranked
        unseen = novelty - (np.array(to_mean) - min(to_mean)) / near.spread
        np.testing.assert_allclose(logits[SEEN].numpy(), seen, atol=1e-4)
        np.testing.assert_allclose(logits[UNSEEN].numpy(), unseen, atol=1e-4)
        assert float(logits[UNSEEN].max() - logits[SEEN].max()) == pytest.approx(novelty, abs=1e-4)


@pytest.mark.parametrize("ranked", [True, False])
def test_it_is_stored_and_exported_as_it_is(ranked: bool, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    original, features = head(ranked=ranked), drawn(50, 6, seed=4)
    write_tensors(tmp_path / "head.safetensors", head_state(original))
    again = head_from_state(read_tensors(tmp_path / "head.safetensors")[0])
    assert torch.equal(again.logits(features), original.logits(features))
    same = FeatureTransform(np.zeros(6, np.float32), np.ones(6, np.float32))
    fitted = FittedClassifier(same, original, tuple("abcde"), np.array(UNSEEN), 0.25)
    export(fitted, tmp_path / "head.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "head.onnx"))
    (logits,) = session.run(["logits"], {"features": features.numpy()})
    np.testing.assert_allclose(logits, fitted.logits(features.numpy()), atol=1e-3)


def test_without_unseen_classes_the_nearest_sample_decides() -> None:
    samples, labels = drawn(12, 4, seed=5), torch.arange(12) % 3
    decides = NeighbourHead(
        Neighbours.of(samples, 3), labels, torch.zeros(3, dtype=torch.bool), torch.zeros(0, 4)
    )
    assert decides.logits(samples).argmax(dim=1).tolist() == labels.tolist()


def test_equal_samples_and_a_single_one_are_no_division_by_zero() -> None:
    for samples in (torch.zeros(1, 3), torch.zeros(8, 3)):
        near = Neighbours.of(samples, 3)
        assert torch.isfinite(near.novelty(torch.tensor([[2.0] * len(samples)]))).all()
