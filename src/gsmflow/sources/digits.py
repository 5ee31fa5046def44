"""Handwritten digits under four views: a zero-shot problem that comes with scikit-learn.

A class is a digit seen in a view ("3 quarter turn"), 40 in all; its semantics are the digit's
seven-segment code and the one-hot view. Two digits of each view are never trained on, but every
digit is trained on in other views and every view with other digits. The four views of one
photograph stay together: all in training, or all in test.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gsmflow.problem import Problem

VIEWS = ("upright", "quarter turn", "negative", "checkered")
# Segments a to g of a seven-segment display.
SEGMENTS = (
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
UNSEEN = ((1, 6), (2, 7), (3, 8), (4, 9))  # digits, view by view
VALIDATION_UNSEEN = ((3, 8), (4, 9), (5, 0), (6, 1))
_TEST_FRACTION = 1 / 3


def load() -> Problem:
    """The digits problem: 7,188 samples of 64 pixels in [0, 1], 32 seen and 8 unseen classes."""
    from sklearn.datasets import load_digits

    pixels, targets = load_digits(return_X_y=True)
    images, digits = np.reshape(pixels, (-1, 8, 8)) / 16, np.asarray(targets, dtype=np.int64)
    features = np.concatenate([view(images).reshape(len(images), -1) for view in _VIEWS])
    labels = np.concatenate([digits * len(VIEWS) + v for v in range(len(VIEWS))])
    in_test = np.tile(_test_images(digits), len(VIEWS))
    unseen = np.isin(labels, _classes(UNSEEN))
    codes = np.array([[int(s) for s in code] for code in SEGMENTS])
    semantics = np.hstack((np.repeat(codes, len(VIEWS), axis=0), np.tile(np.eye(len(VIEWS)), (10, 1))))
    return Problem(
        name="digits",
        features=features.astype(np.float32),
        labels=labels,
        semantics=semantics.astype(np.float32),
        classes=tuple(f"{digit} {view}" for digit in range(10) for view in VIEWS),
        train=np.flatnonzero(~in_test & ~unseen),
        test_seen=np.flatnonzero(in_test & ~unseen),
        test_unseen=np.flatnonzero(in_test & unseen),
        validation_unseen=_classes(VALIDATION_UNSEEN),
        image_shape=(8, 8),
        notes={"split": "by photograph, a third held out; 8 of 40 digit-view pairs unseen"},
    )


def _checkered(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every other pixel inverted, as on a chess board."""
    board = np.indices(images.shape[1:]).sum(axis=0) % 2 == 1
    return np.where(board, 1 - images, images)


_VIEWS = (
    lambda images: images,
    lambda images: np.rot90(images, axes=(1, 2)),
    lambda images: 1 - images,
    _checkered,
)


def _classes(by_view: tuple[tuple[int, ...], ...]) -> NDArray[np.int64]:
    return np.sort([digit * len(VIEWS) + v for v, digits in enumerate(by_view) for digit in digits])


def _test_images(digits: NDArray[np.int64]) -> NDArray[np.bool_]:
    """A third of the photographs of each digit, the same ones always."""
    rng = np.random.default_rng(0)
    chosen = np.zeros(len(digits), dtype=bool)
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(digits == digit))
        chosen[members[: round(len(members) * _TEST_FRACTION)]] = True
    return chosen
