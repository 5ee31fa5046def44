"""Conversions between the arguments of an estimator and the problem, labels and recipe of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.estimator.arguments import bound_semantics, kind_of, labels_of
from gsmflow.files.feature_store import is_mapped
from gsmflow.recipes.recipe import Recipe, make_recipe
from gsmflow.runs.fitted import FittedRun
from gsmflow.runs.folder import GIVEN

_KINDS = [np.float64, np.float32]  # float64 where digits would be lost; other types become float64


def checked_features(model: BaseEstimator, X: ArrayLike) -> NDArray[Any]:
    """scikit-learn's checks of X (N, D) to be classified: finite, and of as many features as in fit."""
    validate: Any = validate_data  # scikit-learn's own annotations do not admit arrays
    return validate(model, X, dtype=_KINDS, reset=False)


def checked(
    model: BaseEstimator, X: ArrayLike, y: ArrayLike | None, *, reset: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """scikit-learn's checks of X and y; a copy of the features (N, D), and labels (N,)."""
    validate: Any = validate_data
    features, labels = validate(model, X, y, dtype=_KINDS, reset=reset)
    if np.may_share_memory(features, X) and not (is_mapped(features) and not features.flags.writeable):
        features = features.copy()
    return features, labels


def problem_of(
    features: NDArray[Any],
    labels: NDArray[Any],
    classes: NDArray[Any],
    semantics: NDArray[np.float32],
    dimensions: tuple[str, ...] | None,
    columns: Iterable[str] | None = None,
) -> Problem:
    """Features (N, D) and labels (N,) as training samples, over classes (C,) with semantics (C, A).

    Parameters
    ----------
    features : NDArray[Any]
        (N, D) float32 or float64.
    labels : NDArray[Any]
        (N,) classes of the samples.
    classes : NDArray[Any]
        (C,) all classes.
    semantics : NDArray[np.float32]
        (C, A) vectors of the classes.
    dimensions : tuple[str, ...] | None
        Names of the A dimensions.
    columns : Iterable[str] | None
        Names of the D features.

    Raises
    ------
    InputError
        Labels and classes do not fit together, or there is a single seen class.
    """
    if kind_of(labels) != kind_of(classes):
        raise InputError(f"y: labels are {kind_of(labels)}, classes {kind_of(classes)}; give one kind")
    place = {label: index for index, label in enumerate(classes.tolist())}
    listed = labels.tolist()
    unknown = next((label for label in listed if label not in place), None)
    if unknown is not None:
        across = (
            "; they are among the columns, so give it transposed"
            if str(unknown) in (dimensions or ())
            else ""
        )
        raise InputError(f"y: label {unknown!r} is not among classes{across}")
    if len(set(listed)) < 2:
        raise InputError(f"y: one class, {listed[0]!r}, in {len(listed)} sample(s); at least two are needed")
    return Problem(
        name=GIVEN,
        features=features,
        labels=np.array([place[label] for label in listed]),
        semantics=semantics,
        classes=tuple(str(label) for label in classes.tolist()),
        train=np.arange(len(features)),
        test_seen=np.zeros(0, np.int64),
        test_unseen=np.zeros(0, np.int64),
        semantic_names=dimensions,
        feature_names=None if columns is None else tuple(map(str, columns)),
        origins={"features": "X", "labels": "y", "train": "y"},
    )


def more_classes(
    known: NDArray[Any], classes: Any, semantics: Any, dimensions: int
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """The known labels followed by the new ones, (C + K,), and the semantics (K, A) of the new ones.

    Raises
    ------
    InputError
        A class is known already or listed twice, or the semantics do not fit.
    """
    names = labels_of([classes] if np.ndim(classes) == 0 else classes, "classes")
    if len(names) == 1 and not hasattr(semantics, "columns") and np.ndim(semantics) == 1:
        semantics = np.asarray(semantics)[None]
    taken = set(known.tolist())
    if len(set(names.tolist())) < len(names) or any(name in taken for name in names.tolist()):
        raise InputError("classes: a class is listed twice, or known already")
    vectors = bound_semantics(semantics, names, names).vectors
    if vectors.shape[1] != dimensions:
        raise InputError(f"semantics: shape {vectors.shape}, expected ({len(names)}, {dimensions})")
    return _joined(known, names), vectors


def _joined(labels: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
    """Labels (C + K,), of the type of the first (C,) ones.

    Raises
    ------
    InputError
        More labels (K,) are not of that type.
    """
    if kind_of(more) != kind_of(labels):
        raise InputError(
            f"classes: {more.tolist()[0]!r} is of the kind '{kind_of(more)}', expected '{kind_of(labels)}' as all "
            "classes known already"
        )
    if kind_of(labels) == "text":
        return np.concatenate((labels, more.astype(labels.dtype if labels.dtype == object else str)))
    cast = more.astype(labels.dtype)
    if not np.array_equal(cast, more):
        raise InputError(
            f"classes: {more.tolist()} do not fit into {labels.dtype}, the type of the classes known"
        )
    return np.concatenate((labels, cast))


def given_again(
    run: FittedRun, classes: NDArray[Any], features: NDArray[Any], labels: NDArray[Any]
) -> FittedRun:
    """A run with other samples, features (N, D) and labels (N,), than those it holds.

    Parameters
    ----------
    run : FittedRun
        The run, with its own data or without.
    classes : NDArray[Any]
        (C,) labels in the order of the run.
    features : NDArray[np.float32]
        (N, D) samples.
    labels : NDArray[Any]
        (N,) their classes.

    Raises
    ------
    InputError
        They are of other classes than the run was fitted on.
    """
    first = len(classes) - len(run.added)
    given = labels_of(labels, "y")
    problem = problem_of(features, given, classes[:first], run.semantics[:first], run.semantic_names)
    if not np.array_equal(problem.unseen, run.classifier.unseen[run.classifier.unseen < first]):
        raise InputError("y: other classes than this estimator was fitted on")
    problem = problem.relative_to(run.classifier.transform.offset)
    read = run.read or {}
    problem = replace(problem, backbone=read.get("backbone"), semantic_origin=read.get("semantic_origin"))
    request = replace(run.request, problem=GIVEN, features=None, semantics=None)
    return replace(run, problem=problem, request=request)


def recipe_of(method: str, preset: str, options: Mapping[str, Any] | None) -> Recipe:
    """The recipe that the parameters of an estimator describe.

    Raises
    ------
    InputError
        An unknown name, or a value out of range.
    """
    if options is not None and not isinstance(options, Mapping):
        raise InputError(f"options: {type(options).__name__}, expected a dictionary of names and values")
    return make_recipe(method, preset, [f"{key}={value}" for key, value in (options or {}).items()])
