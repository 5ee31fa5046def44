"""Anchors and relative positioning against their definitions, written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsmflow.flow import RelativePositioning, perturb, semantic_anchors


@pytest.mark.parametrize("classes", [1, 2, 3, 7, 20])
def test_anchors_by_the_definition(classes: int) -> None:
    semantics = torch.rand(classes, 5, generator=torch.Generator().manual_seed(classes))
    a = semantics.double().numpy()
    cosine = (a @ a.T) / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(a, axis=1))
    order = np.argsort(cosine.sum(axis=1).round(9), kind="stable")
    expected = semantics[torch.from_numpy(order[[0, classes - 1, classes // 2]].copy())]
    assert torch.equal(semantic_anchors(semantics), expected)


def test_relative_positioning_by_the_definition() -> None:
    anchors, semantics = torch.randn(3, 4), torch.randn(6, 4)
    module = RelativePositioning(anchors, 8)
    module.reset()
    expected = torch.zeros(6, 8)
    for i in range(3):
        weight, bias = module.layers[i].weight, module.layers[i].bias
        assert isinstance(weight, torch.Tensor)
        assert isinstance(bias, torch.Tensor)
        expected = expected + ((semantics - anchors[i]) @ weight.T + bias).clamp(min=0)
    assert torch.allclose(module(semantics), expected, atol=1e-6)


def test_reset_is_the_default_of_a_linear_layer() -> None:
    module = RelativePositioning(torch.randn(3, 25), 200)
    assert all((p == 0).all() for p in module.parameters())
    module.reset(torch.Generator().manual_seed(0))
    standard = torch.nn.Linear(25, 200)
    for layer in module.layers:
        for name in ("weight", "bias"):
            drawn, usual = getattr(layer, name), getattr(standard, name)
            assert drawn.abs().max() <= 0.2  # 1 / sqrt(25)
            assert abs(drawn.std() - usual.std()) < 0.02


def test_perturbation_has_the_asked_scale_and_dropout() -> None:
    x = torch.zeros(200, 500)
    assert perturb(x, 0.0, 0.0, 1) is x
    noise = perturb(x, 0.3, 0.0, 1, "perturbation", 0)
    assert abs(noise.std() - 0.3) < 0.005
    assert torch.equal(noise, perturb(x, 0.3, 0.0, 1, "perturbation", 0))
    assert not torch.equal(noise, perturb(x, 0.3, 0.0, 1, "perturbation", 1))
    dropped = perturb(x, 0.3, 0.25, 1, "perturbation", 0)
    assert abs((dropped == 0).float().mean() - 0.25) < 0.01
    assert abs(dropped[dropped != 0].std() - 0.3) < 0.005


def test_anchors_refuse_other_than_a_matrix() -> None:
    with pytest.raises(ValueError, match="expected \\(classes, A\\)"):
        semantic_anchors(torch.zeros(3))
