"""A finished run in memory: read from its folder or made by fitting, given more classes, written to a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.data.bundle import load, save
from gsmflow.data.lending import whole
from gsmflow.data.problem import Problem
from gsmflow.files.atomic import lock, make_folder, write_bytes, write_json
from gsmflow.files.checksums import CHECKSUMS, check
from gsmflow.files.class_table import classes_csv, read_classes
from gsmflow.files.tensors import read_tensors, write_tensors
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.choice import Choice, Outcome
from gsmflow.protocol.fitting import refit
from gsmflow.recipes.recipe import Recipe, recipe_from
from gsmflow.runs.add_classes import choice_of, fitted_to, unchanged_problem
from gsmflow.runs.folder import (
    CONFIG,
    DATA,
    EXAMPLES,
    GIVEN,
    METRICS,
    SEMANTICS,
    Request,
    check_addable,
    finish,
    load_classifier,
    read_config,
    read_metrics,
)
from gsmflow.runs.train import config_of, metrics_of
from gsmflow.scores.gzsl import score

CPU = torch.device("cpu")
OLD = "estimator.json"  # of folders that estimators of version 0.1.0 wrote
_BESIDE = ("history.jsonl", "shifts.json", "samples.safetensors", EXAMPLES)
_OF_OLD_CLASSES = {"oracle", "confidence", "version"}  # metrics that say nothing once there are more classes
_SAVED = "estimator"  # a table of config.toml that only estimators write


@dataclass(frozen=True)
class FittedRun:
    """What a finished run holds.

    Parameters
    ----------
    request : Request
        The request; its problem is ``GIVEN`` if an estimator was fitted to arrays.
    recipe : Recipe
        Method and options.
    choice : Choice | None
        The choice of the protocol.
    classifier : FittedClassifier
        The classifier of all C classes, in the order of the run.
    weights : Mapping[str, Tensor]
        Weights of the generator; empty for a direct method.
    semantics : NDArray[np.float32]
        (C, A) in that order.
    metrics : Mapping[str, Any]
        The content of ``metrics.json``.
    semantic_names : tuple[str, ...] | None
        Names of the A dimensions.
    problem : Problem | None
        The data, without classes added later; None if they have to be read first.
    added : tuple[Mapping[str, Any], ...]
        Names and semantics of classes added later.
    read : Mapping[str, Any] | None
        The configuration in the folder it was read from.
    folder : Path | None
        That folder.
    history : tuple[Mapping[str, Any], ...]
        The lines of ``history.jsonl`` for a run without a folder.
    device : torch.device
        Where it was fitted.
    """

    request: Request
    recipe: Recipe
    choice: Choice | None
    classifier: FittedClassifier
    weights: Mapping[str, Tensor]
    semantics: NDArray[np.float32]
    metrics: Mapping[str, Any]
    semantic_names: tuple[str, ...] | None = None
    problem: Problem | None = None
    added: tuple[Mapping[str, Any], ...] = ()
    read: Mapping[str, Any] | None = None
    folder: Path | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    device: torch.device = CPU

    @staticmethod
    def of(
        request: Request,
        problem: Problem,
        recipe: Recipe,
        outcome: Outcome,
        recorder: Recorder,
        device: torch.device,
    ) -> FittedRun:
        """The run from fitting `recipe` to `problem`."""
        return FittedRun(
            request,
            recipe,
            outcome.choice,
            outcome.classifier,
            outcome.weights,
            problem.semantics,
            metrics_of(request, problem, recipe, outcome, recorder).to_dict(),
            problem.semantic_names,
            problem,
            history=tuple(recorder.history),
            device=device,
        )

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of ``config.toml``."""
        config = dict(self.read or {})
        if self.problem is not None:
            config |= config_of(self.request, self.problem, self.recipe, self.device)
        return config | ({"added_classes": [dict(each) for each in self.added]} if self.added else {})

    def data(self, data_root: Path) -> Problem:
        """The problem with all classes. It is read again if it is not in memory.

        Raises
        ------
        InputError
            It can no longer be read, or has changed.
        """
        if self.problem is None:
            assert self.folder is not None
            if self.request.problem == GIVEN and self._at(DATA) is None:
                raise InputError(
                    f"X and y: a loaded estimator needs the samples it was fitted on; {self.folder} holds no {DATA}, "
                    "so give them, or save the fitted estimator with keep_data=True"
                )
            return unchanged_problem(self.folder, self.config, self.classifier, data_root)
        if not self.added:
            return self.problem
        return self.problem.with_classes(
            [each["name"] for each in self.added], [each["semantics"] for each in self.added]
        )

    def with_classes(
        self, names: Sequence[str], semantics: NDArray[np.float32], *, data_root: Path, device: torch.device
    ) -> tuple[FittedRun, list[str]]:
        """The run with more classes and its head fitted anew, and notes about their semantics.

        Raises
        ------
        InputError
            The data are gone or have changed, a class is there already, or its semantics do not fit.
        """
        check_addable(self.config)
        old = self.data(data_root)
        vectors, notes = fitted_to(old, names, semantics)
        problem = old.with_classes(names, vectors)
        try:
            classifier = refit(
                problem,
                self.recipe,
                self.choice,
                self.weights,
                self.classifier.transform,
                seed=self.request.seed,
                device=device,
                members=self.metrics.get("members", ()),
            )
        except InputError:
            raise
        except ValueError as error:
            raise InputError(
                f"{self.folder or 'weights'}: {error}; the files are of different runs"
            ) from None
        scores = score(problem, classifier.logits, unseen_logits=classifier.unseen_logits).to_dict()
        metrics = {key: value for key, value in self.metrics.items() if key not in _OF_OLD_CLASSES}
        described = (
            {"name": name, "semantics": vector.tolist()} for name, vector in zip(names, vectors, strict=True)
        )
        before = {key: self.metrics.get(key) for key in scores}
        more = replace(
            self,
            classifier=classifier,
            semantics=problem.semantics,
            metrics={**metrics, **scores, "version": {"added": list(names), "before": before}},
            added=(*self.added, *described),
        )
        return more, notes

    def write(
        self, folder: Path, *, keep_data: bool, data: Mapping[str, Any], estimator: Mapping[str, Any]
    ) -> None:
        """Write a run folder, in place of one that an estimator wrote before.

        Parameters
        ----------
        folder : Path
            New, empty, or written by an estimator.
        keep_data : bool
            Write the samples too, if they are in memory or in the folder from which this was read.
        data, estimator : Mapping[str, Any]
            More entries of the tables of these names in ``config.toml``.

        Raises
        ------
        InputError
            `folder` holds another run or cannot be written to; the folder this was read from is gone.
        """
        if self.folder is not None and not self.folder.is_dir():
            raise InputError(
                f"{self.folder}: is gone, and the estimator that was loaded from it cannot be saved without it"
            )
        _refuse_foreign(folder)
        beside = {name: file.read_bytes() for name in _BESIDE if (file := self._at(name)) is not None}
        if self.history:
            beside["history.jsonl"] = "".join(f"{json.dumps(entry)}\n" for entry in self.history).encode()
        problem = None
        if keep_data:
            problem = self.problem or (load(data_file) if (data_file := self._at(DATA)) is not None else None)
        table = {**self.config.get("data", {}), **data}
        config = {**self.config, "data": table, _SAVED: dict(estimator)}
        make_folder(folder)
        with lock(folder):
            _refuse_foreign(folder)
            _clear(folder)
            write_bytes(folder / CONFIG, tomli_w.dumps(config).encode())
            for name, content in beside.items():
                write_bytes(folder / name, content)
            if problem is not None:
                save(whole(problem), folder / DATA)
            if self.weights:
                semantics = {"semantics": torch.from_numpy(self.semantics)}
                write_tensors(folder / "model.safetensors", {**self.weights, **semantics})
            write_tensors(folder / "head.safetensors", self.classifier.state())
            unseen = set(self.classifier.unseen.tolist())
            classes = [
                {"name": name, "seen": c not in unseen} for c, name in enumerate(self.classifier.classes)
            ]
            write_json(folder / "classes.json", classes)
            described = classes_csv(self.classifier.classes, self.semantics, self.semantic_names)
            write_bytes(folder / SEMANTICS, described)
            finish(folder, self.metrics)

    def _at(self, name: str) -> Path | None:
        """A file in the folder that this was read from; None if it is not there."""
        if self.folder is None or not (self.folder / name).is_file():
            return None
        return check(self.folder / name)


