"""Real and synthetic features of the same classes, prepared for the measures of the shifts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from torch import Tensor


Matrix = NDArray[np.float64]

_ENTRIES = 1 << 22  # most numbers in either array: 16 MB as float32
_PER_CLASS = 200  # samples of a class compared at most


@dataclass(frozen=True)
class Samples:
    """Real and synthetic features. Row i of both belongs to the same class.

    Parameters
    ----------
    real, synthetic : NDArray[np.float32]
        (M, D).
    labels : NDArray[np.int64]
        (M,) class indices, sorted.
    judge : str
        What the real features are, in words.
    """

    real: NDArray[np.float32]
    synthetic: NDArray[np.float32]
    labels: NDArray[np.int64]
    judge: str

    def tensors(self) -> dict[str, Tensor]:
        """The three arrays, as they are stored in ``samples.safetensors``."""
        from torch import from_numpy

        arrays = {"real": self.real, "synthetic": self.synthetic, "labels": self.labels}
        return {name: from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    @staticmethod
    def matched(
        real: ArrayLike,
        real_labels: ArrayLike,
        synthetic: ArrayLike,
        synthetic_labels: ArrayLike,
        *,
        judge: str = "",
    ) -> Samples:
        """The first samples of each class, as many real as synthetic ones; classes that lack one kind are left out.

        Parameters
        ----------
        real : ArrayLike
            (N, D) real features.
        real_labels : ArrayLike
            (N,) their classes.
        synthetic : ArrayLike
            (M, D) synthetic features.
        synthetic_labels : ArrayLike
            (M,) their classes.
        judge : str
            What the real features are, in words.

        Raises
        ------
        ValueError
            The shapes do not fit together.
        """
        left, right = np.asarray(real, np.float32), np.asarray(synthetic, np.float32)
        of_left, of_right = np.asarray(real_labels, np.int64), np.asarray(synthetic_labels, np.int64)
        if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
            raise ValueError(f"features of shapes {left.shape} and {right.shape}, expected (N, D) and (M, D)")
        if of_left.shape != left.shape[:1] or of_right.shape != right.shape[:1]:
            raise ValueError(
                f"{of_left.shape} and {of_right.shape} labels for {len(left)} and {len(right)} features"
            )
        rows: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for label in np.intersect1d(of_left, of_right):
            pair = np.flatnonzero(of_left == label), np.flatnonzero(of_right == label)
            count = min(map(len, pair))
            rows.append((pair[0][:count], pair[1][:count]))
        nothing = np.zeros(0, np.int64)
        a = np.concatenate([nothing, *(pair[0] for pair in rows)])
        b = np.concatenate([nothing, *(pair[1] for pair in rows)])
        return Samples(left[a], right[b], of_left[a], judge)


def picked(labels: ArrayLike, dim: int, seed: int) -> NDArray[np.int64]:
    """Positions of the samples to compare, sorted by class: all samples of small classes, a random draw of
    large ones.

    Parameters
    ----------
    labels : ArrayLike
        (N,) classes of the samples to draw from.
    dim : int
        D, dimensions of the features. At most 200 samples a class are drawn, fewer where D and the number of
        classes are large.
    seed : int
        Determines the draw.
    """
    values = np.asarray(labels, np.int64)
    classes = np.unique(values)
    limit = int(np.clip(_ENTRIES // max(1, len(classes) * dim), 8, _PER_CLASS))
    rng = np.random.default_rng([seed, 0x5417])
    drawn = [rng.permutation(np.flatnonzero(values == label))[:limit] for label in classes]
    return np.concatenate([np.zeros(0, np.int64), *drawn])


def _rows(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]
