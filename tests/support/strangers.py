"""Tables of features as strangers write them: 12 classes, 9 of them seen, 8 features f0 to f7, 6 attributes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CLASSES = [f"class {c}" for c in range(12)]
ATTRIBUTES = np.random.default_rng(7).random((12, 6)).round(3)
LABELS = np.repeat(np.arange(9), 12)
NAMES = [f"f{d}" for d in range(8)]


def values() -> np.ndarray:
    """Features (108, 8), multiples of 1/64 below 64, so that sums with whole numbers below 2**45 are exact."""
    rng = np.random.default_rng(8)
    mixed = ATTRIBUTES[LABELS] @ rng.normal(size=(6, 8)) + 0.2 * rng.normal(size=(len(LABELS), 8))
    return np.round(mixed * 64) / 64


def written(header: Sequence[str], rows: Sequence[Sequence[object]], **how: object) -> str:
    """A CSV file's text."""
    out = io.StringIO()
    csv.writer(out, **{"lineterminator": "\n", **how}).writerows([header, *rows])  # type: ignore[arg-type]
    return out.getvalue()


def features(x: np.ndarray, extra: dict[str, Sequence[object]] | None = None, label: str = "label") -> str:
    """features.csv of these features (N, 8), after other columns."""
    more = extra or {}
    rows = [
        [*(column[i] for column in more.values()), CLASSES[LABELS[i]], *map(repr, row.tolist())]
        for i, row in enumerate(x)
    ]
    return written([*more, label, *NAMES], rows)


def classes(names: Sequence[str] = CLASSES, vectors: np.ndarray = ATTRIBUTES) -> str:
    """classes.csv."""
    rows = [[name, *map(repr, vector.tolist())] for name, vector in zip(names, vectors, strict=True)]
    return written(["name", *(f"a{i}" for i in range(6))], rows)


def folder(place: Path, features_csv: str, classes_csv: str | None = None) -> Path:
    """A folder of both."""
    place.mkdir()
    (place / "features.csv").write_bytes(features_csv.encode())
    (place / "classes.csv").write_bytes((classes() if classes_csv is None else classes_csv).encode())
    return place
