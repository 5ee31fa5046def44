"""A zero-shot problem: features, labels, class semantics and a split, checked on construction.

Generators, heads and scores take a [`Problem`][gsmflow.data.problem.Problem] and rely on these checks.
[`gsmflow.sources`][gsmflow.sources] builds problems from names and folders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsmflow.base.errors import InputError
from gsmflow.data import checks
from gsmflow.files.feature_names import matched
from gsmflow.files.image_text import ImageTextModel, model_of_both
from gsmflow.files.narrowing import narrowed, off


@dataclass(frozen=True)
class Counts:
    """Sizes of a problem.

    Parameters
    ----------
    samples : int
        N, the number of samples.
    feature_dim : int
        D, dimensions of a feature.
    semantic_dim : int
        A, dimensions of the semantics.
    seen, unseen : int
        Numbers of classes.
    train, test_seen, test_unseen : int
        Numbers of samples.
    """

    samples: int
    feature_dim: int
    semantic_dim: int
    seen: int
    unseen: int
    train: int
    test_seen: int
    test_unseen: int


@dataclass(frozen=True, eq=False)
class Problem:
    """Features, labels, semantics and a split of one generalized zero-shot data set.

    Shapes: N samples, D feature dimensions, C classes, A semantic dimensions.

    Parameters
    ----------
    name : str
        Short name, used in run folders and reports.
    features : NDArray[np.float32]
        (N, D) finite numbers, stored as float32. A float32 memory map stays mapped.
    labels : NDArray[np.int64]
        (N,) integers in [0, C).
    semantics : NDArray[np.float32]
        (C, A) finite numbers, one row a class, no two rows alike, none all zero.
    classes : tuple[str, ...]
        C distinct class names.
    train, test_seen, test_unseen : NDArray[np.int64]
        Indices into the samples, disjoint, each without repetition. ``train`` has at least two classes. ``test_seen``
        holds classes that occur in ``train``, ``test_unseen`` classes that do not. If features and semantics are from
        one model of images and texts, there may be no training samples, or no samples at all: the names of the classes
        are enough.
    validation_unseen : NDArray[np.int64] | None
        Indices of the seen classes that
        [`validation_problem`][gsmflow.data.validation.validation_problem] holds out as unseen, if the data set
        publishes such a choice.
    image_shape : tuple[int, int] | None
        (height, width) if a feature vector is a picture, row by row.
    semantic_names : tuple[str, ...] | None
        A distinct names of the semantic dimensions (attributes), if they have names.
    origins : Mapping[str, str]
        Where each array came from, by its name, for error messages (``"data/FLO/res101.mat: features"``).
    notes : Mapping[str, str]
        Facts that the source wants recorded with the run, such as which published split this is.
    backbone : Mapping[str, Any] | None
        How the features were computed from images ([`BackboneSpec`][gsmflow.images.backbone.BackboneSpec]),
        if that is known.
    pictures : tuple[str, ...] | None
        (N,) paths of the image files that the features were computed from, if they are known. They are only
        shown: nothing is learnt from them, and the files may be gone.
    semantic_origin : Mapping[str, Any] | None
        How the semantics were made ([`read_origin`][gsmflow.files.semantic_origin.read_origin]), if that is known.
    feature_names : tuple[str, ...] | None
        D distinct names of the feature dimensions, if they have names.
    offset : NDArray[np.float64] | None
        (D,) subtracted from the features before they became float32: raw values are features + offset. Features
        of another type than float32 are centred if float32 would lose their digits, see
        [`narrowed`][gsmflow.files.narrowing.narrowed]; None if no dimension needed that.

    Raises
    ------
    InputError
        The first violation; the message names the array, the place and the remedy.
    """

    name: str
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    semantics: NDArray[np.float32]
    classes: tuple[str, ...]
    train: NDArray[np.int64]
    test_seen: NDArray[np.int64]
    test_unseen: NDArray[np.int64]
    validation_unseen: NDArray[np.int64] | None = None
    image_shape: tuple[int, int] | None = None
    semantic_names: tuple[str, ...] | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    backbone: Mapping[str, Any] | None = None
    pictures: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    offset: NDArray[np.float64] | None = None
    semantic_origin: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("origins", MappingProxyType(dict(self.origins)))
        put("notes", MappingProxyType(dict(self.notes)))
        names_suffice = self.image_text is not None
        features = checks.real_matrix(self.features, self.where("features"), "sample", rows=not names_suffice)
        if self.offset is None:
            features, offset = narrowed(features)
            put("offset", offset)
        put("features", off(features, None))
        if self.offset is not None and self.offset.any() and "digits" not in self.notes:
            far = np.flatnonzero(self.offset)
            said = f"{len(far)} of {len(self.offset)} feature dimensions lie far from zero (dimension {far[0]} near "
            said += f"{self.offset[far[0]]:.12g}): centred before they become float32, which holds few of their digits"
            put("notes", MappingProxyType({**self.notes, "digits": said}))
        if self.feature_names is not None:
            put("feature_names", tuple(str(name) for name in self.feature_names))
        put("semantics", checks.matrix(self.semantics, self.where("semantics"), "class"))
        put("labels", checks.whole_numbers(self.labels, self.where("labels")))
        put("classes", tuple(str(c) for c in self.classes))
        for part in checks.PARTS:
            put(part, checks.whole_numbers(getattr(self, part), self.where(part)))
        if self.validation_unseen is not None:
            playing = checks.whole_numbers(self.validation_unseen, self.where("validation_unseen"))
            put("validation_unseen", np.unique(playing))
        if self.semantic_names is not None:
            put("semantic_names", tuple(str(name) for name in self.semantic_names))
        samples, parts = self.features.shape[0], {part: getattr(self, part) for part in checks.PARTS}
        checks.check_classes(self.classes, self.semantics, self.where)
        checks.check_labels(self.labels, samples, len(self.classes), self.where)
        checks.check_parts(parts, samples, self.where)
        if not names_suffice:
            checks.check_learnable(self.train, self.seen, self.where)
        checks.check_seen(parts, self.labels, self.classes, self.validation_unseen, self.where)
        checks.check_finite(self.features, "sample", self.where("features"))
        checks.check_finite(self.semantics, "class", self.where("semantics"))
        checks.check_semantics(self.semantics, self.classes, self.semantic_names, self.where)
        if self.pictures is not None and len(self.pictures) != samples:
            raise InputError(
                f"{self.where('pictures')}: {len(self.pictures)} paths for {samples} samples, expected as many; leave "
                "them out or give one each"
            )
        checks.check_columns(self.feature_names, self.offset, self.features.shape[1], self.where)
        if self.image_shape is not None and int(np.prod(self.image_shape)) != self.features.shape[1]:
            raise InputError(
                f"{self.where('features')}: {self.features.shape[1]} dimensions do not make an image of "
                f"{self.image_shape[0]} x {self.image_shape[1]}; correct image_shape"
            )

    def __getstate__(self) -> dict[str, Any]:
        """The state for pickling and copying, which cannot handle read-only dictionaries."""
        return self.__dict__ | {"origins": dict(self.origins), "notes": dict(self.notes)}

    # -- what follows from the arrays ---------------------------------------------------------

    @property
    def feature_dim(self) -> int:
        """D, the number of feature dimensions."""
        return int(self.features.shape[1])

    @property
    def semantic_dim(self) -> int:
        """A, the number of semantic dimensions."""
        return int(self.semantics.shape[1])

    @property
    def image_text(self) -> ImageTextModel | None:
        """The model of images and texts that computed both features and semantics; None if no single model did."""
        return model_of_both(self.backbone, self.semantic_origin)

    @cached_property
    def seen(self) -> NDArray[np.int64]:
        """(S,) sorted indices of the classes that have training samples."""
        return np.unique(self.labels[self.train])

    @cached_property
    def unseen(self) -> NDArray[np.int64]:
        """(U,) sorted indices of all other classes."""
        return np.setdiff1d(np.arange(len(self.classes)), self.seen)

    @cached_property
    def fingerprint(self) -> dict[str, str]:
        """SHA-256 (first 16 hex digits) of the split, the semantics and the features.

        ``split`` covers the sorted indices of the three parts and the labels, ``semantics`` the
        class names and vectors, ``features`` all feature values. Two runs with the same three
        values saw the same data.
        """
        split, semantics, features = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
        for part in (self.train, self.test_seen, self.test_unseen):
            split.update(np.sort(part).astype("<i8").tobytes() + b"|")
        split.update(self.labels.astype("<i8").tobytes())
        semantics.update("\0".join(self.classes).encode())
        semantics.update(np.ascontiguousarray(self.semantics, dtype="<f4").tobytes())
        if self.offset is not None:
            features.update(self.offset.astype("<f8").tobytes())
        for rows in checks.row_chunks(self.features):
            features.update(np.ascontiguousarray(self.features[rows], dtype="<f4").tobytes())
        return {
            "split": split.hexdigest()[:16],
            "semantics": semantics.hexdigest()[:16],
            "features": features.hexdigest()[:16],
        }

    def with_features(self, names: Sequence[str]) -> Problem:
        """The same problem with its features in the order of these names.

        Raises
        ------
        InputError
            The features have no names, a name is missing, or there are other features.
        """
        where = self.where("features").removesuffix(": features")
        place = {name: index for index, name in enumerate(self.feature_names or ())}
        order = list(matched(where, place, names).values())
        if order == list(range(self.feature_dim)):
            return self
        offset = None if self.offset is None else self.offset[order]
        return replace(self, features=self.features[:, order], feature_names=tuple(names), offset=offset)

    def relative_to(self, offset: NDArray[np.float64] | None) -> Problem:
        """The same problem with another offset subtracted from its features; raw values do not change."""
        if np.array_equal(_zeros_for(self.offset, self.feature_dim), _zeros_for(offset, self.feature_dim)):
            return self
        raw = self.features.astype(np.float64) + _zeros_for(self.offset, self.feature_dim)
        return replace(self, features=off(raw, offset), offset=_zeros_for(offset, self.feature_dim))

    def where(self, array: str) -> str:
        """Where an array came from, for messages: its origin, or its name."""
        return self.origins.get(array, array)

    def summary(self) -> dict[str, Any]:
        """Plain values: counts, class names, training samples by class, notes."""
        of_class = np.bincount(self.labels[self.train], minlength=len(self.classes))
        return {
            "name": self.name,
            "counts": {
                "samples": len(self.labels),
                "feature_dim": self.feature_dim,
                "semantic_dim": self.semantic_dim,
                "seen_classes": len(self.seen),
                "unseen_classes": len(self.unseen),
                "train": len(self.train),
                "test_seen": len(self.test_seen),
                "test_unseen": len(self.test_unseen),
            },
            "classes": {
                "seen": [self.classes[c] for c in self.seen],
                "unseen": [self.classes[c] for c in self.unseen],
            },
            "training_samples": {self.classes[c]: int(of_class[c]) for c in self.seen},
            "fingerprint": self.fingerprint,
            "notes": dict(self.notes),
        }

    def in_order_of(self, place: Sequence[int], classes: Sequence[str]) -> Problem:
        """The same problem with its classes in another order, under other names.

        Parameters
        ----------
        place : Sequence[int]
            The new index of each class of this problem: a permutation of 0, ..., C - 1.
        classes : Sequence[str]
            C names, in the new order.

        Raises
        ------
        InputError
            Two classes would get the same index.
        """
        new = np.asarray(place, dtype=np.int64)
        if not np.array_equal(np.sort(new), np.arange(len(self.classes))):
            raise InputError(
                f"{self.where('classes')}: two classes would be one; give each a name of its own"
            )
        playing = self.validation_unseen
        return replace(
            self,
            labels=new[self.labels],
            semantics=self.semantics[np.argsort(new)],
            classes=tuple(classes),
            validation_unseen=None if playing is None else new[playing],
        )

    def with_classes(self, names: Sequence[str], semantics: ArrayLike) -> Problem:
        """The same problem with more classes, which have no samples and come after all others.

        Parameters
        ----------
        names : Sequence[str]
            K new class names.
        semantics : ArrayLike
            (K, A).

        Raises
        ------
        InputError
            A class with the same name or vector exists already, or the vectors have another length.
        """
        vectors = np.atleast_2d(np.asarray(semantics, dtype=np.float32))
        if vectors.shape != (len(names), self.semantic_dim):
            raise InputError(
                f"semantics of {', '.join(names)}: shape {vectors.shape}, expected "
                f"({len(names)}, {self.semantic_dim}): one vector a class, as long as those of the others"
            )
        taken = [name for name in names if name in self.classes]
        if taken:
            raise InputError(
                f"class '{taken[0]}': there is a class of that name already; choose another name"
            )
        return replace(
            self,
            classes=(*self.classes, *names),
            semantics=np.vstack((self.semantics, vectors)),
            origins={**self.origins, "semantics": "semantics", "classes": "classes"},
        )


def _zeros_for(offset: NDArray[np.float64] | None, dim: int) -> NDArray[np.float64]:
    return np.zeros(dim) if offset is None else offset
