"""The cards at the top: the scores of a run, measured on the test set or, if that is not possible, estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gsmflow.protocol.choice import ChosenOn
from gsmflow.report.record import Record
from gsmflow.scores.gzsl import CURVE_SCORES, SCORES

MEANING = {
    "U": "U, unseen classes",
    "S": "S, seen classes",
    "H": "H, harmonic mean",
    "T1": "T1, among unseen classes",
    "AUSUC": "AUSUC",
}


@dataclass(frozen=True)
class Card:
    """A number and what it is.

    Parameters
    ----------
    value : str
        The number, in percent.
    name : str
        What the number is.
    main : bool
        Whether it is the most important one.
    estimate : bool
        Whether it is an estimate and not measured on the test set.
    """

    value: str
    name: str
    main: bool = False
    estimate: bool = False


def cards(record: Record) -> list[Card]:
    """Scores on the test set; in place of scores that the test set cannot give, estimates from validation."""
    metrics = record.metrics
    expected = estimates(metrics)
    tiles = []
    for score in SCORES:
        if metrics.get(score) is not None:
            tiles.append(Card(percent(metrics[score]), MEANING[score], score == "H"))
        elif score in expected:
            tiles.append(
                Card(f"≈ {100 * expected[score]:.0f}", f"expected {MEANING[score]}", score == "H", True)
            )
    if metrics.get("oracle"):
        tiles.append(Card(percent(metrics["oracle"]["H"]), "oracle H (chosen on test)"))
    return tiles


def estimates(metrics: dict[str, Any]) -> dict[str, float]:
    """U, S, H and AUSUC on the validation problem; empty if there was no validation with unseen classes."""
    chosen = metrics.get("chosen") or {}
    if chosen.get("on") != ChosenOn.VALIDATION.value:
        return {}
    return {score: chosen[score] for score in CURVE_SCORES if chosen.get(score)}


def summary(record: Record) -> str:
    """What the estimates among the cards mean, or why there are none; empty if everything was measured."""
    metrics, expected = record.metrics, estimates(record.metrics)
    if metrics.get("U") is not None:
        return ""
    unseen = sum(not seen for seen in record.seen.values())
    classes = "the class" if unseen == 1 else f"the {unseen} classes"
    if "U" in expected:
        return (
            f"There are no test pictures of {classes} without training pictures. Expect U about "
            f"{100 * expected['U']:.0f} for classes without pictures: that is what classes held out for validation "
            "reached."
        )
    return (
        f"There are no test pictures of {classes} without training pictures, and nothing was validated: U is "
        "not known."
    )


def percent(value: float | None) -> str:
    """A share in percent, with one digit."""
    return "–" if value is None else f"{100 * value:.1f}"
