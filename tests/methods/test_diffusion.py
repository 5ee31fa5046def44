"""The diffusion model's noise, its loss, and synthesis where the best denoiser is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.diffusion import DiffusionOptions
from gsmflow.methods.workings.diffusion import DiffusionLearner, signal
from support.recipes import problem


def learner(**options: float) -> DiffusionLearner:
    data = TrainingData.of(problem(), torch.device("cpu"))
    return DiffusionLearner(data, DiffusionOptions(hidden=16, batch_size=50, **options), 0)  # type: ignore[arg-type]


def test_the_signal_falls_as_small_steps_of_noise_make_it_fall() -> None:
    """beta(tau) = beta_min + tau (beta_max - beta_min), a share beta dtau of the variance at a time."""
    fine = 200_000
    beta = 0.1 + (np.arange(fine) + 0.5) / fine * (20.0 - 0.1)
    remaining = np.cumprod(1 - beta / fine)
    for level, share in enumerate(signal(20, 0.1, 20.0).tolist()[1:], start=1):
        assert share == pytest.approx(remaining[level * fine // 20 - 1], rel=2e-3)


def test_noisy_features_keep_their_variance() -> None:
    peer = learner()
    x, noise = torch.randn(40_000, peer.dim), torch.randn(40_000, peer.dim)
    for level in (1, 10, 20):
        noisy = peer.noisy(x, noise, torch.full((len(x),), level))
        assert float(noisy.var()) == pytest.approx(1.0, abs=0.01)
        covariance = float((noisy * x).mean())
        assert covariance == pytest.approx(math.sqrt(peer.signal[level]), abs=0.01)


def test_the_loss_is_the_squared_error_of_the_clean_feature() -> None:
    peer = learner()
    seen: list[Tensor] = []
    inner = peer.clean

    def recorded(x: Tensor, semantics: Tensor, rows: Tensor, levels: Tensor) -> Tensor:
        seen.append(inner(x, semantics, rows, levels).detach())
        return inner(x, semantics, rows, levels)

    peer.clean = recorded  # type: ignore[method-assign]
    x, _ = peer.batch(0)
    loss = peer.step(0)["loss_denoising"]
    expected = (x - peer.centre.middle - seen[0]).square().sum(dim=1).mean()
    torch.testing.assert_close(loss, expected)


def test_the_best_denoiser_of_normal_features_synthesizes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of x ~ N(m, s^2 I) the clean feature is known to be m + s^2 sqrt(A) (x_t - sqrt(A) m) / (s^2 A + 1 - A)."""
    peer = learner(noise_levels=200)
    mean, spread = torch.linspace(-1, 1, peer.dim), 0.4

    def best(x: Tensor, semantics: Tensor, rows: Tensor, levels: Tensor) -> Tensor:
        share = peer.signal[levels][:, None]
        gain = spread**2 * share.sqrt() / (spread**2 * share + 1 - share)
        return mean + gain * (x - share.sqrt() * mean)

    monkeypatch.setattr(peer, "clean", best)
    z = torch.randn(4000, peer.dim, generator=torch.Generator().manual_seed(0))
    x = peer.synthesize(z, peer.a[:1], torch.zeros(4000, dtype=torch.int64)) - peer.centre.middle
    torch.testing.assert_close(x.mean(dim=0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(x.std(dim=0), torch.full((peer.dim,), spread), atol=0.03, rtol=0)
    # Synthesis is deterministic: a straight line in z, as the best denoiser is one in x_t.
    torch.testing.assert_close(x, mean + spread * z, atol=0.05, rtol=0)
