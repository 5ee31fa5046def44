"""The run folder: what went into a run and what came out of it, readable by people and programs.

::

    runs/<name>/config.toml        what was asked for, options, versions, fingerprints of the data
                metrics.json       scores with their protocol; written last, so its presence means done
                history.jsonl      one line a logged step or evaluation
                model.safetensors  the generator        classes.json  names, seen or unseen
                head.safetensors   the classifier       checkpoint/   only while unfinished
                semantics.csv      what describes each class
                examples.safetensors  a few test samples to try the classifier on
                thumbnails.safetensors  small pictures of mistakes, the surest and the least sure, if there are any
                data.safetensors   the problem itself, if it was requested
                checksums.txt      SHA-256 of all of them, for `sha256sum -c`
                shifts.json        every measure of the generation shifts, see gsmflow.scores.shifts
                samples.safetensors   real and synthetic features that they were measured on
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gsmflow import sources
from gsmflow.base.errors import InputError
from gsmflow.data.bundle import load
from gsmflow.data.lending import Setting, lend
from gsmflow.data.problem import Problem
from gsmflow.files.atomic import (
    check_writable,
    json_bytes,
    read_json,
    write_bytes,
    write_checksums,
    write_json,
)
from gsmflow.files.checksums import CHECKSUMS, check
from gsmflow.files.class_table import classes_csv
from gsmflow.files.tensor_header import check_tensor_file
from gsmflow.images.backbone import BackboneSpec
from gsmflow.runs.classes import class_names
from gsmflow.runs.finished import CONFIG, METRICS, check_finished

if TYPE_CHECKING:
    from gsmflow.heads.classifier import FittedClassifier
    from gsmflow.recipes.recipe import Recipe

_NAME = 150  # characters; file systems allow 255, and something is appended to a name
HEAD = "head.safetensors"
SEMANTICS, EXAMPLES, DATA = "semantics.csv", "examples.safetensors", "data.safetensors"
GIVEN = "data given to fit"  # in place of a problem's name, if an estimator was fitted to arrays


@dataclass(frozen=True)
class Request:
    """One run to be made.

    Parameters
    ----------
    problem : str
        The name or folder, as the user gave it.
    features : str | None
        Another feature file of the problem; None for the usual one.
    semantics : str | None
        Another file of class vectors; None for the usual one.
    protocol : str
        ``validated`` or ``last``.
    oracle : bool
        Score the oracle too.
    seed : int
        Determines every random draw.
    """

    problem: str
    features: str | None
    semantics: str | None
    protocol: str
    oracle: bool
    seed: int


def write_classes(folder: Path, problem: Problem) -> None:
    """Write the names of the classes and their semantics."""
    seen = set(problem.seen.tolist())
    classes = [{"name": name, "seen": index in seen} for index, name in enumerate(problem.classes)]
    write_json(folder / "classes.json", classes)
    described = classes_csv(problem.classes, problem.semantics, problem.semantic_names)
    write_bytes(folder / SEMANTICS, described)


def finish(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Write the checksums of all files of a run, and last its metrics. A run with metrics is finished."""
    files = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    write_checksums(folder, sorted(files - {CHECKSUMS, METRICS}), {METRICS: json_bytes(metrics)})
    write_json(folder / METRICS, metrics)


def load_classifier(folder: Path) -> FittedClassifier:
    """The classifier of a finished run.

    Raises
    ------
    InputError
        The folder holds no finished run, or its files are damaged or do not fit together.
    """
    check_finished(folder)
    names, file = class_names(folder), folder / HEAD
    check_tensor_file(file)
    from gsmflow.files.tensors import read_tensors  # late, as what follows loads torch
    from gsmflow.heads.classifier import FittedClassifier

    tensors, _ = read_tensors(file)
    return FittedClassifier.from_state(tensors, names, str(file))


def read_metrics(folder: Path) -> dict[str, Any]:
    """The metrics of a finished run.

    Raises
    ------
    InputError
        There are none, or they are damaged.
    """
    return read_json(check(folder / METRICS))


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run.

    Raises
    ------
    InputError
        There is none, or it is damaged.
    """
    file = check(folder / CONFIG)
    try:
        config = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not valid TOML ({error})") from None
    for table in ("run", "options", "data"):
        if not isinstance(config.get(table), dict):
            raise InputError(
                f"{file}: has no table [{table}], as a run writes it; restore the file, or train again"
            )
    return config


def feature_names(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Names of the features that a run was trained on, from its configuration; None if they had none."""
    names = config.get("data", {}).get("feature_names")
    return tuple(map(str, names)) if names else None


def setting_of(config: Mapping[str, Any]) -> Setting:
    """What training used of unseen classes, by the configuration of a run.

    Raises
    ------
    InputError
        It names no setting of this program.
    """
    named = config.get("run", {}).get("setting", Setting.INDUCTIVE.value)
    try:
        return Setting(named)
    except ValueError:
        known = ", ".join(f"'{each.value}'" for each in Setting)
        raise InputError(f"{CONFIG}: setting '{named}' is not known, expected one of {known}") from None


