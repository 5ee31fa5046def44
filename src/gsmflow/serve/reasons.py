"""Which attributes decided an answer: the classifier's logits of one sample, explained by the classes' semantics.

For a sample with logits z (C,) and semantics standardized over the classes S (C, A), the weights are those of a
ridge regression of the logits on the semantics,

    w = argmin |z - mean(z) - S w|^2 + |w|^2,

and attribute a speaks by w_a S_ca for class c. Any head can be asked in this way, as only its logits are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST = 30.0  # a class so far below the best, in nats, is as impossible as any other


@dataclass(frozen=True)
class Reasons:
    """Why one sample was labelled as it was.

    Parameters
    ----------
    order : NDArray[np.int64]
        Dimensions of the semantics, those that set the best class apart from the others listed first.
    weights : NDArray[np.float64]
        (A,) what one standard deviation more of a dimension adds to a class's logit, for this sample.
    contributions : NDArray[np.float64]
        (K, A) weight times value for each class listed.
    explained : float
        Share of the logits' variance over the classes that the semantics account for, 0 to 1.
    """

    order: NDArray[np.int64]
    weights: NDArray[np.float64]
    contributions: NDArray[np.float64]
    explained: float


def reasons(
    logits: NDArray[np.float64], semantics: NDArray[np.float64], listed: NDArray[np.int64]
) -> Reasons:
    """Explain the logits (C,) of a sample by the semantics (C, A), for the classes listed, the best first."""
    values = standing(semantics)
    clipped = np.maximum(logits, logits.max() - _LEAST)
    target = clipped - clipped.mean()
    # By the smaller of the two systems there are: (S'S + I)^-1 S'z = S'(SS' + I)^-1 z.
    classes, dims = values.shape
    if dims <= classes:
        weights = np.linalg.solve(values.T @ values + np.eye(dims), values.T @ target)
    else:
        weights = values.T @ np.linalg.solve(values @ values.T + np.eye(classes), target)
    total = float((target**2).sum())
    left = float(((target - values @ weights) ** 2).sum())
    contributions = values[listed] * weights
    rest = contributions[1:].mean(axis=0) if len(listed) > 1 else 0.0
    apart = contributions[0] - rest
    return Reasons(
        np.argsort(-np.abs(apart), kind="stable"),
        weights,
        contributions,
        float(np.clip(1 - left / total, 0, 1)) if total > 0 else 0.0,
    )


def standing(semantics: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, A) how many standard deviations above the mean of all classes a value is; 0 where all are alike."""
    spread = semantics.std(axis=0)
    return (semantics - semantics.mean(axis=0)) / np.where(spread > 0, spread, 1)
