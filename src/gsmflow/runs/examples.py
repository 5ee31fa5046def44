"""A few test samples that are stored with a run, to try its classifier on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.files.tensors import read_tensors, write_tensors
from gsmflow.runs.thumbnails import has_pictures, packed, small_pictures, unpacked

_MOST = 96  # most samples, so that the file stays small beside the weights
_EACH = 3  # most samples of a class


@dataclass(frozen=True)
class Examples:
    """A few test samples that are stored with a run, none of them trained on.

    Parameters
    ----------
    features : NDArray[np.float32]
        (M, D) raw features.
    labels : NDArray[np.int64]
        (M,) class indices.
    image_shape : tuple[int, int] | None
        (height, width) where features are pixels in [0, 1].
    pictures : tuple[bytes, ...]
        M small image files, if the features were made of pictures; b"" for a picture that was not there any more.
        Empty if they were not.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    image_shape: tuple[int, int] | None
    pictures: tuple[bytes, ...] = ()

    @staticmethod
    def of(problem: Problem, seed: int) -> Examples | None:
        """Up to 96 test samples of a problem, about the same number for each class; None without test samples."""
        test = np.concatenate((problem.test_seen, problem.test_unseen))
        if not len(test):
            return None
        shuffled = np.random.default_rng([seed, 0xE8]).permutation(test)
        labels = problem.labels[shuffled]
        # The number of samples of the same class before each sample
        rank = np.zeros(len(labels), dtype=np.int64)
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            rank[members] = np.arange(len(members))
        order = np.argsort(rank, kind="stable")
        chosen = order[rank[order] < _EACH][:_MOST]
        chosen = chosen[np.argsort(labels[chosen], kind="stable")]
        rows = shuffled[chosen]
        pictures = (
            tuple(small_pictures(problem, rows)) if problem.pictures and has_pictures(problem, rows) else ()
        )
        return Examples(
            np.asarray(problem.features[rows]), problem.labels[rows], problem.image_shape, pictures
        )

    def write(self, path: Path) -> None:
        """Write them as a safetensors file."""
        tensors: dict[str, Tensor] = {
            "features": torch.from_numpy(np.ascontiguousarray(self.features)),
            "labels": torch.from_numpy(self.labels),
        }
        if self.pictures:
            tensors |= packed(self.pictures)
        write_tensors(path, tensors, {"image_shape": self.image_shape})

    @staticmethod
    def read(path: Path) -> Examples:
        """Inverse of [`write`][gsmflow.runs.examples.Examples.write].

        Raises
        ------
        InputError
            The file is damaged, or holds something else.
        """
        tensors, meta = read_tensors(path)
        try:
            shape = meta["image_shape"]
            features, labels = tensors["features"].numpy(), tensors["labels"].numpy()
            pictures = tuple(unpacked(tensors)) if "bytes" in tensors else ()
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}: {error} is missing; delete the file to do without examples") from None
        return Examples(features, labels, tuple(shape) if shape else None, pictures)
