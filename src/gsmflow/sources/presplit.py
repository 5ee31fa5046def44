"""Folders as the method's authors publish CUB and FLO: ``data.mat`` and ``label.mat``, already split.

``data.mat``: train_fea, test_seen_fea, test_unseen_fea (N x D); seen_pro, unseen_pro or attribute
(class semantics). ``label.mat``: train_idx, test_seen_idex, test_unseen_idex (sic), the 1-based class
of every sample. att_train and train_label_new repeat what these say and serve as a check.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gsmflow.errors import InputError
from gsmflow.problem import Problem
from gsmflow.sources.matfile import numbers, read_mat, whole_numbers

_PARTS = (
    ("train", "train_fea", "train_idx"),
    ("test_seen", "test_seen_fea", "test_seen_idex"),
    ("test_unseen", "test_unseen_fea", "test_unseen_idex"),
)


def looks_like(folder: Path) -> bool:
    """Whether the folder holds this layout."""
    return (folder / "data.mat").exists() and (folder / "label.mat").exists()


def load(folder: Path) -> Problem:
    """Read a pre-split folder. The features stay as they are: the authors' scale factor is always 1.

    Raises
    ------
    InputError: a file is missing or damaged, or its contents do not fit together.
    """
    data_file, label_file = folder / "data.mat", folder / "label.mat"
    data = read_mat(
        data_file, [f for _, f, _ in _PARTS], ["attribute", "seen_pro", "unseen_pro", "att_train"]
    )
    stored = read_mat(label_file, [i for _, _, i in _PARTS], ["train_label_new"])
    features, labels = [], []
    for _, feature_name, label_name in _PARTS:
        matrix = numbers(data_file, feature_name, data[feature_name])
        part = whole_numbers(label_file, label_name, stored[label_name]) - 1
        if matrix.ndim != 2 or len(matrix) != len(part):
            raise InputError(
                f"{data_file}: {feature_name} has shape {matrix.shape}, expected one row for each of the "
                f"{len(part)} labels in {label_file}: {label_name}"
            )
        if features and matrix.shape[1] != features[0].shape[1]:
            raise InputError(
                f"{data_file}: {feature_name} has {matrix.shape[1]} dimensions, {_PARTS[0][1]} has "
                f"{features[0].shape[1]}"
            )
        features.append(matrix)
        labels.append(part)
    seen, unseen = np.unique(labels[0]), np.unique(labels[2])
    semantics = _semantics(data_file, data, seen, unseen)
    _cross_check(data_file, label_file, data, stored, semantics, labels[0], seen)
    used = np.union1d(seen, np.unique(np.concatenate(labels)))
    if used[-1] >= len(semantics):
        raise InputError(
            f"{label_file}: class {used[-1] + 1} occurs, but {data_file} describes {len(semantics)} classes"
        )
    bounds = np.cumsum([0, *map(len, labels)])
    return Problem(
        name=folder.name,
        features=np.concatenate(features).astype(np.float32, copy=False),
        labels=np.searchsorted(used, np.concatenate(labels)),
        semantics=semantics[used],
        classes=tuple(f"class {c + 1}" for c in used),
        train=np.arange(bounds[0], bounds[1]),
        test_seen=np.arange(bounds[1], bounds[2]),
        test_unseen=np.arange(bounds[2], bounds[3]),
        origins={
            "features": f"{data_file}: train_fea, test_seen_fea, test_unseen_fea",
            "labels": f"{label_file}: labels",
            "semantics": f"{data_file}: class semantics",
            **{name: f"{label_file}: {label}" for name, _, label in _PARTS},
        },
        notes={"split": "pre-split by the publisher", "validation": "no official split; classes are drawn"},
    )


def _semantics(
    file: Path, data: dict[str, NDArray], seen: NDArray[np.int64], unseen: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Semantic vectors by 0-based class: `attribute`, or put together from `seen_pro` and `unseen_pro`."""
    if "attribute" in data:
        attribute = numbers(file, "attribute", data["attribute"])
        top = int(max(seen[-1], unseen[-1] if len(unseen) else 0)) + 1
        if attribute.ndim == 2 and len(attribute) < top <= attribute.shape[1]:
            attribute = attribute.T  # stored (A, classes) in some copies
        return np.ascontiguousarray(attribute, dtype=np.float32)
    if "seen_pro" not in data or "unseen_pro" not in data:
        raise InputError(f"{file}: neither 'attribute' nor 'seen_pro' and 'unseen_pro' are there")
    parts = [numbers(file, name, data[name]) for name in ("seen_pro", "unseen_pro")]
    for name, part, classes in zip(("seen_pro", "unseen_pro"), parts, (seen, unseen), strict=True):
        if part.ndim != 2 or len(part) != len(classes):
            raise InputError(
                f"{file}: {name} has shape {part.shape}, expected one row for each of {len(classes)} classes"
            )
    whole = np.zeros((int(max(seen[-1], unseen[-1])) + 1, parts[0].shape[1]), np.float32)
    whole[seen], whole[unseen] = parts
    return whole


def _cross_check(
    data_file: Path,
    label_file: Path,
    data: dict[str, NDArray],
    stored: dict[str, NDArray],
    semantics: NDArray[np.float32],
    train_labels: NDArray[np.int64],
    seen: NDArray[np.int64],
) -> None:
    """Refuse folders whose redundant variables contradict each other: labels and semantics out of step."""
    if "att_train" in data and data["att_train"].shape == (len(train_labels), semantics.shape[1]):
        expected = semantics[np.minimum(train_labels, len(semantics) - 1)]
        off = np.flatnonzero(~np.isclose(data["att_train"], expected, rtol=1e-3, atol=1e-5).all(axis=1))
        if off.size:
            raise InputError(
                f"{data_file}: att_train row {off[0] + 1} is not the semantic vector of that sample's class "
                f"{train_labels[off[0]] + 1} (train_idx in {label_file}); the class orders differ"
            )
    if "train_label_new" in stored and stored["train_label_new"].size == len(train_labels):
        new = stored["train_label_new"].ravel().astype(np.int64)
        off = np.flatnonzero(new - new.min() != np.searchsorted(seen, train_labels))
        if off.size:
            raise InputError(
                f"{label_file}: train_label_new entry {off[0] + 1} disagrees with train_idx about the class"
            )
