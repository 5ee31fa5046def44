"""SAE against SciPy's solver of its equation, and against the paper's program at a small size."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.linalg import solve_sylvester

from gsmflow.heads.linear import LinearHead
from gsmflow.heads.representation import RepresentedHead
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods import find_method
from gsmflow.methods.sae import SAEOptions
from support.recipes import problem


def centred() -> tuple[TrainingData, np.ndarray, np.ndarray, np.ndarray, float]:
    """The data; centred features (D, N), semantics of their classes (A, N) and of all classes; the size of lambda."""
    data = TrainingData.of(problem(), torch.device("cpu"))
    x, codes = data.features.double().numpy().T, data.semantics.double().numpy()
    s = codes[data.seen.numpy()][data.labels.numpy()].T
    codes = codes - s.mean(axis=1)
    x, s = x - x.mean(axis=1, keepdims=True), s - s.mean(axis=1, keepdims=True)
    size = np.trace(s @ s.T) / len(s) / (np.trace(x @ x.T) / len(x))
    return data, x, s, codes, float(size)


def heads(data: TrainingData, **options: Any) -> list[Any]:
    method = find_method("sae")
    assert method.direct
    return list(method.direct(data, SAEOptions(**options)))


def test_the_encoder_is_scipys_solution_of_the_sylvester_equation() -> None:
    data, x, s, _, size = centred()
    for parameters, head in heads(data, tried=3):
        if isinstance(head, RepresentedHead):
            weight = 10 ** parameters["encoding"] * size
            expected = solve_sylvester(s @ s.T, weight * x @ x.T, (1 + weight) * s @ x.T)
            encoder = head.representation.layers[0][0].double().numpy()
            assert np.abs(encoder - expected).max() < 1e-4 * np.abs(expected).max()


def test_the_solution_minimizes_the_papers_objective() -> None:
    data, x, s, _, size = centred()
    ((_, head),) = heads(data, encoding=1.0, decoded=False, tried=0)
    encoder = head.representation.layers[0][0].double()
    xs, ss = torch.from_numpy(x), torch.from_numpy(s)

    def objective(w: torch.Tensor) -> torch.Tensor:
        return (xs - w.T @ ss).square().sum() + 10 * size * (w @ xs - ss).square().sum()

    gradient = torch.autograd.functional.jacobian(objective, encoder)
    at_zero = torch.autograd.functional.jacobian(objective, torch.zeros_like(encoder))
    assert gradient.abs().max() < 1e-4 * at_zero.abs().max()  # type: ignore[union-attr]


def test_classes_are_compared_by_cosines_in_either_space() -> None:
    data, x, _, codes, _ = centred()
    (_, encoded), (_, decoded) = heads(data, tried=0, decoded=False) + heads(data, tried=0)
    assert isinstance(decoded, LinearHead)
    w = encoded.representation.layers[0][0].double().numpy()

    def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)

    np.testing.assert_allclose(encoded.logits(data.features).numpy(), cosines((w @ x).T, codes), atol=1e-4)
    lengths = np.linalg.norm(x, axis=0)[:, None]
    np.testing.assert_allclose(
        decoded.logits(data.features).numpy() / lengths, cosines(x.T, codes @ w), atol=1e-4
    )


def test_a_choice_is_found_again_alone() -> None:
    data, method = centred()[0], find_method("sae")
    assert method.at
    for parameters, head in heads(data, tried=1):
        ((again, alone),) = heads(data, **method.at(SAEOptions(tried=1), parameters).as_dict())
        assert again == parameters
        assert torch.equal(alone.logits(data.features), head.logits(data.features))
