"""Real and synthetic features in a plane."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.scores.samples import Samples

METHODS = ("pca", "t-sne", "umap")
TITLES = {"pca": "PCA", "t-sne": "t-SNE", "umap": "UMAP"}

Unseen = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Synthetic features (K, D) of classes that have no real ones, and their labels (K,)."""

_POINTS = 1000  # most points in one picture, real and synthetic together
_BEFORE = 50  # principal components that t-SNE and UMAP start from


@dataclass(frozen=True)
class Embedding:
    """Points of a picture.

    Parameters
    ----------
    places : dict[str, NDArray[np.float64]]
        Positions (M + K, 2) by method, the M real points first.
    labels, synthetic_labels : NDArray[np.int64]
        (M,) classes of the real points and (K,) of the synthetic ones.
    """

    places: dict[str, NDArray[np.float64]]
    labels: NDArray[np.int64]
    synthetic_labels: NDArray[np.int64]


def parse_methods(text: str) -> tuple[str, ...]:
    """Methods with commas between them, such as ``pca,t-sne``.

    Raises
    ------
    InputError
        A method is unknown, or is ``umap`` while the package umap-learn is not installed.
    """
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise InputError(f"{text}: '{unknown[0]}' is none of {', '.join(METHODS)}", parameter="embedding")
    if "umap" in names and find_spec("umap") is None:
        raise InputError(
            f"{text}: umap needs umap-learn",
            parameter="embedding",
            remedy="pip install umap-learn, or choose pca or t-sne",
        )
    return names


def embed(
    samples: Samples, methods: tuple[str, ...], seed: int = 0, *, unseen: Unseen | None = None
) -> Embedding:
    """Place real and synthetic features together in a plane by each method; the same seed gives the same places.

    Parameters
    ----------
    samples : Samples
        Real and synthetic features.
    methods : tuple[str, ...]
        Any of ``pca``, ``t-sne`` and ``umap``, see
        [`parse_methods`][gsmflow.report.embedding.parse_methods].
    seed : int
        Seed of t-SNE and UMAP.
    unseen : Unseen | None
        Synthetic features of classes without real ones, which are placed along with the others.
    """
    rows = np.unique(
        np.linspace(0, len(samples.labels) - 1, min(len(samples.labels), _POINTS // 2)).astype(int)
    )
    both = np.concatenate((samples.real[rows], samples.synthetic[rows])).astype(np.float64)
    labels = samples.labels[rows]
    if unseen is not None:
        few = np.unique(np.linspace(0, len(unseen[1]) - 1, min(len(unseen[1]), _POINTS // 4)).astype(int))
        both = np.concatenate((both, unseen[0][few]))
        labels = np.concatenate((labels, unseen[1][few]))
    centered = both - both.mean(axis=0)
    left, values, _ = np.linalg.svd(centered, full_matrices=False)
    components = _signed(left[:, :_BEFORE] * values[:_BEFORE])
    if components.shape[1] < 2:
        components = np.pad(components, ((0, 0), (0, 2 - components.shape[1])))
    places = {}
    for method in methods:
        if method == "pca" or len(both) < 8:
            places[method] = components[:, :2]
        elif method == "t-sne":
            places[method] = _tsne(components, seed)
        else:
            places[method] = _umap(components, seed)
    return Embedding(places, samples.labels[rows], labels)


def _tsne(components: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(components) - 1) / 4)
    start = components[:, :2] / max(float(components[:, 0].std()), 1e-12) * 1e-4
    model = TSNE(
        perplexity=perplexity,
        init=start,  # pyright: ignore[reportArgumentType]  (its stubs leave arrays out)
        random_state=seed,
        max_iter=500,
        learning_rate="auto",
    )
    return np.asarray(model.fit_transform(components), dtype=np.float64)


def _umap(components: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    from umap import UMAP  # pyright: ignore[reportMissingImports]

    return np.asarray(UMAP(random_state=seed, n_jobs=1).fit_transform(components), dtype=np.float64)


def _signed(components: NDArray[np.float64]) -> NDArray[np.float64]:
    """Principal components with fixed signs: the largest entry of each becomes positive."""
    largest = np.abs(components).argmax(axis=0)
    signs = np.sign(components[largest, np.arange(components.shape[1])])
    return components * np.where(signs == 0, 1, signs)
