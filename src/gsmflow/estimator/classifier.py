"""Zero-shot classifiers as scikit-learn estimators."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from gsmflow.base.errors import InputError
from gsmflow.compute.devices import resolve_device
from gsmflow.estimator.arguments import bound_semantics, labels_of, refuse_mixed, seed_of, whole_number
from gsmflow.estimator.conversions import (
    checked,
    checked_features,
    given_again,
    more_classes,
    problem_of,
    recipe_of,
)
from gsmflow.estimator.log import tell
from gsmflow.estimator.persistence import SavedEstimator, read_estimator, write_estimator
from gsmflow.estimator.picture_labels import label_images
from gsmflow.learning.journal import Recorder
from gsmflow.protocol import fitting
from gsmflow.runs.fitted import FittedRun
from gsmflow.runs.folder import GIVEN, Request
from gsmflow.runs.synthesis import Synthesizer


class ZeroShotClassifier(ClassifierMixin, BaseEstimator):
    """Classifier for classes seen in training and classes known by their semantics alone, by any method.

    Parameters
    ----------
    method : str
        One of `gsmflow methods`, or one that was registered. ``"auto"`` stacks those that validation finds best.
    preset : str
        Name of a preset or path of a TOML file.
    options : Mapping[str, Any] | None
        Overrides of single options, such as ``{"gsmflow.epochs": 50, "head.calibrate": False}``.
    protocol : str
        ``"validated"`` chooses training length, head epochs and the bias on unseen classes on a validation
        problem cut from the training data, then fits on all of it; ``"last"`` uses the whole budget and chooses
        nothing.
    random_state : int | numpy.random.RandomState | None
        Seed, from 0 to 4294967295. With None or a RandomState every fit draws another.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Attributes
    ----------
    classes_ : NDArray[Any]
        (C,) all classes, seen and unseen, sorted.
    semantics_ : NDArray[np.float32]
        (C, A) in their order.
    seen_classes_, unseen_classes_ : NDArray[Any]
        The two kinds.
    n_features_in_ : int
        D.
    feature_names_in_ : NDArray[Any]
        (D,) names of the columns, where X was a frame with names.
    choice_ : Choice | None
        What the protocol chose.
    metrics_ : dict[str, Any]
        What ``metrics.json`` holds; scores are None unless the run had a test set.
    folder_ : Path
        The run folder, of an estimator that was loaded.
    seed_ : int
        What `random_state` stood for.

    Examples
    --------
    >>> from gsmflow.sources import synthetic
    >>> problem, _ = synthetic.make()
    >>> names = np.array(problem.classes)
    >>> X, y = problem.features[problem.train], names[problem.labels[problem.train]]
    >>> model = ZeroShotClassifier("lda").fit(X, y, semantics=dict(zip(names, problem.semantics)))
    >>> model.predict(problem.features[problem.test_unseen]).shape
    (600,)
    """

    n_features_in_: int
    feature_names_in_: NDArray[Any]
    folder_: Path

    def __init__(
        self,
        method: str = "auto",
        preset: str = "best",
        options: Mapping[str, Any] | None = None,
        protocol: str = "validated",
        random_state: Any = 0,
        device: str = "auto",
    ) -> None:
        self.method = method
        self.preset = preset
        self.options = options
        self.protocol = protocol
        self.random_state = random_state
        self.device = device

    def fit(
        self, X: ArrayLike, y: ArrayLike, *, semantics: Any = None, classes: ArrayLike | None = None
    ) -> Self:
        """Learn from features and labels of seen classes, and from the semantics of all classes.

        Parameters
        ----------
        X : ArrayLike
            (N, D) finite features.
        y : ArrayLike
            (N,) the class of each sample.
        semantics : Any
            One vector a class, classes without samples included. A dictionary {class: vector} and a pandas frame
            whose index holds the classes are bound by name. Rows of an array (C, A), and of a frame without such an
            index, are those of `classes`. A polars frame never has an index: give ``frame.drop("name")`` and
            ``classes=frame["name"]``. Required.
        classes : ArrayLike | None
            (C,) the classes of the rows of `semantics`, or those to take of it by name. Without it, all that
            `semantics` names; or the sorted labels of y, which then must be as many as there are rows.

        Raises
        ------
        ValueError
            The arguments do not fit together; [`InputError`][gsmflow.base.errors.InputError] is one.
        """
        if y is not None:
            refuse_mixed(y, "y")
        features, labels = checked(self, X, y, reset=True)
        labels = labels_of(labels, "y")
        if semantics is None:
            raise InputError("semantics: missing; give one vector a class, (classes, dimensions)")
        bound = bound_semantics(semantics, classes, labels)
        if self.protocol not in ("validated", "last"):
            raise InputError(f"protocol = '{self.protocol}': expected 'validated' or 'last'")
        recipe, seed = recipe_of(self.method, self.preset, self.options), seed_of(self.random_state)
        device = resolve_device(self.device)
        order = np.argsort(bound.classes, kind="stable")
        names, vectors = bound.classes[order], bound.vectors[order]
        columns = getattr(self, "feature_names_in_", None)
        problem = problem_of(features, labels, names, vectors, bound.names, columns)
        request = Request(GIVEN, None, None, self.protocol, False, seed)
        how: dict[str, Any] = {"protocol": self.protocol, "oracle": False, "seed": seed}
        outcome = fitting.run(problem, recipe, **how, device=device, recorder=(recorder := Recorder()))
        self._take(FittedRun.of(request, problem, recipe, outcome, recorder, device), names)
        tell(problem, self.metrics_)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (N, C) in the order of ``classes_``."""
        classifier = self._fitted().classifier
        features = classifier.transform.narrowed(checked_features(self, X))
        return classifier.probabilities(features)[:, self._order]

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Logits (N, C) in the order of ``classes_``; of two classes (N,), the second's above the first's."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class of each sample, (N,), labels as given to
        [`fit`][gsmflow.estimator.classifier.ZeroShotClassifier.fit].
        """
        best = self._logits(X).argmax(axis=1)
        return self.classes_[best]

    def synthesize(
        self, class_: Any, n: int = 1, *, seed: int = 0
    ) -> NDArray[np.float32] | NDArray[np.float64]:
        """Synthetic features (n, D) of a class, in the space of X; the same seed gives the same ones.

        They are float64 if X was and float32 would lose digits. With a projection (``features.project``) they are
        mapped back to D dimensions, and vary in the projected ones alone.

        Raises
        ------
        ValueError
            Unknown class, n below 1, or a method that synthesizes no features.
        """
        run = self._fitted()
        count, seed = whole_number(n, "n", 1), whole_number(seed, "seed")
        listed = self._labels().tolist()
        if np.ndim(class_) or class_ not in listed:
            raise InputError(f"class {class_!r}: not among the {len(listed)} classes")
        if self._generator is None:
            self._generator = Synthesizer.of(run)
        return self._generator.features(listed.index(class_), count, seed)

    def add_classes(
        self,
        classes: ArrayLike,
        semantics: Any,
        *,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        data_root: str | Path = "data",
    ) -> Self:
        """A new estimator that knows more classes, by their semantics alone. This one is not changed.

        The generator is not trained again: it synthesizes features of the new classes, and the head is fitted anew.

        Parameters
        ----------
        classes : ArrayLike
            (K,) new labels.
        semantics : Any
            (K, A), or (A,) for a single class; or as in
            [`fit`][gsmflow.estimator.classifier.ZeroShotClassifier.fit] by name.
        X, y : ArrayLike | None
            The samples that [`fit`][gsmflow.estimator.classifier.ZeroShotClassifier.fit] was given. An estimator
            remembers them, and so does its folder unless it was saved with ``keep_data=False``.
        data_root : str | Path
            The folder that holds the named data sets, for a run of one of them.

        Raises
        ------
        ValueError
            A class is known already, the semantics do not fit, or X and y are needed.
        """
        run = self._fitted()
        labels, vectors = more_classes(self._labels(), classes, semantics, self.semantics_.shape[1])
        if (X is None) != (y is None):
            raise InputError("X and y: give both or neither")
        if X is not None:
            run = given_again(run, self._labels(), *checked(self, X, y, reset=False))
        names = [str(label) for label in labels[-len(vectors) :].tolist()]
        where, device = Path(data_root), resolve_device(self.device)
        new, notes = run.with_classes(names, vectors, data_root=where, device=device)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        more = copy(self)
        more.__dict__.pop("folder_", None)
        more._take(new, labels)
        return more

    def predict_images(
        self,
        images: str | Path | Iterable[str | Path],
        *,
        top: int = 1,
        batch_size: int = 32,
        backbone: str | None = None,
        weights: str | None = None,
    ) -> Any:
        """Label pictures with the backbone of the run, for runs that were trained on images.

        Parameters
        ----------
        images : str | Path | Iterable[str | Path]
            A folder with all that lies in it, one file, or a list of files.
        top : int
            Classes listed for each.
        batch_size : int
            Images the backbone takes at a time.
        backbone, weights : str | None
            Where its files lie now, if they were moved.

        Returns
        -------
        polars.DataFrame
            A row an image, in the order given: ``sample`` (its path), ``class``, ``unseen_class``,
            ``unseen_probability``, ``probability``, ``class_2``, ... as `gsmflow predict` writes them. Where an image
            cannot be read ``unreadable`` holds the reason, and the other columns are empty.

        Raises
        ------
        ValueError
            The run was not trained on images, its backbone is missing, or no image can be read.
        """
        return label_images(
            self._fitted(),
            images,
            self._labels(),
            top=whole_number(top, "top", 1),
            batch_size=whole_number(batch_size, "batch_size", 1),
            device=resolve_device(self.device),
            moved=(backbone, weights),
        )

    def save(self, folder: str | Path, *, keep_data: bool = True) -> None:
        """Write the fitted estimator as a run folder of safetensors, JSON and TOML files. Loading it executes no code.

        Parameters
        ----------
        folder : str | Path
            New, empty, or of an estimator saved before.
        keep_data : bool
            Keep the samples of [`fit`][gsmflow.estimator.classifier.ZeroShotClassifier.fit] in it too, which adding
            classes needs.

        Raises
        ------
        ValueError
            The folder holds another run, or cannot be written to.
        """
        names = tuple(str(name) for name in getattr(self, "feature_names_in_", ()))
        saved = SavedEstimator(self.get_params(), self._fitted(), self._labels(), names)
        write_estimator(saved, Path(folder), keep_data=keep_data)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The estimator in a run folder: of [`save`][gsmflow.estimator.classifier.ZeroShotClassifier.save], of
        `gsmflow train` or any other command, or of an estimator of version 0.1.0.

        Raises
        ------
        ValueError
            The folder holds no finished run, or its files are damaged or do not fit together.
        """
        saved = read_estimator(Path(folder))
        model = cls(**saved.parameters)
        model.folder_ = Path(folder)
        model._take(saved.run, saved.labels)
        model.n_features_in_ = saved.run.classifier.transform.in_dim
        if saved.feature_names:
            model.feature_names_in_ = np.array(saved.feature_names, dtype=object)
        return model

    def _take(self, run: FittedRun, labels: NDArray[Any]) -> None:
        """Become the estimator of a run whose classes, in its own order, have these labels (C,)."""
        self._run, self._order, self._generator = run, np.argsort(labels, kind="stable"), None
        self.classes_, self.semantics_ = labels[self._order], run.semantics[self._order]
        unseen = np.isin(self._order, run.classifier.unseen)
        self.seen_classes_, self.unseen_classes_ = self.classes_[~unseen], self.classes_[unseen]
        self.choice_, self.metrics_, self.seed_ = run.choice, dict(run.metrics), run.request.seed

    def _labels(self) -> NDArray[Any]:
        """All classes (C,) in the order of the run."""
        return self.classes_[np.argsort(self._order)]

    def _fitted(self) -> FittedRun:
        check_is_fitted(self, "_run")
        return self._run

    def _logits(self, X: ArrayLike) -> NDArray[np.float32]:
        classifier = self._fitted().classifier
        return classifier.logits(classifier.transform.narrowed(checked_features(self, X)))[:, self._order]

    def __getstate__(self) -> dict[str, Any]:
        """The state without the generator, which is built again from the weights when it is needed."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[misc]
        return state | {"_generator": None} if "_generator" in state else state
