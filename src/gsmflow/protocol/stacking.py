"""Stacking: weights of the logits of several classifiers and one bias on unseen classes, from validation problems.

A weight vector w over members m gives the logits sum_m w_m l_m, where the logits l_m were divided by their spread. The
bias is chosen as a *rate*: the fraction of held-out samples of seen classes that the classifier calls unseen. One rate
r holds for all validation problems, because it determines the bias of the final classifier. If a validation problem
has fewer unseen classes than the final one, its rate is smaller accordingly
([`rate_among`][gsmflow.protocol.unseen_bias.rate_among]). Weights are chosen by::

    H(w) = max_r  mean over validation problems of H(w, r)

The search is greedy. It starts from the best single member and adds the member and weight that gain most, as long as
the gain is large enough (Caruana et al., Ensemble selection from libraries of models, ICML 2004). As there are few
validation problems, the search is repeated without each of them in turn, and the weights are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gsmflow.heads.calibration import fit_temperature
from gsmflow.protocol.unseen_bias import rate_among

RATES = np.concatenate((np.arange(0, 0.2, 0.005), np.arange(0.2, 0.7, 0.01), np.arange(0.7, 0.96, 0.02)))
"""(R,) the rates that are tried: fractions of held-out samples of seen classes that are called unseen."""
# Of a further member, relative to the weight 1 of the first
_WEIGHTS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)
_WORTH = 0.002  # least gain in H for which a further member is added
_MOST = 6  # most members of a stack
_LEAST = 0.04  # share of a stack below which a member is left out: it costs a training and changes little
_SMOOTHED = 5  # neighbouring rates that are averaged before the best one is chosen


@dataclass(frozen=True)
class Validation:
    """The test part of one validation problem.

    Parameters
    ----------
    labels : NDArray[np.int64]
        (T,) classes.
    unseen : NDArray[np.int64]
        (U,) classes that are held out as unseen.
    final : int
        Number of unseen classes of the problem that rates are chosen for; 0 stands for U.
    """

    labels: NDArray[np.int64]
    unseen: NDArray[np.int64]
    final: int = 0

    def curve(self, logits: NDArray[np.float32]) -> RatedCurve:
        """U, S and H of logits (T, C) at each of [`RATES`][gsmflow.protocol.stacking.RATES] of the final problem."""
        rows = np.arange(len(logits))
        is_unseen = np.zeros(logits.shape[1], dtype=bool)
        is_unseen[self.unseen] = True
        seen = np.flatnonzero(~is_unseen)
        best_seen = seen[logits[:, seen].argmax(axis=1)]
        best_unseen = self.unseen[logits[:, self.unseen].argmax(axis=1)]
        margin = logits[rows, best_seen] - logits[rows, best_unseen]
        plays = is_unseen[self.labels]
        of_seen, of_unseen = margin[~plays], margin[plays]
        rates = rate_among(RATES, len(self.unseen), of=self.final)
        # Hazen's quantiles: the lowest of n margins stands for rates up to 1 / (2n), which n samples cannot tell apart.
        bias = np.asarray(np.quantile(of_seen, rates, method="hazen"), dtype=np.float64)
        finest = rate_among(0.5 / len(of_seen), self.final or len(self.unseen), of=len(self.unseen))
        keeps = _class_weights(self.labels[~plays]) * (best_seen == self.labels)[~plays]
        gains = _class_weights(self.labels[plays]) * (best_unseen == self.labels)[plays]
        lost = _below(of_seen, keeps, bias)
        return RatedCurve(bias, _below(of_unseen, gains, bias), keeps.sum() - lost, finest)


@dataclass(frozen=True)
class RatedCurve:
    """Biases and accuracies at all rates, (R,) each.

    Parameters
    ----------
    bias : NDArray[np.float64]
        (R,) the bias at each rate.
    unseen : NDArray[np.float64]
        (R,) accuracy on unseen classes at each rate, in [0, 1].
    seen : NDArray[np.float64]
        (R,) accuracy on seen classes at each rate, in [0, 1].
    finest : float
        The lowest rate that the held-out samples can tell from 0, in [0, 1].
    """

    bias: NDArray[np.float64]
    unseen: NDArray[np.float64]
    seen: NDArray[np.float64]
    finest: float = 0.0

    @property
    def harmonic(self) -> NDArray[np.float64]:
        """H at every rate, (R,)."""
        total = self.seen + self.unseen
        return 2 * self.seen * self.unseen / np.maximum(total, np.finfo(float).tiny)


@dataclass(frozen=True)
class Stack:
    """What was chosen.

    Parameters
    ----------
    weights : dict[str, float]
        Weight of each member by its label, above 0; members without a weight are left out.
    rate : float
        Fraction of held-out samples of seen classes called unseen, in [0, 1].
    U : float
        Accuracy on unseen classes at that rate, mean over the validation problems.
    S : float
        Accuracy on seen classes at that rate, mean over the validation problems.
    H : float
        Their harmonic mean at that rate, mean over the validation problems.
    """

    weights: dict[str, float]
    rate: float
    U: float
    S: float
    H: float


def best_rate(harmonics: Sequence[NDArray[np.float64]]) -> tuple[int, float]:
    """The index of the rate with the highest mean H over the validation problems, and this H.

    The curves are smoothed over neighbouring rates first, because their peaks are partly chance.
    """
    mean = np.mean(harmonics, axis=0)
    padded = np.pad(mean, _SMOOTHED // 2, mode="edge")
    smooth = np.convolve(padded, np.ones(_SMOOTHED) / _SMOOTHED, mode="valid")
    index = int(smooth.argmax())
    return index, float(smooth[index])


def mean_scores(curves: Sequence[RatedCurve]) -> tuple[float, dict[str, float]]:
    """The best rate for all validation problems, and the mean U, S and H there, by name.

    A rate that few held-out samples cannot tell from 0 is raised to one that they can: the final classifier is
    calibrated on more of them, and the lowest margin of many lies deeper than that of a few.
    """
    index, _ = best_rate([curve.harmonic for curve in curves])
    parts = {"U": "unseen", "S": "seen", "H": "harmonic"}
    means = {name: float(np.mean([getattr(c, part)[index] for c in curves])) for name, part in parts.items()}
    return max(float(RATES[index]), float(np.mean([curve.finest for curve in curves]))), means


def choose_stack(
    validations: Sequence[Validation],
    logits: Mapping[str, Sequence[NDArray[np.float32]]],
    *,
    most: int = _MOST,
) -> Stack:
    """The best stack, or the best single member if no other adds enough.

    Parameters
    ----------
    validations : Sequence[Validation]
        The problems.
    logits : Mapping[str, Sequence[NDArray[np.float32]]]
        Logits (T, C) of each member by its label, one array for each problem, scaled to spread 1.
    most : int
        Most members; 1 for the best single one.
    """

    def scored(weights: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        return mean_scores(_curves(validations, logits, weights))

    problems = range(len(validations))
    parts = [problems]
    if most > 1 and len(problems) > 1:
        parts = [[one for one in problems if one != left_out] for left_out in problems]
    total = dict.fromkeys(logits, 0.0)
    for part in parts:
        those = {name: [of_member[index] for index in part] for name, of_member in logits.items()}
        chosen = _greedy([validations[index] for index in part], those, most)
        for name, weight in chosen.items():
            total[name] += weight / sum(chosen.values()) / len(parts)
    weights = {name: weight for name, weight in total.items() if weight >= _LEAST}
    stacks = [weights, *({name: 1.0} for name in logits)]
    tried = [
        Stack(each, rate, **scores) for each, (rate, scores) in zip(stacks, map(scored, stacks), strict=True)
    ]
    return max(tried, key=lambda stack: stack.H)  # the first of equal ones: the stack


def _greedy(
    validations: Sequence[Validation], logits: Mapping[str, Sequence[NDArray[np.float32]]], most: int
) -> dict[str, float]:
    """The best weights on these problems; the weight of the best single member stays near 1."""

    def value(weights: Mapping[str, float]) -> float:
        return best_rate([curve.harmonic for curve in _curves(validations, logits, weights)])[1]

    alone = {name: value({name: 1.0}) for name in logits}
    first = max(alone, key=alone.__getitem__)
    weights, reached = {first: 1.0}, alone[first]
    while len(weights) < min(most, len(logits)):
        tries = {
            (name, weight): value(weights | {name: weight})
            for name in logits
            if name not in weights
            for weight in _WEIGHTS
        }
        (name, weight), gained = max(tries.items(), key=lambda item: item[1])
        if gained < reached + _WORTH:
            break
        weights, reached = _refined(weights | {name: weight}, gained, value)
    return weights


def _refined(
    weights: dict[str, float], reached: float, value: Callable[[Mapping[str, float]], float]
) -> tuple[dict[str, float], float]:
    """Weights after one round in which each one is made larger or smaller if that gains."""
    for name in weights:
        for factor in (0.6, 0.8, 1.25, 1.6):
            changed = weights | {name: weights[name] * factor}
            gained = value(changed)
            if gained > reached:
                weights, reached = changed, gained
    return weights, reached


def _curves(
    validations: Sequence[Validation],
    logits: Mapping[str, Sequence[NDArray[np.float32]]],
    weights: Mapping[str, float],
) -> list[RatedCurve]:
    return [v.curve(total) for v, total in zip(validations, stacked(logits, weights), strict=True)]


def stacked(
    logits: Mapping[str, Sequence[NDArray[np.float32]]], weights: Mapping[str, float]
) -> list[NDArray[np.float32]]:
    """The weighted sums of the members' logits, (T, C) for each problem."""
    of_members = [[np.float32(weight) * part for part in logits[name]] for name, weight in weights.items()]
    return [np.sum(parts, axis=0) for parts in zip(*of_members, strict=True)]


def temperature_of(
    validations: Sequence[Validation], logits: Mapping[str, Sequence[NDArray[np.float32]]], stack: Stack
) -> float:
    """The mean temperature that fits the probabilities of a stack on the validation problems."""
    index = int(np.abs(RATES - stack.rate).argmin())
    fitted = []
    for validation, total in zip(validations, stacked(logits, stack.weights), strict=True):
        biased = total.copy()
        biased[:, validation.unseen] += np.float32(validation.curve(total).bias[index])
        fitted.append(fit_temperature(biased, validation.labels))
    return float(np.mean(fitted))


def _class_weights(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The weight of each sample, (N,): every class has the same total weight, and all weights sum to 1."""
    count = np.bincount(labels)
    return 1 / (count[labels] * np.count_nonzero(count)) if len(labels) else np.zeros(0)


def _below(
    margins: NDArray[np.float32], weights: NDArray[np.float64], bias: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The sum of the weights whose margin lies below each bias, (R,)."""
    order = np.argsort(margins, kind="stable")
    sums = np.concatenate(([0.0], np.cumsum(weights[order])))
    return sums[np.searchsorted(margins[order], bias, side="left")]
