"""Estimators as run folders."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.recipes.recipe import Recipe
from gsmflow.runs.fitted import OLD, FittedRun, read_run
from gsmflow.runs.folder import CONFIG
from gsmflow.runs.old_estimators import read_old_estimator


@dataclass(frozen=True)
class SavedEstimator:
    """An estimator as a run folder holds it.

    Parameters
    ----------
    parameters : dict[str, Any]
        Those of its constructor.
    run : FittedRun
        What was fitted.
    labels : NDArray[Any]
        (C,) of the classes in the order of the run, of the type they were given in.
    feature_names : tuple[str, ...]
        Names of the D columns; empty where they have none.
    """

    parameters: dict[str, Any]
    run: FittedRun
    labels: NDArray[Any]
    feature_names: tuple[str, ...] = ()


def read_estimator(folder: Path) -> SavedEstimator:
    """The estimator in any run folder, or in one that an estimator of version 0.1.0 saved.

    Raises
    ------
    InputError
        The folder holds no finished run, or its files are damaged or do not fit together.
    """
    if (folder / OLD).exists():
        run, parameters, dtype = read_old_estimator(folder)
        return SavedEstimator({**parameters, "method": "gsmflow"}, run, _labels(run, dtype))
    run = read_run(folder)
    table, data = run.config.get("estimator"), run.config.get("data", {})
    parameters = {
        "method": run.recipe.method.name,
        "preset": run.recipe.preset,
        "options": _all_options(run.recipe) if table is None else table.get("options"),
        "protocol": run.request.protocol,
        "random_state": run.request.seed,
        "device": (table or {}).get("device", "auto"),
    }
    return SavedEstimator(
        parameters, run, _labels(run, data.get("labels", "")), tuple(data.get("feature_names", ()))
    )


def write_estimator(saved: SavedEstimator, folder: Path, *, keep_data: bool) -> None:
    """Write a fitted estimator as a run folder.

    Raises
    ------
    InputError
        The folder holds another run, or cannot be written to.
    """
    data: dict[str, Any] = {"labels": saved.labels.dtype.str}
    if saved.feature_names:
        data["feature_names"] = list(saved.feature_names)
    table: dict[str, Any] = {"device": saved.parameters["device"]}
    options = saved.parameters["options"]
    if options is not None:
        table["options"] = {key: _plain(value) for key, value in options.items()}
    saved.run.write(folder, keep_data=keep_data, data=data, estimator=table)


def _plain(value: Any) -> Any:
    """A number of NumPy's as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _labels(run: FittedRun, dtype: str) -> NDArray[Any]:
    """The classes of a run as labels (C,) of the type they were given in; as text where that is not known."""
    names = np.array(run.classifier.classes)
    kind = _kind_of(run, dtype)
    try:
        if kind == "b":
            return names == "True"
        if kind in "iuf":
            return names.astype(np.float64 if kind == "f" else np.int64).astype(dtype)
    except ValueError:  # a class of another kind was added on the command line
        return names
    if kind == "O":
        return names.astype(object)
    wide = np.dtype(dtype or "U").itemsize > names.dtype.itemsize  # than these classes need; never cut them
    return names.astype(dtype) if wide and kind == "U" else names


def _all_options(recipe: Recipe) -> dict[str, Any]:
    """All options of a recipe by their full names, without those that its method fixes."""
    return {
        f"{part.table}.{field.name}": getattr(part, field.name)
        for part in recipe.option_groups
        for field in fields(part)  # type: ignore[arg-type]
        if not recipe.method.fixes(part.table, field.name)
    }


def _kind_of(run: FittedRun, dtype: str) -> str:
    try:
        return np.dtype(dtype or "U").kind
    except TypeError:
        raise InputError(
            f"{run.folder}/{CONFIG}: [data] labels = '{dtype}', expected a type such as '<i8'"
        ) from None