def check_addable(config: Mapping[str, Any]) -> None:
    """Refuse to add classes to a run that needs real samples of every class.

    Raises
    ------
    InputError
        It is an upper bound.
    """
    if setting_of(config) is Setting.UPPER_BOUND:
        raise InputError(
            f"method '{config['run']['method']}' is an upper bound: it needs real samples of every class, so none can "
            "be added by its semantics; add it to a run of another method"
        )


def check_width(origin: Path, width: int, folder: Path, trained: int, rows: int = 0) -> None:
    """Refuse features of another number of dimensions than a run was trained on.

    Parameters
    ----------
    origin : Path
        Where the features are from.
    width : int
        Their dimensions.
    folder : Path
        The run.
    trained : int
        The dimensions it was trained on.
    rows : int
        The number of samples, if it is known.

    Raises
    ------
    InputError
        The numbers differ.
    """
    if width != trained:
        across = f"; there are {trained} rows, so turn it round if each column is a sample" * (
            rows == trained
        )
        raise InputError(
            f"{origin}: {width} feature dimensions, but {folder} was trained on {trained}{across}"
        )


def load_backbone(folder: Path) -> BackboneSpec:
    """The backbone that the features of a run were made with.

    Raises
    ------
    InputError
        The run's features were not made of images by this program.
    """
    described = read_config(folder).get("backbone")
    if described is None:
        raise InputError(
            f"{folder}: was trained on features of unknown origin, so images cannot be labelled with it; train on "
            "features made by `gsmflow extract`, or give it features"
        )
    return BackboneSpec.from_dict(described, f"{folder / CONFIG}: backbone")


def read_problem(
    folder: Path,
    config: Mapping[str, Any],
    *,
    data_root: Path,
    problem: str | None = None,
    features: str | None = None,
) -> tuple[Problem, bool]:
    """The problem of a run, with classes that were added, and whether its data are unchanged.

    Parameters
    ----------
    folder : Path
        The run.
    config : Mapping[str, Any]
        The run's ``config.toml``.
    data_root : Path
        The folder that holds the named data sets.
    problem : str | None
        Read this problem instead of the one the configuration names.
    features : str | None
        Read this feature file instead of the one the configuration names.

    Raises
    ------
    InputError
        The source cannot be read any more, or an added class does not fit to it.
    """
    asked = config["run"]
    if problem is None and features is None and (folder / DATA).exists():
        loaded = load(folder / DATA)
    elif problem is None and asked["problem"] == GIVEN:
        raise InputError(f"{folder}: holds no {DATA}; save the estimator with keep_data=True")
    else:
        loaded = sources.load(
            problem or asked["problem"],
            data_root=data_root,
            features=features or asked.get("features"),
            semantics=asked.get("semantics"),
        )
    names = feature_names(config)
    if names and loaded.feature_names:
        loaded = loaded.with_features(names)
    same = loaded.fingerprint == config["data"]["fingerprint"]
    loaded = lend(loaded, setting_of(config), asked["seed"])  # what was trained on is not scored
    added = config.get("added_classes", [])
    if added:
        loaded = loaded.with_classes([each["name"] for each in added], [each["semantics"] for each in added])
    return loaded, same


def new_folder(root: Path, request: Request, recipe: Recipe, *, resume: bool) -> Path:
    """A folder under `root` named after the run, numbered where the name is taken.

    With `resume`, the newest folder of that name, so that the same command continues its own run.
    """
    problem = folder_name(Path(request.problem).name, "problem")
    base = f"{problem}-{recipe.method.name}-{request.protocol}-seed{request.seed}"
    taken = [root / base, *(root / f"{base}-{n}" for n in range(2, 10_000))]
    free = next(index for index, path in enumerate(taken) if not path.exists())
    return taken[max(0, free - 1)] if resume else taken[free]


def folder_name(text: str, otherwise: str) -> str:
    """The text as the name of a folder, without anything that leads elsewhere; `otherwise` if nothing is left.

    >>> folder_name("../my data", "problem"), folder_name("..", "problem")
    ('my-data', 'problem')
    """
    return re.sub(r"[^A-Za-z0-9_.=@+-]+", "-", text)[:_NAME].strip(".-") or otherwise


def refuse_taken(folder: Path) -> None:
    """Refuse a folder for a new run that holds one, or that cannot be written to.

    Raises
    ------
    InputError
        There is a run in it, finished or not, or it cannot be made.
    """
    check_writable(folder)
    if _taken(folder):
        raise InputError(
            f"{folder}: holds a run already",
            remedy="add `resume` to continue it, or choose another `out`",
        )


def _taken(folder: Path) -> bool:
    return (folder / CONFIG).exists() or (folder / METRICS).exists()
