"""Folders that estimators of version 0.1.0 saved: ``estimator.json`` beside the weights, and no run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gsmflow.base.errors import InputError
from gsmflow.base.options import from_mapping
from gsmflow.files.atomic import read_json
from gsmflow.files.checksums import check
from gsmflow.files.tensors import read_tensors
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.protocol.choice import Choice
from gsmflow.recipes.recipe import make_recipe
from gsmflow.runs.fitted import OLD, FittedRun
from gsmflow.runs.folder import GIVEN, Request


def read_old_estimator(folder: Path) -> tuple[FittedRun, dict[str, Any], str]:
    """The fitted run in such a folder, the estimator's parameters, and NumPy's name of the labels' type.

    Raises
    ------
    InputError
        The files are damaged or do not fit together.
    """
    file = folder / OLD
    saved = read_json(check(file))
    try:
        parameters = dict(saved["parameters"])
        labels = np.array(saved["labels"], dtype=np.dtype(saved["dtype"]))
        choice = Choice(**saved["choice"]) if saved["choice"] else None
        overrides = [f"{key}={value}" for key, value in (parameters["options"] or {}).items()]
        recipe = make_recipe("gsmflow", parameters["preset"], overrides)
        recipe = replace(recipe, options=from_mapping(type(recipe.options), saved["method"], str(file)))
        request = Request(GIVEN, None, None, parameters["protocol"], False, int(parameters["random_state"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: not written by save ({error})") from None
    state, _ = read_tensors(folder / "head.safetensors")
    weights, _ = read_tensors(folder / "model.safetensors")
    names = tuple(str(label) for label in labels)
    classifier = FittedClassifier.from_state(state, names, str(folder / "head.safetensors"))
    semantics = weights.pop("semantics", None)
    if semantics is None:
        raise InputError(
            f"{folder / 'model.safetensors'}: tensor 'semantics' is missing; save the estimator again"
        )
    asked = {"method": "gsmflow", "preset": recipe.preset, "protocol": request.protocol, "seed": request.seed}
    nothing = dict.fromkeys(("U", "S", "H", "T1", "AUSUC"))
    metrics = {**asked, "problem": GIVEN, **nothing, "per_class": {}, "steps": 0, "seconds": {"total": 0.0}}
    config = {
        "run": {**asked, "problem": GIVEN, "oracle": False},
        "options": recipe.tables(),
        "data": {"name": GIVEN, "fingerprint": {}},
        "machine": {"gsmflow": "0.1.0"},
    }
    run = FittedRun(
        request, recipe, choice, classifier, weights, semantics.numpy(), metrics, read=config, folder=folder
    )
    return run, parameters, labels.dtype.str
