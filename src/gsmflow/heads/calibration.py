"""How reliable probabilities are: temperature scaling, expected calibration error (Guo et al., ICML 2017).

Dividing all logits by one temperature changes no decision, only the probabilities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 15
_REACH = 1e4  # the temperature is searched within this factor of the logits' spread


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities (N, C) of logits (N, C), in float64.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    scaled = np.asarray(logits, np.float64) / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return scaled / scaled.sum(axis=1, keepdims=True)


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """The temperature T > 0 for which softmax(logits / T) has the least cross-entropy on these samples.

    logits (N, C), labels (N,). The labels are smoothed by 1 / (N + 2) (Platt, 1999), so that T is well-defined
    even where every sample is right. Without samples, or where all logits are equal, it is 1.

    >>> logits = np.log([[0.8, 0.2]] * 5)
    >>> labels = np.array([0, 0, 0, 0, 1])
    >>> 0.9 < fit_temperature(logits, labels) / fit_temperature(2 * logits, labels) * 2 < 1.1
    True
    """
    values = np.asarray(logits, np.float64)
    if not len(values) or values.shape[1] < 2:
        return 1.0
    values = values - values.mean(axis=1, keepdims=True)
    spread = float(values.std())
    if not spread > 0 or not np.isfinite(spread):
        return 1.0
    values /= spread
    smoothing = 1 / (len(values) + 2)
    # Rows have mean 0 here, so the equal shares that smoothing gives to all classes add 0.
    target = (1 - smoothing) * values[np.arange(len(values)), labels].mean()

    def slope(log_inverse: float) -> float:
        """The derivative of the cross-entropy by the inverse temperature, which increases everywhere."""
        probabilities = softmax(values, float(np.exp(-log_inverse)))
        return float((probabilities * values).sum(axis=1).mean() - target)

    from scipy.optimize import brentq

    reach = float(np.log(_REACH))
    if slope(-reach) >= 0:
        return spread * _REACH
    if slope(reach) <= 0:
        return spread / _REACH
    root = brentq(slope, -reach, reach, xtol=1e-4)
    assert isinstance(root, float)
    return float(spread * np.exp(-root))


def expected_calibration_error(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = BINS
) -> float:
    """Mean distance between confidence and accuracy, in [0, 1]; NaN without samples.

    Samples are sorted into `bins` equal intervals (low, high] by the probability of their best class; each
    interval counts by its number of samples.

    >>> round(expected_calibration_error(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1])), 3)
    0.4
    """
    if not len(labels):
        return float("nan")
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