def read_run(folder: Path) -> FittedRun:
    """The finished run in a folder; its data stay there until they are asked for.

    Raises
    ------
    InputError
        The folder holds no finished run, or its files are damaged or do not fit together.
    """
    classifier = load_classifier(folder)
    metrics, config = read_metrics(folder), read_config(folder)
    recipe = recipe_from(config, str(folder / CONFIG))
    weights: dict[str, Tensor] = {}
    model = folder / "model.safetensors"
    if recipe.method.learner or (recipe.members and model.exists()):
        weights, _ = read_tensors(model)
        weights.pop("semantics", None)
    names, semantics, dimensions = read_classes(check(folder / SEMANTICS))
    if names != classifier.classes:
        raise InputError(
            f"{folder / SEMANTICS}: other classes than in classes.json; the files in the folder are of different runs"
        )
    run = config["run"]
    try:
        request = Request(
            problem=run["problem"],
            features=run.get("features"),
            semantics=run.get("semantics"),
            protocol=run["protocol"],
            oracle=run["oracle"],
            seed=run["seed"],
        )
    except KeyError as error:
        raise InputError(f"{folder / CONFIG}: [run] lacks {error}; make the run again") from None
    return FittedRun(
        request,
        recipe,
        choice_of(metrics, folder),
        classifier,
        weights,
        semantics,
        metrics,
        dimensions,
        added=tuple(config.get("added_classes", ())),
        read=config,
        folder=folder,
    )


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that holds a run which no estimator wrote."""
    taken = (folder / CONFIG).exists() or (folder / METRICS).exists()
    if taken and _SAVED not in read_config(folder):
        raise InputError(f"{folder}: holds a run already, which no estimator saved; choose another folder")


def _clear(folder: Path) -> None:
    """Remove what an estimator wrote before. The metrics go first, so that a folder half written is not taken
    for a run.
    """
    files = (METRICS, OLD, CHECKSUMS, *_BESIDE, DATA, "model.safetensors", "report.html", "classifier.onnx")
    for name in files:
        (folder / name).unlink(missing_ok=True)
