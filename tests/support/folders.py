"""Small valid data folders, one layout a function, which tests then read or spoil."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.io import savemat

Arrays = dict[str, np.ndarray]


def xlsa17(
    folder: Path, features: Callable[[Arrays], object] = id, splits: Callable[[Arrays], object] = id
) -> None:
    """A small valid folder in the xlsa17 layout, after the two functions have spoilt its variables."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(1, 7), 10)
    stored: Arrays = {"features": rng.random((5, 60)), "labels": labels[:, None].astype(np.uint8)}
    seen, unseen = np.flatnonzero(labels <= 4), np.flatnonzero(labels > 4)
    division: Arrays = {
        "att": rng.random((3, 6)) + 0.1,
        "trainval_loc": (seen[seen % 10 < 8] + 1)[:, None].astype(np.uint16),
        "test_seen_loc": (seen[seen % 10 >= 8] + 1)[:, None].astype(np.uint16),
        "test_unseen_loc": (unseen + 1)[:, None].astype(np.uint16),
    }
    features(stored)
    splits(division)
    folder.mkdir()
    savemat(folder / "res101.mat", stored)
    savemat(folder / "att_splits.mat", division)


def table(folder: Path, features: str | bytes | None = None, classes: str | bytes | None = None) -> None:
    """A small valid folder of a person's own data, with the given contents in place of the valid ones."""
    folder.mkdir()
    rows = [f"{name},{a / 10},{b / 7}" for name in ("ant", "bee", "cat") for a in range(3) for b in range(2)]
    good = "label,f0,f1\n" + "\n".join(rows) + "\n"
    described = "name,legs,wings\nant,6,0\nbee,6,2\ncat,4,0\nowl,2,2\n"
    for name, given, valid in (("features.csv", features, good), ("classes.csv", classes, described)):
        content = valid if given is None else given
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def presplit(
    folder: Path, data: Callable[[Arrays], object] = id, label: Callable[[Arrays], object] = id
) -> None:
    """A small valid folder in the pre-split layout: classes 1 to 4 seen, 5 and 6 unseen, 7 without images."""
    rng = np.random.default_rng(0)
    attribute = rng.random((7, 3)) + 0.1
    train, seen, unseen = np.repeat([1, 2, 3, 4], 8), np.repeat([1, 2, 3, 4], 2), np.repeat([5, 6], 5)
    stored: Arrays = {
        "train_fea": rng.random((32, 5)),
        "test_seen_fea": rng.random((8, 5)),
        "test_unseen_fea": rng.random((10, 5)),
        "attribute": attribute,
        "seen_pro": attribute[:4],
        "unseen_pro": attribute[4:6],
        "att_train": attribute[train - 1],
    }
    indices: Arrays = {
        "train_idx": train[:, None].astype(np.uint8),
        "test_seen_idex": seen[:, None].astype(np.uint8),
        "test_unseen_idex": unseen[:, None].astype(np.uint8),
        "train_label_new": (train - 1)[:, None].astype(np.uint8),
    }
    data(stored)
    label(indices)
    folder.mkdir(parents=True)
    savemat(folder / "data.mat", stored)
    savemat(folder / "label.mat", indices)
