"""No method depends on the units of semantics once they are scaled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gsmflow.data.problem import Problem
from gsmflow.data.semantic_scaling import SemanticOptions, scaled_semantics
from gsmflow.learning.journal import Recorder
from gsmflow.methods import find_method, method_names
from gsmflow.protocol.fitting import run
from gsmflow.recipes.preset import preset_names, read_preset
from gsmflow.recipes.recipe import make_recipe
from support.recipes import problem

SINGLE = [name for name in method_names() if not (find_method(name).members or find_method(name).needs)]
SMALL = {
    "epochs": 4,
    "batch_size": 64,
    "hidden": 24,
    "blocks": 2,
    "global_semantic": 16,
    "relation_epochs": 2,
}


def predictions(method: str, data: Problem) -> np.ndarray:
    options = find_method(method).options().as_dict()
    table = find_method(method).options.table
    overrides = [f"{table}.{name}={value}" for name, value in SMALL.items() if name in options]
    overrides = [o for o in overrides if o.split("=")[0].split(".")[1] not in find_method(method).fixed]
    overrides += ["head.epochs=3", "semantics.scaling=centered"]
    if "least_steps" in options:
        overrides.append(f"{table}.least_steps=0")
    recipe = make_recipe(method, "best", overrides)
    outcome = run(
        data,
        recipe,
        protocol="last",
        oracle=False,
        seed=0,
        device=torch.device("cpu"),
        recorder=Recorder(),
    )
    test = np.concatenate((data.test_seen, data.test_unseen))
    return outcome.classifier.logits(data.features[test]).argmax(axis=1)


@pytest.mark.parametrize("method", SINGLE)
def test_units_do_not_matter(method: str) -> None:
    data = problem()
    as_they_are = predictions(method, data)
    for factor, constant in ((0.01, 0.0), (100.0, 3.0)):
        other = replace(data, semantics=data.semantics * np.float32(factor) + np.float32(constant))
        assert (predictions(method, other) == as_they_are).mean() > 0.95, (factor, constant)


def test_scaling_is_fitted_on_seen_classes_alone() -> None:
    data = problem()
    options = SemanticOptions(scaling="centered")
    scaled = scaled_semantics(data.semantics, data.seen, options)
    assert scaled[data.seen].mean(axis=0) == pytest.approx(np.zeros(data.semantic_dim), abs=1e-6)
    assert np.square(scaled[data.seen]).sum(axis=1).mean() == pytest.approx(4, abs=1e-4)
    changed = data.semantics.copy()
    changed[data.unseen] += 1
    again = scaled_semantics(changed, data.seen, options)
    assert np.array_equal(again[data.seen], scaled[data.seen])


def test_published_presets_keep_the_published_input() -> None:
    published = [name for name in preset_names() if "paper" in name or name in ("AWA2", "APY", "CUB", "FLO")]
    assert len(published) >= 4
    for name in published:
        assert read_preset(name).get("semantics", {}).get("scaling", "none") == "none"
