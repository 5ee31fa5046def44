"""A zero-shot problem: features, labels, class semantics and a split, checked on construction.

Everything downstream (generators, heads, evaluation) takes a :class:`Problem` and may rely on
what it guarantees; everything upstream (:mod:`gsmflow.sources`) only has to build one.
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

from gsmflow.errors import InputError
from gsmflow.store import rows_of

_CHUNK = 1 << 24  # entries looked at in one go, so that memory-mapped features are never copied whole


@dataclass(frozen=True, eq=False)
class Problem:
    """Features, labels, semantics and a split of one generalized zero-shot data set.

    Shapes: N samples, D feature dimensions, C classes, A semantic dimensions.

    Parameters
    ----------
    name: short name, used in run folders and reports.
    features: (N, D) finite numbers, kept as float32 (a float32 memory map is kept as it is).
    labels: (N,) integers in [0, C).
    semantics: (C, A) finite numbers, one row a class, no two rows alike, none all zero.
    classes: C distinct class names.
    train, test_seen, test_unseen: indices into the samples, disjoint, each without repetition.
        ``test_seen`` holds classes that occur in ``train``, ``test_unseen`` classes that do not.
    validation_unseen: class indices that play unseen in :meth:`validation`, where the data set
        publishes such a choice; all of them seen classes.
    image_shape: (height, width) where a feature vector is a picture, row by row.
    semantic_names: A distinct names of the semantic dimensions (attributes), where they have names.
    origins: for error messages: array name -> where it came from (``"data/FLO/res101.mat: features"``).
    notes: facts the source wants recorded with the run (for example which known split this is).
    backbone: how the features were made of images (:class:`gsmflow.images.backbone.BackboneSpec`), where
        that is known.

    Raises
    ------
    InputError: the first violation found, naming the array, the place and the remedy.
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

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("origins", MappingProxyType(dict(self.origins)))
        put("notes", MappingProxyType(dict(self.notes)))
        put("features", self._matrix("features", self.features))
        put("semantics", self._matrix("semantics", self.semantics))
        put("labels", self._integers("labels", self.labels))
        put("classes", tuple(str(c) for c in self.classes))
        for split in ("train", "test_seen", "test_unseen"):
            put(split, self._integers(split, getattr(self, split)))
        if self.validation_unseen is not None:
            put("validation_unseen", np.unique(self._integers("validation_unseen", self.validation_unseen)))
        self._check_classes()
        self._check_labels()
        self._check_splits()
        self._check_values()
        self._check_semantic_names()
        if self.image_shape is not None and int(np.prod(self.image_shape)) != self.features.shape[1]:
            raise InputError(
                f"{self._where('features')}: {self.features.shape[1]} dimensions do not make an image of "
                f"{self.image_shape[0]} x {self.image_shape[1]}; correct image_shape"
            )

    # -- what follows from the arrays ---------------------------------------------------------

    @property
    def feature_dim(self) -> int:
        """D, the number of feature dimensions."""
        return int(self.features.shape[1])

    @property
    def semantic_dim(self) -> int:
        """A, the number of semantic dimensions."""
        return int(self.semantics.shape[1])

    @cached_property
    def seen(self) -> NDArray[np.int64]:
        """Sorted indices of the classes that have training samples."""
        return np.unique(self.labels[self.train])

    @cached_property
    def unseen(self) -> NDArray[np.int64]:
        """Sorted indices of all other classes."""
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
        for rows in self._row_chunks(self.features):
            features.update(np.ascontiguousarray(self.features[rows], dtype="<f4").tobytes())
        return {
            "split": split.hexdigest()[:16],
            "semantics": semantics.hexdigest()[:16],
            "features": features.hexdigest()[:16],
        }

    def summary(self) -> dict[str, Any]:
        """Plain values for people and programs: counts, class names, training samples by class, notes."""
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

    def with_classes(self, names: Sequence[str], semantics: ArrayLike) -> Problem:
        """The same problem with more classes that have no samples, after all others.

        names: K new class names. semantics: (K, A).

        Raises
        ------
        InputError: a name or a vector is taken already, or the vectors do not fit.
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

    def validation(self, seed: int, *, draw: int = 0, held_out: float = 0.2) -> Problem:
        """A smaller problem cut from the training part alone, for every choice that needs scores.

        Some seen classes play unseen: the published ones where the data set names them, otherwise
        a draw of the same fraction as in the real split (at least two, leaving at least two). With
        `draw` = 1, 2, ... they are always drawn, each time others. Of every other class the fraction
        `held_out` of the samples becomes the seen test part. Truly unseen classes and all test samples
        are left out: nothing about them can leak into a choice.

        Raises
        ------
        InputError: fewer than four seen classes, or no class with two samples to hold out from.
        """
        if len(self.seen) < 4:
            raise InputError(
                f"{self._where('train')}: only {len(self.seen)} seen classes, too few to cut a validation "
                "problem from; use protocol 'last'"
            )
        rng = np.random.default_rng([seed, 0x5EED, draw] if draw else [seed, 0x5EED])
        if self.validation_unseen is not None and draw == 0:
            playing_unseen = self.validation_unseen
        else:
            wanted = round(len(self.seen) * len(self.unseen) / max(len(self.classes), 1))
            count = int(np.clip(wanted, 2, len(self.seen) - 2))
            playing_unseen = np.sort(rng.choice(self.seen, count, replace=False))
        train: list[NDArray[np.int64]] = []
        test_seen: list[NDArray[np.int64]] = []
        train_labels = self.labels[self.train]
        for label in np.setdiff1d(self.seen, playing_unseen):
            members = rng.permutation(self.train[train_labels == label])
            kept = max(1, len(members) - max(1, round(len(members) * held_out)))
            train.append(members[:kept])
            test_seen.append(members[kept:])
        if not sum(map(len, test_seen)):
            raise InputError(
                f"{self._where('train')}: every seen class has a single sample, none can be held out for "
                "validation; use protocol 'last'"
            )
        new_label = np.full(len(self.classes), -1, dtype=np.int64)
        new_label[self.seen] = np.arange(len(self.seen))
        parts = [
            np.sort(np.concatenate(train)),
            np.sort(np.concatenate(test_seen)),
            np.sort(self.train[np.isin(train_labels, playing_unseen)]),
        ]
        chosen = np.concatenate(parts)
        bounds = np.cumsum([0, *map(len, parts)])
        return Problem(
            name=f"{self.name}/validation",
            features=rows_of(self.features, chosen),
            labels=new_label[self.labels[chosen]],
            semantics=self.semantics[self.seen],
            classes=tuple(self.classes[c] for c in self.seen),
            train=np.arange(bounds[0], bounds[1]),
            test_seen=np.arange(bounds[1], bounds[2]),
            test_unseen=np.arange(bounds[2], bounds[3]),
            image_shape=self.image_shape,
            origins=self.origins,
        )

    def held_out(self, seed: int, *, draw: int = 0, fraction: float = 0.2) -> Problem:
        """The seen classes alone, `fraction` of each one's training samples as test part; none plays unseen.

        Raises
        ------
        InputError: no class has two training samples.
        """
        rng = np.random.default_rng([seed, 0x4E1D, draw])
        labels = self.labels[self.train]
        train: list[NDArray[np.int64]] = []
        test: list[NDArray[np.int64]] = []
        for label in self.seen:
            members = rng.permutation(self.train[labels == label])
            kept = max(1, len(members) - max(1, round(len(members) * fraction)))
            train.append(members[:kept])
            test.append(members[kept:])
        if not sum(map(len, test)):
            raise InputError(
                f"{self._where('train')}: every seen class has a single sample, none can be held out for "
                "validation; use protocol 'last'"
            )
        chosen = np.concatenate((np.sort(np.concatenate(train)), np.sort(np.concatenate(test))))
        count = sum(map(len, train))
        return Problem(
            name=f"{self.name}/held out",
            features=rows_of(self.features, chosen),
            labels=np.searchsorted(self.seen, self.labels[chosen]),
            semantics=self.semantics[self.seen],
            classes=tuple(self.classes[c] for c in self.seen),
            train=np.arange(count),
            test_seen=np.arange(count, len(chosen)),
            test_unseen=np.zeros(0, np.int64),
            image_shape=self.image_shape,
            origins=self.origins,
        )

    # -- checks -------------------------------------------------------------------------------

    def _where(self, array: str) -> str:
        return self.origins.get(array, array)

    def _matrix(self, name: str, value: ArrayLike) -> NDArray[np.float32]:
        try:
            array = value if isinstance(value, np.memmap) else np.asarray(value)
        except ValueError:
            raise InputError(f"{self._where(name)}: rows of different lengths, expected a matrix") from None
        if array.ndim != 2 or 0 in array.shape:
            raise InputError(
                f"{self._where(name)}: shape {array.shape}, expected a matrix with one row a "
                f"{'sample' if name == 'features' else 'class'} and at least one column"
            )
        if array.dtype == object or not (
            np.issubdtype(array.dtype, np.floating)
            or np.issubdtype(array.dtype, np.integer)
            or array.dtype == bool
        ):
            raise InputError(f"{self._where(name)}: values of type {array.dtype}, expected real numbers")
        if array.dtype == np.float32:
            return array
        with np.errstate(over="ignore"):  # beyond float32's range becomes inf, and is refused as such
            return array.astype(np.float32)

    def _integers(self, name: str, value: ArrayLike) -> NDArray[np.int64]:
        array = np.asarray(value)
        if array.size == 0:
            return np.zeros(0, dtype=np.int64)
        if array.ndim != 1:
            raise InputError(f"{self._where(name)}: shape {array.shape}, expected one dimension")
        if np.issubdtype(array.dtype, np.integer):
            return array.astype(np.int64)
        if np.issubdtype(array.dtype, np.floating):
            broken = np.flatnonzero(~(np.isfinite(array) & (array == np.round(array))))
            if broken.size:
                raise InputError(
                    f"{self._where(name)}: entry {broken[0]} is {array[broken[0]]}, expected whole numbers"
                )
            return array.astype(np.int64)
        raise InputError(f"{self._where(name)}: values of type {array.dtype}, expected whole numbers")

    def _check_classes(self) -> None:
        rows = self.semantics.shape[0]
        if len(self.classes) != rows:
            raise InputError(
                f"{self._where('semantics')}: {rows} rows for {len(self.classes)} class names; "
                "every class needs one semantic vector"
            )
        seen: dict[str, int] = {}
        for index, name in enumerate(self.classes):
            if not name.strip():
                raise InputError(f"{self._where('classes')}: class {index} has an empty name")
            if name in seen:
                raise InputError(
                    f"{self._where('classes')}: classes {seen[name]} and {index} are both named '{name}'"
                )
            seen[name] = index

    def _check_labels(self) -> None:
        samples, count = self.features.shape[0], len(self.classes)
        if len(self.labels) != samples:
            raise InputError(
                f"{self._where('labels')}: {len(self.labels)} labels for {samples} samples "
                f"in {self._where('features')}"
            )
        outside = np.flatnonzero((self.labels < 0) | (self.labels >= count))
        if outside.size:
            raise InputError(
                f"{self._where('labels')}: sample {outside[0]} has label {self.labels[outside[0]]} "
                f"(counted from 0), outside the {count} classes"
            )

    def _check_splits(self) -> None:
        samples = self.features.shape[0]
        owner = np.full(samples, -1, dtype=np.int8)
        names = ("train", "test_seen", "test_unseen")
        for code, name in enumerate(names):
            part = getattr(self, name)
            outside = np.flatnonzero((part < 0) | (part >= samples))
            if outside.size:
                raise InputError(
                    f"{self._where(name)}: entry {outside[0]} points at sample {part[outside[0]]} "
                    f"(counted from 0), but there are {samples} samples"
                )
            taken = np.flatnonzero(owner[part] >= 0)
            if taken.size:
                sample = part[taken[0]]
                raise InputError(
                    f"{self._where(name)}: sample {sample} (counted from 0) is also in "
                    f"{self._where(names[owner[sample]])}; the parts of a split must not overlap"
                )
            owner[part] = code
            if len(np.unique(part)) != len(part):
                values, counts = np.unique(part, return_counts=True)
                raise InputError(
                    f"{self._where(name)}: sample {values[counts > 1][0]} (counted from 0) is listed twice"
                )
        if not len(self.train):
            raise InputError(f"{self._where('train')}: no training samples")
        if len(self.seen) < 2:
            raise InputError(f"{self._where('train')}: a single seen class, at least two are needed")
        wrong = np.flatnonzero(~np.isin(self.labels[self.test_seen], self.seen))
        if wrong.size:
            label = self.labels[self.test_seen[wrong[0]]]
            raise InputError(
                f"{self._where('test_seen')}: class {label} ('{self.classes[label]}') is tested as seen "
                f"but has no sample in {self._where('train')}"
            )
        wrong = np.flatnonzero(np.isin(self.labels[self.test_unseen], self.seen))
        if wrong.size:
            label = self.labels[self.test_unseen[wrong[0]]]
            raise InputError(
                f"{self._where('test_unseen')}: class {label} ('{self.classes[label]}') is tested as unseen "
                f"but has samples in {self._where('train')}"
            )
        if self.validation_unseen is not None:
            known = np.isin(self.validation_unseen, self.seen)
            if not known.all():
                raise InputError(
                    f"{self._where('validation_unseen')}: class {self.validation_unseen[~known][0]} has no "
                    "training samples, so it cannot play unseen in validation"
                )
            if not 1 <= len(self.validation_unseen) <= len(self.seen) - 2:
                raise InputError(
                    f"{self._where('validation_unseen')}: {len(self.validation_unseen)} of {len(self.seen)} "
                    "seen classes play unseen; at least one must, and at least two must stay seen"
                )

    def _check_values(self) -> None:
        for name, unit in (("features", "sample"), ("semantics", "class")):
            matrix: NDArray[np.float32] = getattr(self, name)
            for rows in self._row_chunks(matrix):
                finite = np.isfinite(matrix[rows])
                if not finite.all():
                    row, column = np.argwhere(~finite)[0]
                    raise InputError(
                        f"{self._where(name)}: {matrix[rows][row, column]} at {unit} {rows.start + row}, "
                        f"dimension {column} (counted from 0); values must be finite float32, so remove or "
                        "replace it"
                    )
        zero = np.flatnonzero(~self.semantics.any(axis=1))
        if zero.size:
            raise InputError(
                f"{self._where('semantics')}: class {zero[0]} ('{self.classes[zero[0]]}') is all zeros; "
                "describe it or leave it out"
            )
        first: dict[bytes, int] = {}
        for index, row in enumerate(self.semantics + 0.0):  # + 0.0 makes -0.0 equal to 0.0
            twin = first.setdefault(row.tobytes(), index)
            if twin != index:
                raise InputError(
                    f"{self._where('semantics')}: classes {twin} ('{self.classes[twin]}') and {index} "
                    f"('{self.classes[index]}') have the same vector and cannot be told apart"
                )

    def _check_semantic_names(self) -> None:
        if self.semantic_names is None:
            return
        object.__setattr__(self, "semantic_names", tuple(str(name) for name in self.semantic_names))
        names = self.semantic_names
        if len(names) != self.semantic_dim or len(set(names)) != len(names):
            raise InputError(
                f"{self._where('semantics')}: {len(set(names))} distinct names for {self.semantic_dim} "
                "dimensions; name every dimension once, or none"
            )

    @staticmethod
    def _row_chunks(matrix: NDArray[np.float32]) -> list[slice]:
        rows = max(1, _CHUNK // max(1, matrix.shape[1]))
        return [slice(start, start + rows) for start in range(0, matrix.shape[0], rows)]
