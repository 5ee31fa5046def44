"""Reading what a report is about: a run folder and, if they can still be read, its data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.data.lending import Setting
from gsmflow.data.problem import Problem
from gsmflow.files.atomic import read_json
from gsmflow.files.class_table import read_classes
from gsmflow.report.embedding import Unseen
from gsmflow.runs.folder import (
    CONFIG,
    METRICS,
    SEMANTICS,
    load_classifier,
    read_config,
    read_problem,
    setting_of,
)
from gsmflow.runs.thumbnails import FILE as THUMBNAILS
from gsmflow.runs.thumbnails import Thumbnails
from gsmflow.scores.samples import Samples

if TYPE_CHECKING:
    from gsmflow.heads.classifier import FittedClassifier


@dataclass(frozen=True)
class Record:
    """One finished run.

    Parameters
    ----------
    folder : Path
        The run folder.
    label : str
        Short name, different from those of the other runs in the report.
    metrics : dict[str, Any]
        ``metrics.json``.
    config : dict[str, Any]
        ``config.toml``.
    history : list[dict[str, Any]]
        ``history.jsonl``, one entry for each line.
    seen : dict[str, bool]
        Whether a class is seen, by its name.
    classifier : FittedClassifier
        The fitted classifier.
    shifts : dict[str, Any] | None
        ``shifts.json``; None if nothing was measured.
    samples : Samples | None
        The features that the shifts were measured on.
    problem : Problem | None
        Its data; None if they can no longer be read.
    missing : tuple[str, ...]
        What is missing, in sentences.
    semantics : NDArray[np.float32] | None
        (C, A) semantics of the classes; None if the run folder lacks them.
    dimensions : tuple[str, ...]
        A names of the semantic dimensions; empty if the run folder lacks them.
    thumbnails : Thumbnails | None
        Small pictures of test samples.
    unseen_samples : Unseen | None
        Synthetic features of unseen classes without real ones.
    """

    folder: Path
    label: str
    metrics: dict[str, Any]
    config: dict[str, Any]
    history: list[dict[str, Any]]
    seen: dict[str, bool]
    classifier: FittedClassifier
    shifts: dict[str, Any] | None
    samples: Samples | None
    problem: Problem | None
    missing: tuple[str, ...]
    semantics: NDArray[np.float32] | None = None
    dimensions: tuple[str, ...] = ()
    thumbnails: Thumbnails | None = None
    unseen_samples: Unseen | None = None

    @property
    def setting(self) -> Setting:
        """What its training used of unseen classes."""
        return setting_of(self.config)


def read(folders: Sequence[Path], data_root: Path) -> list[Record]:
    """The runs in these folders, with labels that distinguish them.

    Raises
    ------
    InputError
        A folder holds no finished run, or its files are damaged.
    """
    return _labelled([_read(folder, data_root) for folder in folders])


def _read(folder: Path, data_root: Path) -> Record:
    classifier = load_classifier(folder)
    metrics, config = read_json(folder / METRICS), read_config(folder)
    if not isinstance(metrics, dict) or not isinstance(metrics.get("per_class"), dict):
        raise InputError(f"{folder / METRICS}: expected the metrics of a run; train it again")
    for table, key in (("run", "problem"), ("run", "method"), ("data", "fingerprint")):
        if key not in config.get(table, {}):
            raise InputError(f"{folder / CONFIG}: [{table}] lacks '{key}'; train it again")
    unseen = set(classifier.unseen.tolist())
    missing: list[str] = []
    synthesizes = (folder / "model.safetensors").exists()
    shifts, samples, unseen_samples = _shifts(folder, synthesizes, missing)
    problem = _problem(folder, config, classifier, data_root, missing)
    semantics, dimensions = _semantics(folder, classifier)
    return Record(
        folder=folder,
        label=folder.resolve().name,
        metrics=metrics,
        config=config,
        history=_history(folder / "history.jsonl", synthesizes, missing),
        seen={name: index not in unseen for index, name in enumerate(classifier.classes)},
        classifier=classifier,
        shifts=shifts,
        samples=samples,
        problem=problem,
        missing=tuple(missing),
        unseen_samples=unseen_samples,
        semantics=semantics,
        dimensions=dimensions,
        thumbnails=_thumbnails(folder, problem, classifier),
    )


def _semantics(
    folder: Path, classifier: FittedClassifier
) -> tuple[NDArray[np.float32] | None, tuple[str, ...]]:
    if not (folder / SEMANTICS).exists():
        return None, ()
    names, semantics, dimensions = read_classes(folder / SEMANTICS)
    return (semantics, dimensions) if names == classifier.classes else (None, ())


def _thumbnails(folder: Path, problem: Problem | None, classifier: FittedClassifier) -> Thumbnails | None:
    """The thumbnails that the run stored; for a run of an older version, those from its data if they are pictures."""
    if (folder / THUMBNAILS).exists():
        thumbnails = Thumbnails.read(folder / THUMBNAILS)
        named = (*thumbnails.labels, *thumbnails.given)
        if max(named, default=-1) >= len(classifier.classes):
            raise InputError(
                f"{folder / THUMBNAILS}: names a class that the run has not; delete the file to do without pictures"
            )
        return thumbnails
    return Thumbnails.of(problem, classifier) if problem else None


def _history(file: Path, synthesizes: bool, missing: list[str]) -> list[dict[str, Any]]:
    if not file.exists():
        if synthesizes:
            missing.append(f"{file.name} is not there: no training curves.")
        return []
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            entry = json.loads(line)
            entries.append({"stage": str(entry["stage"]), "step": int(entry["step"])} | entry)
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"{file}: line {number} is no entry of a history; delete the file to leave the curves out"
            ) from None
    return entries


def _shifts(
    folder: Path, synthesizes: bool, missing: list[str]
) -> tuple[dict[str, Any] | None, Samples | None, Unseen | None]:
    from gsmflow.files.tensors import read_tensors

    file = folder / "shifts.json"
    if not file.exists():
        missing.append(
            "Generation shifts: not measured, for want of test features."
            if synthesizes
            else "Generation shifts: not measured for this method; it synthesizes no features."
        )
        return None, None, None
    shifts = read_json(file)
    if not isinstance(shifts, dict) or not {"semantic", "variance", "structure", "distribution"} <= set(
        shifts
    ):
        raise InputError(f"{file}: not written by `gsmflow train`; delete it to leave the shifts out")
    samples_file = folder / "samples.safetensors"
    if not samples_file.exists():
        missing.append("samples.safetensors is not there: no embedding and no pictures.")
        return shifts, None, None
    tensors, _ = read_tensors(samples_file)
    try:
        real, synthetic, labels = (tensors[n].numpy() for n in ("real", "synthetic", "labels"))
    except KeyError as error:
        raise InputError(
            f"{samples_file}: tensor {error} is missing; delete the file to leave samples out"
        ) from None
    unseen = None
    if "unseen" in tensors and "unseen_labels" in tensors:
        unseen = tensors["unseen"].numpy(), tensors["unseen_labels"].numpy()
    samples = Samples.matched(real, labels, synthetic, labels, judge=str(shifts.get("judge", "")))
    return shifts, samples, unseen


def _problem(
    folder: Path, config: dict[str, Any], classifier: FittedClassifier, data_root: Path, missing: list[str]
) -> Problem | None:
    asked, lost = config["run"], "no seen-unseen curve, confusions and pictures."
    try:
        problem, same = read_problem(folder, config, data_root=data_root)
    except InputError as error:
        missing.append(f"The data cannot be read ({error}): {lost}")
        return None
    if not same or problem.classes != classifier.classes:
        missing.append(f"{asked['problem']} now holds other data than this run was made from: {lost}")
        return None
    return problem


def _labelled(records: list[Record]) -> list[Record]:
    """Records with labels that say what differs between the runs; folder names if that is not enough."""
    if len(records) < 2:
        return records
    facts = [
        {
            "problem": str(r.metrics.get("problem", "")),
            "method": str(r.metrics.get("method", "")),
            "preset": str(r.metrics.get("preset", "")),
            "setting": r.setting.name.lower().replace("_", " "),
            "protocol": str(r.metrics.get("protocol", "")),
            "seed": f"seed {r.metrics.get('seed', '')}",
        }
        for r in records
    ]
    telling = [key for key in facts[0] if len({f[key] for f in facts}) > 1]
    for labels in (
        [" · ".join(f[key] for key in telling) for f in facts],
        [r.folder.resolve().name for r in records],
        [f"{number}: {r.folder}" for number, r in enumerate(records, start=1)],
    ):
        if len(set(labels)) == len(labels):
            return [replace(r, label=label) for r, label in zip(records, labels, strict=True)]
    raise AssertionError("numbered labels differ")
