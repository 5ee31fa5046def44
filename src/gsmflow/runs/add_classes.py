"""Adding classes to a finished run: a new version of it, in a folder of its own beside the old one.

A new class needs nothing but its semantics. The run's own generator, which is not trained again, synthesizes features
of it, and the head is fitted anew. The head is also trained on real features of the seen classes, so the data of the
run are read again, unless its folder holds them.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch
from numpy.typing import ArrayLike, NDArray

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.data.semantic_blocks import Block, blocks_of
from gsmflow.data.warnings import of_run, recorded, twins
from gsmflow.files.atomic import CHECKSUMS, arriving_folder, folder_for, write_bytes
from gsmflow.files.tensors import read_tensors, write_tensors
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.protocol.choice import Choice
from gsmflow.protocol.fitting import refit
from gsmflow.recipes.recipe import recipe_from
from gsmflow.runs.classes import check_new
from gsmflow.runs.folder import (
    CONFIG,
    METRICS,
    SEMANTICS,
    check_addable,
    finish,
    load_classifier,
    read_config,
    read_metrics,
    read_problem,
    write_classes,
)
from gsmflow.runs.metrics import Chosen
from gsmflow.runs.thumbnails import FILE as THUMBNAILS
from gsmflow.runs.thumbnails import Thumbnails
from gsmflow.scores.gzsl import Scores, score

_REMADE = {CHECKSUMS, METRICS, CONFIG, SEMANTICS, "classes.json", "head.safetensors"}
_OUTDATED = {"oracle", "confidence"}  # metrics that hold only for the old classifier
_DROPPED = {"report.html", "classifier.onnx", THUMBNAILS}  # made from the old version


@dataclass(frozen=True)
class Addition:
    """A new version of a run.

    Parameters
    ----------
    folder : Path
        Folder of the new version.
    added : tuple[str, ...]
        Names of the new classes.
    before : Scores
        Scores of the old classifier on the run's test set.
    after : Scores
        Scores of the new classifier on the same samples. Samples of a new class count only if the test set
        holds them.
    seconds : float
        Time to read the data, synthesize, fit and score.
    notes : tuple[str, ...]
        How the semantics were changed, and warnings about them, in sentences.
    """

    folder: Path
    added: tuple[str, ...]
    before: Scores
    after: Scores
    seconds: float
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with None for scores that do not exist."""
        return {
            "run": str(self.folder),
            "added": list(self.added),
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
        }


def add_classes(
    folder: Path,
    names: Sequence[str],
    semantics: ArrayLike,
    *,
    data_root: Path,
    device: torch.device,
    out: Path | None = None,
) -> Addition:
    """Add classes to a finished run by their semantics alone. The run itself is not changed.

    Parameters
    ----------
    folder : Path
        The run.
    names : Sequence[str]
        K names that the run does not know yet.
    semantics : ArrayLike
        (K, A) their class vectors.
    data_root : Path
        Where the named data sets are, for the real features of the seen classes.
    device : torch.device
        Where tensors live.
    out : Path | None
        Folder of the new version; without it ``<run>-v2``, ``-v3``, ... beside the run.

    Raises
    ------
    InputError
        The folder holds no finished run; its data are gone or have changed; a class is there already or its
        semantics do not fit; `out` exists.
    """
    begun = time.monotonic()
    classifier = load_classifier(folder)
    if out:
        _refuse_taken(out)
    metrics, config = read_metrics(folder), read_config(folder)
    check_addable(config)
    recipe = recipe_from(config, str(folder / CONFIG))
    old = unchanged_problem(folder, config, classifier, data_root)
    vectors, notes = fitted_to(old, names, semantics)
    problem = old.with_classes(names, vectors)
    weights: dict[str, torch.Tensor] = {}
    model = folder / "model.safetensors"
    if recipe.method.learner or (recipe.members and model.exists()):
        weights, _ = read_tensors(model)
        weights.pop("semantics", None)
    try:
        new = refit(
            problem,
            recipe,
            choice_of(metrics, folder),
            weights,
            classifier.transform,
            seed=config["run"]["seed"],
            device=device,
            members=metrics.get("members", ()),
        )
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"{folder / 'model.safetensors'}: {error}; the files in the folder are of different runs"
        ) from None
    before, after = (
        score(each, known.logits, unseen_logits=known.unseen_logits)
        for each, known in ((old, classifier), (problem, new))
    )
    target = out or _next_folder(folder)
    addition = Addition(target, tuple(names), before, after, time.monotonic() - begun, tuple(notes))
    _write(folder, addition, problem, vectors, new, weights, metrics, config)
    return addition


