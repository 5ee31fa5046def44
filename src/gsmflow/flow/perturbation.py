"""Visual perturbation (Chen et al. 2021, section 3.3): noise that keeps synthetic classes wide."""

from __future__ import annotations

import torch
from torch import Tensor

from gsmflow.compute.randomness import stream


def perturb(features: Tensor, scale: float, dropout: float, *key: int | str) -> Tensor:
    """Return x + scale * m * eps with eps ~ N(0, I) and P(m = 0) = dropout, entry by entry.

    Parameters
    ----------
    features : Tensor
        (B, D).
    scale : float
        Pi >= 0, in units of the scaled features; 0 returns `features` itself.
    dropout : float
        Fraction in [0, 1) of the noise's entries that are dropped.
    key : int | str
        Names the draw (see [`gsmflow.compute.randomness`][gsmflow.compute.randomness]).
    """
    if scale == 0:
        return features
    generator = stream(features.device, *key)
    noise = torch.randn(features.shape, device=features.device, generator=generator)
    if dropout > 0:
        noise *= torch.rand(features.shape, device=features.device, generator=generator) >= dropout
    return torch.add(features, noise, alpha=scale)
