"""Labels of samples and images, part by part, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.files.chunks import Part
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.images.feature_table import Unreadable
from gsmflow.images.shards import Reading
from gsmflow.runs.folder import check_width, load_classifier

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Pictures:
    """A part of a listing: images to be labelled.

    Parameters
    ----------
    names : tuple[str, ...]
        Paths below the root of the listing.
    labels : tuple[str, ...] | None
        Their classes; None where they are not known.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Labelled:
    """The labels of one part.

    Parameters
    ----------
    table : pl.DataFrame
        One row for each sample, see [`Labelling`][gsmflow.runs.labelling.Labelling].
    unreadable : tuple[Unreadable, ...]
        Images that were left out.
    outside : int
        Number of samples far outside the training features.
    """

    table: pl.DataFrame
    unreadable: tuple[Unreadable, ...] = ()
    outside: int = 0


@dataclass(frozen=True)
class Labelling:
    """Work for [`gsmflow.compute.distributed_map`][gsmflow.compute.distributed_map]: a part of a table, or
    pictures, to a table of labels.

    Columns: ``sample`` (its name, or its number from 0), ``label`` where it is known, ``class``, ``unseen_class``,
    ``unseen_probability``, ``unsure`` where asked for, ``probability``, and ``class_2``, ``probability_2``, ...

    Parameters
    ----------
    run : Path
        The run folder.
    origin : Path
        The table or images, for messages.
    top : int
        Classes listed for each sample.
    unsure : float | None
        Samples whose best class has a lower probability are unsure; None: no such column.
    images : Reading | None
        How pictures become features.
    """

    run: Path
    origin: Path
    top: int = 3
    unsure: float | None = None
    images: Reading | None = None

    def open(self) -> Callable[[Part | Pictures], Labelled]:
        """Load the classifier, and the backbone where there are images.

        Raises
        ------
        InputError
            One of them is missing or damaged.
        """
        classifier = load_classifier(self.run)
        features_of = self.images.open() if self.images else None

        def label(part: Part | Pictures) -> Labelled:
            if not isinstance(part, Pictures):
                rows = part.read()
                table = self._table(classifier, rows.features, rows.names, rows.labels, part.first)
                outside = classifier.transform.outside(classifier.transform.narrowed(rows.features))
                return Labelled(table, outside=int(outside.sum()))
            assert features_of is not None
            features, reasons = features_of(part.names)
            readable = [index for index in range(len(part.names)) if index not in reasons]
            names = [part.names[index] for index in readable]
            labels = None if part.labels is None else [part.labels[index] for index in readable]
            unreadable = tuple(Unreadable(part.names[index], reason) for index, reason in reasons.items())
            return Labelled(self._table(classifier, features, names, labels, 0), unreadable)

        return label

    def _table(
        self,
        classifier: FittedClassifier,
        features: NDArray[np.float32] | NDArray[np.float64],
        sample_names: Sequence[str] | None,
        labels: Sequence[str] | None,
        first: int,
    ) -> pl.DataFrame:
        import polars as pl

        if not len(features):
            return pl.DataFrame()
        check_width(self.origin, features.shape[1], self.run, classifier.transform.in_dim)
        samples = range(first, first + len(features)) if sample_names is None else sample_names
        columns: dict[str, object] = {"sample": list(samples)}
        if labels is not None:
            columns["label"] = list(labels)
        probabilities = classifier.probabilities(classifier.transform.narrowed(features), first=first)
        names = np.array(classifier.classes)
        return pl.DataFrame(columns | answers(names, classifier.unseen, probabilities, self.top, self.unsure))


def answers(
    classes: NDArray[Any],
    unseen: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    top: int,
    unsure: float | None = None,
) -> dict[str, list[Any]]:
    """Columns of labels and probabilities, with the names of [`Labelling`][gsmflow.runs.labelling.Labelling].

    Parameters
    ----------
    classes : NDArray[Any]
        (C,) names or labels.
    unseen : NDArray[np.int64]
        Indices of the unseen ones.
    probabilities : NDArray[np.float64]
        (N, C).
    top : int
        Classes listed for each sample.
    unsure : float | None
        Samples whose best class has a lower probability are unsure; None: no such column.
    """
    count = min(top, len(classes))
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    rows = np.arange(len(order))
    best = probabilities[rows, order[:, 0]]
    columns: dict[str, list[Any]] = {
        "class": classes[order[:, 0]].tolist(),
        "unseen_class": np.isin(order[:, 0], unseen).tolist(),
        "unseen_probability": probabilities[:, unseen].sum(axis=1).clip(0, 1).tolist(),
    }
    if unsure is not None:
        columns["unsure"] = (best < unsure).tolist()
    for rank in range(count):
        chosen = order[:, rank]
        if rank:
            columns[f"class_{rank + 1}"] = classes[chosen].tolist()
        key = "probability" if rank == 0 else f"probability_{rank + 1}"
        columns[key] = probabilities[rows, chosen].tolist()
    return columns
