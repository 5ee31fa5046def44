"""The measures of [`gsmflow.scores.shifts`][gsmflow.scores.shifts] as a report names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measure:
    """One row of the table of measures.

    Parameters
    ----------
    title : str
        Its name on the page.
    path : tuple[str, str]
        Where its value is in ``shifts.json``.
    reference : tuple[str, str] | float | None
        Where the value for real features is in ``shifts.json``; or that value itself; None without one.
    range : str
        The values it can take, in words.
    better : str
        Which direction is better, in words.
    meaning : str
        What it measures, in a sentence.
    """

    title: str
    path: tuple[str, str]
    reference: tuple[str, str] | float | None
    range: str
    better: str
    meaning: str

    def value(self, shifts: Mapping[str, Any] | None) -> float | None:
        """The value in the shifts of a run; None if it was not measured."""
        return None if shifts is None else shifts[self.path[0]].get(self.path[1])

    def of_real(self, shifts: Mapping[str, Any] | None) -> float | None:
        """The value of an ideal generator, or of real features."""
        if shifts is None or not isinstance(self.reference, tuple):
            return self.reference if isinstance(self.reference, float) else None
        return shifts[self.reference[0]].get(self.reference[1])


GROUPS = {
    "Semantic inconsistency": "Do features reflect their class's semantics? A regressor trained on real features "
    "reads the semantics back.",
    "Variance decay": "Are synthetic classes as wide as real ones, and in the same directions?",
    "Structural permutation": "Are synthetic class centres arranged like the real ones?",
    "Distance between distributions": "Could synthetic samples pass as real ones? The reference compares one half of "
    "the real samples with the other.",
}

MEASURES: dict[str, tuple[Measure, ...]] = {
    "Semantic inconsistency": (
        Measure(
            "recovered semantics, cosine",
            ("semantic", "cosine"),
            ("semantic", "real_cosine"),
            "−1 to 1",
            "higher",
            "cosine of recovered and true semantics, centered on the seen classes, mean over classes",
        ),
        Measure(
            "recovered semantics, R²",
            ("semantic", "r2"),
            ("semantic", "real_r2"),
            "to 1",
            "higher",
            "1 − squared error over that of guessing the mean of the seen classes",
        ),
    ),
    "Variance decay": (
        Measure(
            "within-class variance, synthetic / real",
            ("variance", "ratio"),
            1.0,
            "0 up",
            "nearer to 1",
            "below 1 the synthetic classes are too narrow; noise on training features raises it in all directions",
        ),
        Measure(
            "effective rank",
            ("variance", "rank"),
            ("variance", "real_rank"),
            "1 up",
            "nearer to real",
            "exp of the entropy of the spectrum of the within-class variance",
        ),
    ),
    "Structural permutation": (
        Measure(
            "distances between centres, Spearman",
            ("structure", "spearman"),
            1.0,
            "−1 to 1",
            "higher",
            "rank correlation of the distances of all pairs of class centres",
        ),
        Measure(
            "Procrustes disparity",
            ("structure", "procrustes"),
            0.0,
            "0 to 1",
            "lower",
            "what is left after the best shift, scale and rotation of the centres",
        ),
        Measure(
            "order of neighbours, Kendall's τ",
            ("structure", "order"),
            1.0,
            "−1 to 1",
            "higher",
            "agreement of the order of a class's neighbours, mean over classes",
        ),
        Measure(
            "same nearest neighbour",
            ("structure", "nearest"),
            1.0,
            "0 to 1",
            "higher",
            "classes whose nearest class is the same",
        ),
    ),
    "Distance between distributions": (
        Measure(
            "Fréchet distance",
            ("distribution", "frechet"),
            ("distribution", "real_frechet"),
            "0 up",
            "lower",
            "squared, of Gaussians fitted class by class, mean over classes",
        ),
        Measure(
            "MMD²",
            ("distribution", "mmd"),
            0.0,
            "about 0 to 2",
            "lower",
            "unbiased, Gaussian kernel of median width, mean over classes",
        ),
        Measure(
            "MMD, p-value",
            ("distribution", "mmd_p"),
            None,
            "0 to 1",
            "higher",
            "permutation test within classes; small: real and synthetic features differ",
        ),
        Measure(
            "precision",
            ("distribution", "precision"),
            ("distribution", "real_precision"),
            "0 to 1",
            "higher",
            "synthetic samples that lie among the real ones of their class",
        ),
        Measure(
            "recall",
            ("distribution", "recall"),
            ("distribution", "real_recall"),
            "0 to 1",
            "higher",
            "real samples that lie among the synthetic ones of their class",
        ),
    ),
}