def fitted_to(
    problem: Problem, names: Sequence[str], semantics: ArrayLike
) -> tuple[NDArray[np.float32], list[str]]:
    """Semantics (K, A) of new classes in the scale of the other classes, and notes about them.

    If the vectors of all other classes have length 1, the new ones are scaled to length 1.

    Raises
    ------
    InputError
        The number of dimensions differs, a value is not finite, a vector is all zero, or the name is too similar to
        that of another class.
    """
    vectors = np.atleast_2d(np.asarray(semantics, dtype=np.float32))
    if vectors.shape != (len(names), problem.semantic_dim):
        raise InputError(
            f"semantics of {', '.join(names)}: {vectors.shape[-1]} values, expected {problem.semantic_dim} "
            "as for the other classes"
        )
    check_new(names, problem.classes)
    for name, vector in zip(names, vectors, strict=True):
        if not np.isfinite(vector).all():
            raise InputError(f"semantics of {name}: a value is not a finite number; correct it")
        if not vector.any():
            raise InputError(f"semantics of {name}: all zeros; describe the class")
    notes = []
    lengths = np.linalg.norm(problem.semantics, axis=1)
    if np.allclose(lengths, 1, atol=1e-3) and not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        notes.append("The vectors of all classes have length 1, so the new ones were scaled to it.")
    low, high = problem.semantics.min(axis=0), problem.semantics.max(axis=0)
    margin = 0.5 * (high - low) + 1e-6
    blocks = blocks_of(problem.semantic_origin, problem.semantic_dim) or (Block("", (0.0,) * len(low)),)
    # Say nothing one by one
    of_texts = np.concatenate([[bool(block.encoder)] * block.size for block in blocks])
    for name, vector in zip(names, vectors, strict=True):
        odd = np.flatnonzero(~of_texts & ((vector < low - margin) | (vector > high + margin)))
        if len(odd):
            d = int(odd[0])
            called = problem.semantic_names[d] if problem.semantic_names else f"dimension {d + 1}"
            more = f" (and {len(odd) - 1} more dimensions)" if len(odd) > 1 else ""
            notes.append(
                f"{name}: {called} = {vector[d]:g} lies far outside {low[d]:g} to {high[d]:g} of the other "
                f"classes{more}; features synthesized there are a guess."
            )
    called = (*problem.classes, *names)
    for i, j, cosine in twins(np.vstack((problem.semantics, vectors))):
        if j >= len(problem.classes):
            notes.append(f"{called[j]} is described nearly like {called[i]} (cosine {cosine:.3f}).")
    return vectors, notes


def unchanged_problem(
    folder: Path, config: Mapping[str, Any], classifier: FittedClassifier, data_root: Path
) -> Problem:
    """The problem that the run was trained on, read again and unchanged.

    Raises
    ------
    InputError
        It can no longer be read, or has changed.
    """
    asked = config["run"]["problem"]
    try:
        problem, same = read_problem(folder, config, data_root=data_root)
    except InputError as error:
        raise InputError(
            f"{folder}: fitting the head needs the data it was trained on, and they cannot be read: {error.message}",
            remedy="; ".join(
                [
                    *filter(None, [error.remedy]),
                    "start it in the folder where the run was trained (a run made by `gsmflow train --keep-data` "
                    "does not need the data)",
                ]
            ),
        ) from None
    if not same or problem.classes != classifier.classes:
        raise InputError(
            f"{asked}: now holds other data than {folder} was trained on",
            remedy="restore them, or train again (made by `gsmflow train --keep-data`, a run has its own)",
        )
    return problem


def choice_of(metrics: Mapping[str, Any], folder: Path) -> Choice | None:
    """The choice that the protocol of a run made; None if it made none.

    Raises
    ------
    InputError
        The metrics were not written by a run.
    """
    if metrics.get("chosen") is None:
        return None
    return Chosen.from_dict(metrics["chosen"], f"{folder / METRICS}: 'chosen'").choice


def _refuse_taken(target: Path) -> None:
    if target.exists():
        raise InputError(f"{target}: is there already", remedy="choose another `out`")


def _next_folder(folder: Path) -> Path:
    """`<run>-v2` beside the run, or the first number that is free; as the run was named, relative or not."""
    path = folder if folder.name not in ("", "..") else folder.resolve()
    base = re.sub(r"-v\d+$", "", path.name)
    return next(p for n in range(2, 1_000_000) if not (p := path.with_name(f"{base}-v{n}")).exists())


def _write(
    folder: Path,
    addition: Addition,
    problem: Problem,
    vectors: NDArray[np.float32],
    classifier: FittedClassifier,
    weights: Mapping[str, torch.Tensor],
    metrics: Mapping[str, Any],
    config: Mapping[str, Any],
) -> None:
    """Write the folder of the version, which appears in one step."""
    target = addition.folder
    _refuse_taken(target)
    with folder_for(target), arriving_folder(target, remedy="choose another `out`") as new:
        for file in folder.iterdir():
            left_out = file.name.startswith(".") or file.name in _REMADE | _DROPPED
            if file.is_file() and not left_out:
                shutil.copyfile(file, new / file.name)
        if weights:
            semantics = {"semantics": torch.from_numpy(problem.semantics)}
            write_tensors(new / "model.safetensors", {**weights, **semantics})
        write_tensors(new / "head.safetensors", classifier.state())
        thumbnails = Thumbnails.of(problem, classifier)
        if thumbnails:
            thumbnails.write(new / THUMBNAILS)
        write_classes(new, problem)
        described = [
            {"name": name, "semantics": vector.tolist()}
            for name, vector in zip(addition.added, vectors, strict=True)
        ]
        write_bytes(
            new / CONFIG,
            tomli_w.dumps(
                {
                    **config,
                    "version": {"of": folder.resolve().name},
                    "added_classes": [*config.get("added_classes", []), *described],
                }
            ).encode(),
        )
        scores = addition.after.to_dict()
        history = {
            "of": folder.resolve().name,
            "added": list(addition.added),
            "before": addition.before.to_dict(),
            "seconds": round(addition.seconds, 3),
        }
        better = [each.to_dict() for each in recorded(metrics) if each.kind == "better"]
        remade = {"version": history, "warnings": of_run(problem, addition.after.per_class) + better}
        finish(new, {k: v for k, v in metrics.items() if k not in _OUTDATED} | scores | remade)
