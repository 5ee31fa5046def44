"""Semantic inconsistency: how well semantics can be predicted from synthetic features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.scores.samples import Matrix

if TYPE_CHECKING:
    pass


_TRAIN_ROWS = 3000  # most real features that the regressor learns from
_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of the ridge, times the mean variance of a feature dimension


@dataclass(frozen=True)
class Semantic:
    """Recovery of class semantics by a ridge regressor that is trained on real features of seen classes.

    The values named ``real_...`` are recovered from real features, as if a perfect generator had made them. Without a
    regressor the means are None and the lists empty. The lists are in the order of the classes of
    [`Shifts`][gsmflow.scores.shifts.Shifts].

    Parameters
    ----------
    cosine : float | None
        Cosine of recovered and true semantics, both centered, mean over classes, in [-1, 1]; higher is
        better.
    r2 : float | None
        1 - squared error over that of guessing the mean of the seen classes; up to 1, higher is better.
    real_cosine : float | None
        The cosine from real features.
    real_r2 : float | None
        R² from real features.
    class_cosine : list[float]
        The cosine of each class.
    class_real_cosine : list[float]
        The cosine of each class from real features.
    class_r2 : list[float]
        R² of each class.
    class_real_r2 : list[float]
        R² of each class from real features.
    """

    cosine: float | None
    r2: float | None
    real_cosine: float | None
    real_r2: float | None
    class_cosine: list[float]
    class_real_cosine: list[float]
    class_r2: list[float]
    class_real_r2: list[float]


class _Regressor:
    """Ridge regression from features to semantics; its penalty is chosen by cross-validation over classes."""

    def __init__(self, features: NDArray[Any], labels: NDArray[Any], semantics: Matrix, seed: int) -> None:
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import GridSearchCV, GroupKFold

        rng = np.random.default_rng([seed, 0x4E6])
        order = rng.permutation(len(labels))
        each = max(1, _TRAIN_ROWS // len(np.unique(labels)))
        rows = np.concatenate([order[labels[order] == c][:each] for c in np.unique(labels)])
        x, y = features[rows].astype(np.float64), labels[rows]
        self.mean: Matrix = semantics[np.unique(labels)].mean(axis=0)
        unit = float(np.var(x, axis=0).mean()) * len(x) or 1.0
        folds = min(3, len(np.unique(y)))
        self._model: Any = GridSearchCV(
            Ridge(),
            {"alpha": [p * unit for p in _PENALTIES]},
            cv=GroupKFold(folds),
            scoring="neg_mean_squared_error",
        ).fit(x, semantics[y], groups=y)

    def __call__(self, features: Matrix) -> Matrix:
        """Recovered semantics (N, A)."""
        return self._model.predict(features).reshape(len(features), -1)


def semantic_recovery(
    regressor: _Regressor | None, real: list[Matrix], synthetic: list[Matrix], semantics: Matrix
) -> Semantic:
    """Semantic inconsistency: how well the features (n, D) of each of K classes predict its semantics (K, A)."""
    if regressor is None or not real:
        return Semantic(None, None, None, None, [], [], [], [])

    def recovered(features: list[Matrix]) -> tuple[list[float], list[float]]:
        cosines, determined = [], []
        for x, a in zip(features, semantics, strict=True):
            recovered, true = regressor(x) - regressor.mean, a - regressor.mean
            lengths = np.linalg.norm(recovered, axis=1) * np.linalg.norm(true)
            cosines.append(float(np.mean(recovered @ true / np.maximum(lengths, 1e-12))))
            error = np.square(recovered - true).sum(axis=1).mean()
            determined.append(float(1 - error / max(float(true @ true), 1e-12)))
        return cosines, determined

    (cosine, r2), (real_cosine, real_r2) = recovered(synthetic), recovered(real)
    return Semantic(
        cosine=float(np.mean(cosine)),
        r2=float(np.mean(r2)),
        real_cosine=float(np.mean(real_cosine)),
        real_r2=float(np.mean(real_r2)),
        class_cosine=cosine,
        class_real_cosine=real_cosine,
        class_r2=r2,
        class_real_r2=real_r2,
    )
