"""scikit-learn's handwritten digits in four views: a zero-shot problem of combinations.

A class is a digit seen in a view, for example "3 quarter turn": 40 classes, 8 of them unseen, but every
digit and every view is seen in other combinations. Semantics: the digit's seven-segment code (7) and
its view, one-hot (4). Features: 8 x 8 pixels in [0, 1].

The four views of one photograph are never divided between train and test. A linear classifier trained on
all 40 classes reaches a mean per-class accuracy of 0.96 on the held-out photographs, so no two classes
look alike (a mirror image as a view would bring 0, 1 and 8 close to themselves; a checkered one does not).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Counts, Problem
from gsmflow.sources.source import NamedProblem

VIEWS = ("upright", "quarter turn", "negative", "checkered")

# Of the seven-segment display, a to g.
SEGMENTS = ("top", "upper right", "lower right", "bottom", "lower left", "upper left", "middle")
_LIT = (
    "1111110",
    "0110000",
    "1101101",
    "1111001",
    "0110011",
    "1011011",
    "1011111",
    "1110000",
    "1111111",
    "1111011",
)

# Digits, view by view. No digit occurs twice in either list, so each keeps three views in training, and at
# least two when validation holds out the second list.
_UNSEEN = ((1, 6), (2, 7), (3, 8), (4, 9))
_VALIDATION = ((3, 8), (4, 9), (5, 0), (6, 1))

_HELD_OUT = 3  # every third photograph of a digit is a test sample

COUNTS = Counts(
    samples=7188,
    feature_dim=64,
    semantic_dim=11,
    seen=32,
    unseen=8,
    train=3844,
    test_seen=1907,
    test_unseen=477,
)


def load() -> Problem:
    """The problem, which does not depend on any seed."""
    from sklearn.datasets import load_digits

    pixels, target = (np.asarray(part) for part in load_digits(return_X_y=True))
    images = (pixels / 16).astype(np.float32).reshape(-1, 8, 8)
    digit = target.astype(np.int64)
    views = np.stack(_views(images), axis=1)  # (photographs, 4, 8, 8)
    labels = digit[:, None] * len(VIEWS) + np.arange(len(VIEWS))
    held_out = np.zeros(len(digit), dtype=bool)
    for value in range(10):
        held_out[np.flatnonzero(digit == value)[_HELD_OUT - 1 :: _HELD_OUT]] = True
    unseen = np.isin(labels, _classes(_UNSEEN))
    sample = np.arange(labels.size).reshape(labels.shape)
    return Problem(
        name="digits",
        features=views.reshape(labels.size, 64),
        labels=labels.ravel(),
        semantics=_semantics(),
        classes=tuple(f"{d} {view}" for d in range(10) for view in VIEWS),
        train=sample[~held_out[:, None] & ~unseen],
        test_seen=sample[held_out[:, None] & ~unseen],
        test_unseen=sample[held_out[:, None] & unseen],
        validation_unseen=_classes(_VALIDATION),
        image_shape=(8, 8),
        semantic_names=(*(f"segment {segment}" for segment in SEGMENTS), *(f"view {view}" for view in VIEWS)),
        notes={
            "split": "built-in: digits x views, a third of the photographs held out",
            "validation": "8 fixed combinations play unseen",
            "semantics": "seven-segment code and one-hot view",
        },
    )


def _views(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """The four views of (N, 8, 8) images, in the order of VIEWS."""
    squares = (np.indices(images.shape[1:]).sum(axis=0) % 2).astype(np.float32)
    return [images, np.rot90(images, axes=(1, 2)), 1 - images, np.abs(squares - images)]


def _semantics() -> NDArray[np.float32]:
    """(40, 11): segments and view of every class."""
    segments = np.array([[float(c) for c in code] for code in _LIT], dtype=np.float32)
    view = np.eye(len(VIEWS), dtype=np.float32)
    return np.hstack([np.repeat(segments, len(VIEWS), axis=0), np.tile(view, (10, 1))])


def _classes(by_view: tuple[tuple[int, ...], ...]) -> NDArray[np.int64]:
    return np.array([digit * len(VIEWS) + view for view, digits in enumerate(by_view) for digit in digits])


def _load(details: str, seed: int) -> Problem:
    if details:
        raise InputError(f"digits:{details}: digits takes no settings; use 'digits'")
    return load()


SOURCE = NamedProblem(
    "digits",
    title="handwritten digits in four views",
    citation="comes with scikit-learn",
    load=_load,
    counts=lambda: COUNTS,
    split="8 of the 40 combinations of digit and view unseen, a third of the photographs held out",
)
