"""GSMFlow as a scikit-learn estimator."""

from __future__ import annotations

from copy import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from gsmflow.base.errors import InputError
from gsmflow.base.options import from_mapping
from gsmflow.compute.devices import resolve_device
from gsmflow.data.problem import Problem
from gsmflow.files.atomic import json_bytes, make_folder, read_json, write_bytes, write_checksums
from gsmflow.files.checksums import check
from gsmflow.files.tensors import read_tensors, write_tensors
from gsmflow.flow.model import GSMFlow
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.learning.journal import Recorder
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.protocol.choice import Choice
from gsmflow.protocol.fitting import refit, run
from gsmflow.recipes.recipe import Recipe, make_recipe


class GSMFlowClassifier(ClassifierMixin, BaseEstimator):
    """Classifier for classes seen in training and classes known by their semantics alone.

    Parameters
    ----------
    preset : str
        Name of a preset or path of a TOML file.
    options : dict[str, Any] | None
        Overrides of single options, such as ``{"gsmflow.epochs": 50, "head.calibrate": False}``.
    protocol : str
        ``"validated"`` chooses training length, head epochs and the bias on unseen classes on a validation
        problem cut from the training data, then fits on all of it; ``"last"`` uses the whole budget and chooses
        nothing.
    random_state : int
        Seed, a non-negative integer.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Attributes
    ----------
    classes_ : NDArray
        (C,) all classes, seen and unseen, sorted.
    semantics_ : NDArray[np.float32]
        (C, A) their semantics, in the same order.
    seen_classes_ : NDArray
        The classes that had samples in `fit`.
    unseen_classes_ : NDArray
        All other classes.
    n_features_in_ : int
        D, dimensions of the features.
    choice_ : Choice | None
        What the protocol chose; None under ``"last"``.

    Examples
    --------
    >>> import numpy as np
    >>> from gsmflow.sources import synthetic
    >>> problem, _ = synthetic.make()
    >>> names = np.array(problem.classes)
    >>> model = GSMFlowClassifier(protocol="last", options={"gsmflow.epochs": 40, "gsmflow.hidden": 64})
    >>> X, y = problem.features[problem.train], names[problem.labels[problem.train]]
    >>> model = model.fit(X, y, semantics=problem.semantics, classes=names)
    >>> model.predict(problem.features[problem.test_unseen]).shape
    (600,)
    >>> model.synthesize("class 20", 3).shape
    (3, 32)
    """

    n_features_in_: int
    _training: tuple[NDArray[np.float32], NDArray[Any]] | None

    def __init__(
        self,
        preset: str = "best",
        options: dict[str, Any] | None = None,
        protocol: str = "validated",
        random_state: int = 0,
        device: str = "auto",
    ) -> None:
        self.preset = preset
        self.options = options
        self.protocol = protocol
        self.random_state = random_state
        self.device = device

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        semantics: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> GSMFlowClassifier:
        """Learn from features X (N, D) and labels y (N,).

        Parameters
        ----------
        X : ArrayLike
            (N, D) finite features.
        y : ArrayLike
            (N,) the class of each sample.
        semantics : ArrayLike | None
            (C, A) one vector a class, those without samples included. Required.
        classes : ArrayLike | None
            (C,) the labels of the rows of `semantics`; without it, the sorted labels of y, which then must
            be as many as there are rows.

        Raises
        ------
        ValueError
            The arguments do not fit together; [`InputError`][gsmflow.base.errors.InputError] is one.
        """
        features, labels = _checked(self, X, y)
        if semantics is None:
            raise InputError("semantics: missing; give one vector a class, (classes, dimensions)")
        vectors = np.asarray(semantics, dtype=np.float32)
        names = np.unique(labels) if classes is None else np.asarray(classes)
        if names.ndim != 1 or vectors.ndim != 2 or len(names) != len(vectors):
            raise InputError(
                f"semantics: shape {vectors.shape}, expected one row for each of {names.size} classes"
            )
        order = np.argsort(names, kind="stable")
        self.classes_, self.semantics_ = names[order], vectors[order]
        if len(np.unique(self.classes_)) != len(self.classes_):
            raise InputError("classes: a class is listed twice")
        unknown = ~np.isin(labels, self.classes_)
        if unknown.any():
            raise InputError(f"y: label {labels[unknown][:1].tolist()[0]!r} is not among classes")
        if self.protocol not in ("validated", "last"):
            raise InputError(f"protocol = '{self.protocol}': expected 'validated' or 'last'")
        recipe, problem = self._recipe(), self._problem(features, labels)
        outcome = run(
            problem,
            recipe,
            protocol=self.protocol,
            oracle=False,
            seed=self.random_state,
            device=resolve_device(self.device),
            recorder=Recorder(),
        )
        assert isinstance(recipe.options, GSMFlowOptions)
        self.seen_classes_ = self.classes_[problem.seen]
        self.unseen_classes_ = self.classes_[problem.unseen]
        self.choice_ = outcome.choice
        self._classifier = outcome.classifier
        self._training = features, labels
        self._method_options = recipe.options
        self._generator = _generator(recipe.options, outcome.weights)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (N, C) in the order of ``classes_``."""
        return self._fitted().probabilities(self._features(X))

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Logits (N, C) in the order of ``classes_``."""
        return self._fitted().logits(self._features(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class of each sample, (N,), labels as given to
        [`fit`][gsmflow.estimator.GSMFlowClassifier.fit].
        """
        best = self.decision_function(X).argmax(axis=1)
        return self.classes_[best]

    def synthesize(
        self, class_: Any, n: int = 1, *, seed: int = 0
    ) -> NDArray[np.float32] | NDArray[np.float64]:
        """Synthetic features (n, D) of a class, in the space of X; float64 where X was, and float32 would lose digits.

        With a projection (``features.project``) they lie in the projected subspace, mapped back.

        Raises
        ------
        ValueError
            Unknown class, or n below 1.
        """
        classifier = self._fitted()
        position = np.flatnonzero(self.classes_ == class_)
        if not len(position):
            raise InputError(f"class {class_!r}: not among the {len(self.classes_)} classes")
        if n < 1:
            raise InputError(f"n = {n}: expected at least 1")
        semantics = torch.from_numpy(self.semantics_[position])
        made = self._generator.sample(semantics, n, seed, "synthesize", int(position[0]))
        return classifier.transform.inverse(made.numpy())

    def add_classes(
        self,
        classes: ArrayLike,
        semantics: ArrayLike,
        *,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
    ) -> GSMFlowClassifier:
        """An estimator that knows more classes, by their semantics alone; this one stays as it is.

        The generator is not trained again: features of the new classes are synthesized, and the head is
        fitted once more.

        Parameters
        ----------
        classes : ArrayLike
            (K,) new labels.
        semantics : ArrayLike
            (K, A), or (A,) for a single class.
        X, y : ArrayLike | None
            The samples that [`fit`][gsmflow.estimator.GSMFlowClassifier.fit] was given. An estimator
            remembers them, but [`save`][gsmflow.estimator.GSMFlowClassifier.save] does not keep
            them, so a loaded one needs them.

        Raises
        ------
        ValueError
            A class is known already, the semantics do not fit, or X and y are needed.
        """
        classifier = self._fitted()
        names = np.atleast_1d(np.asarray(classes))
        vectors = np.atleast_2d(np.asarray(semantics, dtype=np.float32))
        if vectors.shape != (len(names), self.semantics_.shape[1]):
            raise InputError(
                f"semantics: shape {vectors.shape}, expected ({len(names)}, {self.semantics_.shape[1]})"
            )
        known = names[np.isin(names, self.classes_)]
        if len(known) or len(np.unique(names)) != len(names):
            raise InputError("classes: a class is listed twice, or known already")
        if (X is None) != (y is None):
            raise InputError("X and y: give both or neither")
        if X is not None:
            self._training = _checked(self, X)[0], np.asarray(y)
        elif self._training is None:
            raise InputError("X and y: a loaded estimator needs the samples it was fitted on")
        more = copy(self)
        joined = np.concatenate((self.classes_, names))
        order = np.argsort(joined, kind="stable")
        more.classes_ = joined[order]
        more.semantics_ = np.vstack((self.semantics_, vectors))[order]
        offset = classifier.transform.offset
        problem = more._problem(*self._training).relative_to(offset)
        seen = more.classes_[problem.seen]
        if not np.array_equal(seen, self.seen_classes_):
            raise InputError("y: other classes than this estimator was fitted on")
        more.unseen_classes_ = more.classes_[problem.unseen]
        more._classifier = refit(
            problem,
            self._recipe(),
            self.choice_,
            self._generator.state_dict(),
            classifier.transform,
            seed=self.random_state,
            device=resolve_device(self.device),
        )
        return more

    def save(self, folder: str | Path) -> None:
        """Keep the fitted estimator in a folder: safetensors and JSON, nothing that executes on load."""
        classifier, path = self._fitted(), Path(folder)
        make_folder(path)
        labels = self.classes_.tolist()
        if not all(isinstance(label, (str, int, float, bool)) for label in labels):
            raise InputError("classes: only text and number labels can be saved")
        write_tensors(path / "head.safetensors", classifier.state())
        weights = {name: tensor.clone() for name, tensor in self._generator.state_dict().items()}
        write_tensors(path / "model.safetensors", weights | {"semantics": torch.from_numpy(self.semantics_)})
        described = json_bytes(
            {
                "parameters": self.get_params(),
                "labels": labels,
                "dtype": self.classes_.dtype.str,
                "seen": np.isin(self.classes_, self.seen_classes_).tolist(),
                "method": self._method_options.as_dict(),
                "choice": asdict(self.choice_) if self.choice_ else None,
            }
        )
        files = ("head.safetensors", "model.safetensors")
        write_checksums(path, files, {"estimator.json": described})
        write_bytes(path / "estimator.json", described)

    @classmethod
    def load(cls, folder: str | Path) -> GSMFlowClassifier:
        """The estimator that [`save`][gsmflow.estimator.GSMFlowClassifier.save] kept.

        Raises
        ------
        ValueError
            The folder holds none, or its files are damaged or do not fit together.
        """
        path = Path(folder)
        kept = read_json(check(path / "estimator.json"))
        try:
            model = cls(**kept["parameters"])
            model.classes_ = np.array(kept["labels"], dtype=np.dtype(kept["dtype"]))
            seen = np.array(kept["seen"], dtype=bool)
            choice = Choice(**kept["choice"]) if kept["choice"] else None
            options = from_mapping(GSMFlowOptions, kept["method"], str(path / "estimator.json"))
        except (KeyError, TypeError) as error:
            raise InputError(f"{path / 'estimator.json'}: not written by save ({error})") from None
        state, _ = read_tensors(path / "head.safetensors")
        weights, _ = read_tensors(path / "model.safetensors")
        model.seen_classes_, model.unseen_classes_ = model.classes_[seen], model.classes_[~seen]
        model.semantics_ = weights.pop("semantics").numpy()
        model.choice_, model._training = choice, None
        model._classifier = FittedClassifier.from_state(
            state, tuple(map(str, model.classes_)), str(path / "head.safetensors")
        )
        model._method_options = options
        model._generator = _generator(options, weights)
        model.n_features_in_ = model._classifier.transform.in_dim
        return model

    def _recipe(self) -> Recipe:
        overrides = [f"{key}={value}" for key, value in (self.options or {}).items()]
        return make_recipe("gsmflow", self.preset, overrides)

    def _problem(self, features: NDArray[np.float32], labels: NDArray[Any]) -> Problem:
        """Features (N, D) and labels (N,) as training samples, over the classes of this estimator."""
        position = np.searchsorted(self.classes_, labels)
        return Problem(
            name="estimator",
            features=features,
            labels=position,
            semantics=self.semantics_,
            classes=tuple(str(c) for c in self.classes_),
            train=np.arange(len(features)),
            test_seen=np.zeros(0, np.int64),
            test_unseen=np.zeros(0, np.int64),
            origins={"features": "X", "labels": "y"},
        )

    def _fitted(self) -> FittedClassifier:
        check_is_fitted(self, "_classifier")
        return self._classifier

    def _features(self, X: ArrayLike) -> NDArray[np.float32]:
        self._fitted()
        return self._fitted().transform.narrowed(_checked(self, X)[0])


_KINDS = [np.float64, np.float32]  # float64 where digits would be lost; other types become float64


def _checked(
    model: BaseEstimator, X: ArrayLike, y: ArrayLike | None = None
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """scikit-learn's checks of X (and y): finite, two-dimensional, as many features as in fit."""
    validate: Any = validate_data  # scikit-learn's own annotations do not admit arrays
    if y is None:
        return validate(model, X, dtype=_KINDS, reset=False), np.zeros(0)
    return validate(model, X, y, dtype=_KINDS)


def _generator(options: GSMFlowOptions, weights: dict[str, torch.Tensor]) -> GSMFlow:
    """The trained flow in float32 on the CPU."""
    return GSMFlow.from_state(weights, options.clamp)
