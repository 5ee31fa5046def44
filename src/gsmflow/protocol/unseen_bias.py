"""Calibrated stacking (Chao et al., ECCV 2016): one bias on the unseen logits, carried over by rates.

The best bias on a validation problem does not fit the final classifier, which is trained on more classes and
samples and whose logits have another scale. So a choice is carried over as *rates*: fractions of samples that the
classifier with its bias calls unseen. A rate determines a bias of the final classifier.

For a closed form and for a stack it is the rate of *held-out* samples of seen classes: the method is fitted again
without a fifth of the training samples, and the bias is the one that gives the chosen rate on that fifth; if it has
fewer than 150 samples, other fifths are held out in turn. Training samples would be no measure for a classifier that
fits them perfectly, nor for a generator that passed over them often: with 10 samples of each of 20 classes of FLO, a
rate of 0.65 on such samples was one of 0.04 on test samples, and 0.67 after the generator was trained without them.

Other methods have two rates, of the real and of the synthetic training features, and use the mean of the two biases.

The more unseen classes there are, the more samples of seen classes are called unseen. A rate that was best with U
unseen classes corresponds to a rate with V unseen classes whose odds are V / U times as high
([`rate_among`][gsmflow.protocol.unseen_bias.rate_among]).

A rate of synthetic features above TELLING does not determine a bias: the classifier separates them from real ones
almost without error, so every large enough bias gives such a rate. Then only the rate of real features is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.heads.base import Head
from gsmflow.learning.head_data import Pool, Stream

Rate = TypeVar("Rate", float, NDArray[np.float64])

TELLING = 0.99  # highest rate of synthetic features called unseen that still depends on the bias
_LOGITS = 1 << 22  # computed at a time


@dataclass(frozen=True)
class UnseenRates:
    """Fractions of a head's training features that it calls unseen.

    Parameters
    ----------
    real : float
        The fraction of the real features, in [0, 1].
    synthetic : float | None
        The fraction of the synthetic features, in [0, 1]; None if there are none.
    """

    real: float
    synthetic: float | None


def rate_among(rate: Rate, unseen: int, *, of: int) -> Rate:
    """The rate with `unseen` unseen classes that corresponds to `rate` with `of` classes: odds grow with their number.

    Measured on 19 problems with 10 to 40 seen classes, where a validation problem has a third to two thirds of the
    unseen classes, H of a stack is 1.0 points below what the best bias reaches, and 2.5 with the same rate.

    Parameters
    ----------
    rate : float | NDArray[np.float64]
        Fractions of samples of seen classes that are called unseen, in [0, 1].
    unseen : int
        Number of unseen classes there are.
    of : int
        Number of unseen classes that the rate was chosen with; 0 if it has none, and then the rate stays.

    Examples
    --------
    >>> round(rate_among(0.2, 4, of=2), 4)
    0.3333
    >>> round(rate_among(rate_among(0.3, 12, of=5), 5, of=12), 4)
    0.3
    """
    if not of or unseen == of:
        return rate
    return rate * unseen / (rate * unseen + (1 - rate) * of)


def bias_at_rate(logits: NDArray[np.float32], unseen: NDArray[np.int64], rate: float) -> float:
    """The bias on unseen classes with which a fraction `rate` of these samples is called unseen.

    Parameters
    ----------
    logits : NDArray[np.float32]
        (T, C) logits of samples of seen classes.
    unseen : NDArray[np.int64]
        (U,) indices of the unseen classes.
    rate : float
        The fraction, in [0, 1].
    """
    return float(np.quantile(unseen_margins(logits, unseen), rate, method="hazen"))


def unseen_margins(logits: NDArray[np.float32], unseen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Best seen minus best unseen logit (T,) of logits (T, C): with a larger bias a sample is called unseen."""
    is_unseen = np.isin(np.arange(logits.shape[1]), unseen)
    return logits[:, ~is_unseen].max(axis=1) - logits[:, is_unseen].max(axis=1)


def rates_of(head: Head, pool: Pool | Stream, unseen: Tensor, bias: float) -> UnseenRates:
    """The rates of a head on its training features, with `bias` added to its unseen logits."""
    real, synthetic = _margins(head, pool, unseen)
    return UnseenRates(_mean(real < bias) or 0.0, _mean(synthetic < bias))


def bias_for(head: Head, pool: Pool | Stream, unseen: Tensor, rates: UnseenRates) -> float:
    """The bias with which a head has the given rates on its training features."""
    real, synthetic = (part.double().cpu() for part in _margins(head, pool, unseen))
    thresholds = [_quantile(real, rates.real)]
    if rates.synthetic is not None and rates.synthetic <= TELLING and len(synthetic):
        thresholds.append(_quantile(synthetic, rates.synthetic))
    return sum(thresholds) / len(thresholds)


def _margins(head: Head, pool: Pool | Stream, unseen: Tensor) -> tuple[Tensor, Tensor]:
    """Best seen minus best unseen logit of every real and of every synthetic feature."""
    is_unseen = torch.zeros(head.classes, dtype=torch.bool, device=pool.device)
    is_unseen[unseen] = True
    rows = max(1, _LOGITS // head.classes)
    real: list[Tensor] = []
    synthetic: list[Tensor] = []
    for shard in pool.shards("margins"):
        parts = []
        for start in range(0, len(shard.labels), rows):
            logits = head.logits(shard.rows(start, start + rows))
            best_seen = logits.masked_fill(is_unseen, -torch.inf).amax(dim=1)
            parts.append(best_seen - logits.masked_fill(~is_unseen, -torch.inf).amax(dim=1))
        margins = torch.cat(parts)
        real.append(margins[: shard.real])
        synthetic.append(margins[shard.real :])
    return torch.cat(real), torch.cat(synthetic)


def _quantile(values: Tensor, rate: float) -> float:
    """The value below which a fraction `rate` of the values lies, with linear interpolation."""
    ordered = values.sort().values  # torch.quantile takes at most 16 million values
    place = rate * (len(ordered) - 1)
    low = min(int(place), len(ordered) - 1)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def _mean(called: Tensor) -> float | None:
    return float(called.double().mean()) if len(called) else None
