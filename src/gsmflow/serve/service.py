"""A run in memory. Its newest version answers, to many threads at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import instead_of
from gsmflow.data.semantic_blocks import Block
from gsmflow.files.checksums import check
from gsmflow.files.class_names import spoken
from gsmflow.files.class_table import read_classes
from gsmflow.files.feature_names import matched
from gsmflow.heads.calibration import softmax
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.runs.add_classes import Addition, add_classes
from gsmflow.runs.examples import Examples
from gsmflow.runs.folder import EXAMPLES, SEMANTICS, feature_names, load_classifier, read_config, read_metrics
from gsmflow.runs.joined_semantics import Describer
from gsmflow.runs.named_semantics import named_semantics
from gsmflow.serve.images import Extractor
from gsmflow.serve.texts import Encode


class Taken(InputError):
    """There is a class of that name already."""


class Busy(Exception):
    """Another class is being added right now."""


@dataclass(frozen=True)
class Version:
    """One version of the run, as it is on disk.

    Parameters
    ----------
    folder : Path
        The run folder of this version.
    classifier : FittedClassifier
        Its fitted classifier.
    semantics : NDArray[np.float32]
        (C, A) class vectors.
    dimensions : tuple[str, ...]
        A names of the semantic dimensions.
    metrics : dict[str, Any]
        Its ``metrics.json``.
    trained : int
        Number of classes in training; those after it were added later.
    feature_names : tuple[str, ...] | None
        D names of the features, where they have names.
    describer : Describer
        What describes a new class.
    """

    folder: Path
    classifier: FittedClassifier
    semantics: NDArray[np.float32]
    dimensions: tuple[str, ...]
    metrics: dict[str, Any]
    trained: int
    feature_names: tuple[str, ...] | None
    describer: Describer

    @staticmethod
    def load(folder: Path) -> Version:
        """Read a run folder.

        Raises
        ------
        InputError
            It holds no finished run, or its files are damaged.
        """
        classifier = load_classifier(folder)
        _, semantics, dimensions = read_classes(check(folder / SEMANTICS))
        if len(semantics) != len(classifier.classes):
            raise InputError(
                f"{folder / SEMANTICS}: {len(semantics)} classes, expected {len(classifier.classes)}; "
                "the files in the folder are of different runs"
            )
        config = read_config(folder)
        added = config.get("added_classes", [])
        metrics = read_metrics(folder)
        trained = len(classifier.classes) - len(added)
        describer = Describer.of(folder, config, dimensions)
        return Version(
            folder, classifier, semantics, dimensions, metrics, trained, feature_names(config), describer
        )

    def own_values(self, index: int) -> dict[str, float]:
        """Values of a class by name, in the units in which those of a new class are given."""
        return self.describer.own(self.semantics[index])

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.resolve().name


def _by_name(row: Mapping[str, float], names: tuple[str, ...] | None, index: int) -> list[float]:
    if names is None:
        raise InputError(
            f"features: sample {index} gives features by name, but those of this run have none; give a list"
        )
    return list(matched(f"features: sample {index}", row, names).values())


class Service:
    """Answers from the newest version of a run.

    Parameters
    ----------
    folder : Path
        A finished run, or a version of one.
    data_root : Path
        The folder that holds the named data sets.
    extractor : Extractor | None
        Computes features of images, see [`gsmflow.serve.images`][gsmflow.serve.images]; None if the run takes
        no images.
    encode : Encode | None
        Makes semantics of a text, see [`gsmflow.serve.texts`][gsmflow.serve.texts]; for joined semantics the part that
        is of texts.
    """

    def __init__(
        self,
        folder: Path,
        *,
        data_root: Path,
        device: torch.device,
        extractor: Extractor | None = None,
        encode: Encode | None = None,
        no_images: str = "this run was trained on features and remembers no backbone, so it takes no images",
    ) -> None:
        self.version = Version.load(folder)
        self.extractor, self.no_images, self.encode = extractor, no_images, encode
        self.encode_name: Encode | None = None
        file = folder / EXAMPLES
        self.examples = Examples.read(file) if file.exists() else None
        self._data_root, self._device = data_root, device
        self._adding = threading.Lock()

    @property
    def adding(self) -> bool:
        """Whether a class is being added right now."""
        return self._adding.locked()

    def logits(
        self, rows: Sequence[Sequence[float] | Mapping[str, float]]
    ) -> tuple[Version, NDArray[np.float32]]:
        """The version that answers, and its logits (N, C) of samples of D numbers each, in order or by name.

        Raises
        ------
        InputError
            A sample has another number of values, lacks a feature by name or has others, or values too large to
            compute with.
        """
        version = self.version
        expected = version.classifier.transform.in_dim
        ordered: list[Sequence[float]] = []
        for index, given in enumerate(rows):
            row = _by_name(given, version.feature_names, index) if isinstance(given, Mapping) else given
            ordered.append(row)
            if len(row) != expected:
                raise InputError(f"features: sample {index} has {len(row)} values, expected {expected}")
        with np.errstate(over="ignore", invalid="ignore"):
            features = version.classifier.transform.narrowed(np.asarray(ordered, dtype=np.float64))
            return version, version.classifier.logits(features)

    def example(self, index: int) -> list[float]:
        """Raw features (D,) of a test sample that was kept with the run."""
        assert self.examples is not None
        return self.version.classifier.transform.raw(self.examples.features[index : index + 1])[0].tolist()

    def probabilities(
        self, rows: Sequence[Sequence[float] | Mapping[str, float]]
    ) -> tuple[Version, NDArray[np.float64]]:
        """The version that answers, and the probabilities (N, C) of samples (N, D).

        Raises
        ------
        InputError
            A sample has another number of values, or values too large to compute with.
        """
        version, logits = self.logits(rows)
        return version, softmax(logits, version.classifier.temperature)

    def of_image(self, content: bytes) -> tuple[Version, NDArray[np.float32]]:
        """The version that answers, and its logits (1, C) of an image file.

        Raises
        ------
        InputError
            The bytes are no image, or this run takes none.
        """
        if self.extractor is None:
            raise InputError(self.no_images)
        version = self.version
        features = version.classifier.transform.narrowed(self.extractor(content)[None])
        with np.errstate(over="ignore", invalid="ignore"):
            return version, version.classifier.logits(features)

    def described(
        self,
        semantics: Sequence[float] | dict[str, float] | None,
        like: str | None = None,
        text: str | None = None,
        name: str = "",
    ) -> Sequence[float] | dict[str, float]:
        """The semantics of a new class: as they are given, another class's with differences, or a text's.

        Of joined semantics, values are of the parts that people made, in their own units, and the text is of the
        others; without a text it is that of the class's name, or of the class it is like.

        Raises
        ------
        InputError
            Nothing describes it, or two things do; no class is called `like`; there is no text encoder.
        """
        version = self.version
        if version.describer.joined:
            return self._joined(semantics, like, text, name)
        if text is not None:
            if semantics is not None or like is not None:
                raise InputError("text: describes the whole class; leave out semantics and like")
            if self.encode is None:
                raise InputError(
                    "text: this run has no text encoder, so give semantics; or start the service with --encoder"
                )
            return self.encode(text).tolist()
        if like is None:
            if semantics is None and version.describer.takes_text and self.encode is not None:
                return self._of_name(name).tolist()
            if semantics is None:
                raise InputError("semantics: missing; give all values, or the name of a class it is like")
            return semantics
        values = self._of(like, semantics)
        changed = semantics if isinstance(semantics, dict) else {}
        return dict(zip(version.dimensions, values, strict=True)) | changed

    def _of_name(self, name: str) -> NDArray[np.float32]:
        """The vector of a class's name: in the run's templates, if its classes were described by names."""
        assert self.encode is not None
        return self.encode_name(name) if self.encode_name else self.encode(spoken(name))

    def _of(self, like: str, semantics: Sequence[float] | dict[str, float] | None) -> list[float]:
        """The semantics (A,) of the class that a new one is like."""
        names = self.version.classifier.classes
        if like not in names:
            raise InputError(f"like: no class '{like}'; {instead_of(like, names)}")
        if semantics is not None and not isinstance(semantics, dict):
            raise InputError("semantics: with like, give the values that differ by name: {name: value}")
        return self.version.semantics[names.index(like)].tolist()

    def _joined(
        self,
        semantics: Sequence[float] | dict[str, float] | None,
        like: str | None,
        text: str | None,
        name: str,
    ) -> list[float]:
        if self.encode is None and (text is not None or (like is None and self.version.describer.takes_text)):
            raise InputError(
                "text: this run's text encoder is not at hand, so a class can only be like another one; or start the "
                "service with --encoder"
            )

        def told(block: Block, _: str) -> NDArray[np.float32] | None:
            if text is None and like is not None:
                return None
            assert self.encode is not None
            return self.encode(text) if text else self._of_name(name)

        old = None if like is None else self._of(like, semantics)
        return self.version.describer.vector(name, semantics, told, like=old)

    def add_class(self, name: str, semantics: Sequence[float] | dict[str, float]) -> tuple[Version, Addition]:
        """Add a class. The new version of the run answers from now on.

        Raises
        ------
        Taken
            There is a class of that name.
        Busy
            Another class is being added.
        InputError
            The semantics do not fit, or the data of the run are gone.
        """
        if not self._adding.acquire(blocking=False):
            raise Busy
        try:
            old = self.version
            if name in old.classifier.classes:
                raise Taken(f"there is a class '{name}' already; choose another name")
            vector = named_semantics(old.dimensions, semantics) if isinstance(semantics, dict) else semantics
            with np.errstate(over="ignore"):  # beyond float32 becomes inf, and is refused as such
                values = np.asarray([vector], dtype=np.float64).astype(np.float32)
            addition = add_classes(old.folder, [name], values, data_root=self._data_root, device=self._device)
            self.version = Version.load(addition.folder)
            return self.version, addition
        finally:
            self._adding.release()
