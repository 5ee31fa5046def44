"""Real and synthetic features in a plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.scores.samples import Samples

METHODS = ("pca", "t-sne", "umap")
TITLES = {"pca": "PCA", "t-sne": "t-SNE", "umap": "UMAP"}

_POINTS = 1000  # in one picture, both kinds together
_BEFORE = 50  # principal components that t-SNE and UMAP start from


@dataclass(frozen=True)
class Embedding:
    """Real and synthetic samples as points in a plane.

    Parameters
    ----------
    places : dict[str, NDArray[np.float64]]
        The points (2 M, 2) of each method: M real ones, then M synthetic ones.
    labels : NDArray[np.int64]
        (M,) class of each real sample, and of the synthetic sample at the same position.
    """

    places: dict[str, NDArray[np.float64]]
    labels: NDArray[np.int64]


def embed(samples: Samples, methods: tuple[str, ...], seed: int = 0) -> Embedding:
    """Place real and synthetic features, jointly, by each of the methods; the same for the same seed.

    Raises
    ------
    InputError
        ``umap`` is asked for and not installed.
    """
    rows = np.unique(
        np.linspace(0, len(samples.labels) - 1, min(len(samples.labels), _POINTS // 2)).astype(int)
    )
    both = np.concatenate((samples.real[rows], samples.synthetic[rows])).astype(np.float64)
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
    return Embedding(places, samples.labels[rows])


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
    try:
        from umap import UMAP  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(
            "--embedding umap needs umap-learn: pip install umap-learn; or choose pca or t-sne"
        ) from None
    return np.asarray(UMAP(random_state=seed, n_jobs=1).fit_transform(components), dtype=np.float64)


def _signed(components: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signs of principal components are arbitrary; the largest entry of each becomes positive."""
    largest = np.abs(components).argmax(axis=0)
    signs = np.sign(components[largest, np.arange(components.shape[1])])
    return components * np.where(signs == 0, 1, signs)
