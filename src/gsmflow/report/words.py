"""The generation shifts in words: what the measures mean for a run, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_WIDE, _NARROW = 1.5, 0.65  # bounds of the within-class variance, synthetic over real
_ORDERED = 0.6  # least Spearman correlation of distances between class centres
_LOST = 0.15  # most that the cosine of recovered semantics may lie below that of real features
_COVERED = 0.5  # least fraction of the recall of real features


@dataclass(frozen=True)
class Reading:
    """The meaning of a measure.

    Parameters
    ----------
    text : str
        What was measured.
    advice : str
        What to do; empty if nothing needs to be done.
    """

    text: str
    advice: str = ""


def in_words(shifts: dict[str, Any]) -> list[Reading]:
    """The measures of ``shifts.json`` as sentences, those with advice first."""
    sentences = [_width(shifts["variance"]), _order(shifts["structure"])]
    sentences += [_meaning(shifts["semantic"]), _cover(shifts["distribution"])]
    return sorted((each for each in sentences if each), key=lambda each: not each.advice)


def _width(variance: dict[str, Any]) -> Reading | None:
    ratio = variance.get("ratio")
    if ratio is None or ratio <= 0:
        return None
    said = f"Synthetic classes are {ratio:.2g} times as wide as real ones, by their variance"
    if ratio > _WIDE:
        return Reading(
            f"{said}.",
            "Classes then overlap. Train for longer; with gsmflow, add less noise by a smaller perturbation.",
        )
    if ratio < _NARROW:
        return Reading(
            f"{said}: too narrow.",
            "The classifier then trusts unseen classes too little. With gsmflow, raise perturbation; with "
            "any method, let validation choose the unseen bias.",
        )
    return Reading(f"{said}: about right.")


def _order(structure: dict[str, Any]) -> Reading | None:
    agreement = structure.get("spearman")
    if agreement is None:
        return None
    if agreement < _ORDERED:
        return Reading(
            f"Synthetic class centres are not arranged like the real ones (rank correlation {agreement:.2f}).",
            "Similar classes are then confused. Add attributes that distinguish them; with gsmflow, "
            "raise prototype_weight.",
        )
    return Reading(
        f"Synthetic class centres are arranged much like the real ones (rank correlation {agreement:.2f})."
    )


def _meaning(semantic: dict[str, Any]) -> Reading | None:
    cosine, real = semantic.get("cosine"), semantic.get("real_cosine")
    if cosine is None or real is None:
        return None
    said = f"Semantics recovered from synthetic features have a cosine of {cosine:.2f}, from real ones {real:.2f}"
    if cosine < real - _LOST:
        return Reading(
            f"{said}: part of the description is lost.",
            "Train for longer, or choose attributes that show in the features.",
        )
    if real < _ORDERED / 2:
        return Reading(
            f"{said}: even from real features the attributes can hardly be predicted.",
            "Use attributes that can be seen in a picture, or another backbone.",
        )
    return Reading(f"{said} (1 is perfect).")


def _cover(distribution: dict[str, Any]) -> Reading | None:
    recall, real = distribution.get("recall"), distribution.get("real_recall")
    if recall is None or not real:
        return None
    if recall < _COVERED * real:
        return Reading(
            f"Synthetic samples cover {recall:.0%} of the real ones, where real samples cover {real:.0%}.",
            "Parts of the real classes are never synthesized. Train for longer; with gsmflow, raise perturbation.",
        )
    return Reading(f"Synthetic samples cover {recall:.0%} of the real ones; real samples cover {real:.0%}.")
