"""The run folder: everything that made a run and everything it made, readable by people and programs.

::

    runs/<name>/config.toml        options, versions, data fingerprint, command
                metrics.json       scores with their protocol; written last, so its presence means done
                history.jsonl      one line a logged step or evaluation
                model.safetensors  the generator        classes.json  names, seen or unseen
                head.safetensors   the classifier       checkpoint/   only while unfinished
                semantics.csv      what describes each class
                examples.safetensors  a few test samples to try the classifier on
                data.safetensors   the problem itself, where it was to be kept
                checksums.txt      SHA-256 of all of them, for `sha256sum -c`
                shifts.json        every measure of the generation shifts, see gsmflow.shifts
                samples.safetensors   real and synthetic features that they were measured on
"""

from __future__ import annotations

import math
import platform
import re
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tomli_w
import torch

from gsmflow import __version__, parallel, sources
from gsmflow.checksums import CHECKSUMS, check
from gsmflow.classifier import FittedClassifier
from gsmflow.devices import describe
from gsmflow.errors import InputError
from gsmflow.evaluation import score
from gsmflow.examples import Examples
from gsmflow.files import (
    json_bytes,
    lock,
    make_folder,
    read_json,
    read_tensors,
    sweep,
    write_bytes,
    write_checksums,
    write_json,
    write_tensors,
)
from gsmflow.images.backbone import BackboneSpec
from gsmflow.problem import Problem
from gsmflow.progress import Progress
from gsmflow.protocol import Outcome, refit
from gsmflow.protocol import run as carry_out
from gsmflow.recipe import Recipe
from gsmflow.recorder import Recorder
from gsmflow.shifts import headline
from gsmflow.sources import kept, table
from gsmflow.transform import FeatureTransform, check_projection

METRICS, CONFIG = "metrics.json", "config.toml"
_NAME = 150  # characters; file systems allow 255, and more is added to a name
SEMANTICS, EXAMPLES, DATA = "semantics.csv", "examples.safetensors", "data.safetensors"


@dataclass(frozen=True)
class Request:
    """One run to be made.

    problem: as given by the person, with `features` and `semantics` naming other files of it.
    protocol: ``validated`` or ``last``; oracle: score the oracle too.
    """

    problem: str
    features: str | None
    semantics: str | None
    protocol: str
    oracle: bool
    seed: int


def train(
    request: Request,
    problem: Problem,
    recipe: Recipe,
    *,
    device: torch.device,
    folder: Path,
    resume: bool = False,
    progress: Progress | None = None,
    checkpoint_seconds: float = 60,
    keep_data: bool = False,
    on_recorder: Callable[[Recorder], None] = lambda _: None,
) -> dict[str, Any]:
    """Make a run in `folder` and return its metrics.

    resume: continue what was interrupted there; a finished run is returned as it is.
    keep_data: write the problem itself into the folder, so that classes can be added without the source.
    on_recorder: receives the recorder, for whoever wants to ask the run to stop.

    Raises
    ------
    InputError: the folder cannot be written to, holds another run, or is in use.
    """
    check_projection(problem, recipe.features)
    if parallel.size() > 1 and "gsmflow" not in (recipe.method.name, recipe.method.inherits):
        raise InputError(
            f"method '{recipe.method.name}' is not divided among processes; start it without torchrun"
        )
    if parallel.rank():
        return _follow(request, problem, recipe, device, folder, resume, on_recorder)
    config = _config(request, problem, recipe, device)
    existing = folder / CONFIG
    _check_free(folder, config, resume)
    make_folder(folder)
    with lock(folder):
        _check_free(folder, config, resume)  # once more: another run may have begun and ended in between
        sweep(folder)
        if (folder / METRICS).exists():
            parallel.together()
            parallel.together()
            return read_metrics(folder)
        recorder = Recorder(folder, progress, checkpoint_seconds)
        on_recorder(recorder)
        if not (resume and recorder.resume()):
            (folder / "history.jsonl").unlink(missing_ok=True)
        parallel.together()
        parallel.together()  # in between, the others have read what this one continues from
        write_bytes(existing, tomli_w.dumps(config).encode())
        outcome = carry_out(
            problem,
            recipe,
            protocol=request.protocol,
            oracle=request.oracle,
            seed=request.seed,
            device=device,
            recorder=recorder,
        )
        metrics = _metrics(request, problem, recipe, outcome, recorder)
        _write(folder, problem, outcome, metrics, keep_data=keep_data)
        recorder.finished()
        return metrics


def adopt(
    request: Request,
    problem: Problem,
    recipe: Recipe,
    weights: Mapping[str, torch.Tensor],
    *,
    steps: int,
    origin: Mapping[str, Any],
    device: torch.device,
    folder: Path,
) -> dict[str, Any]:
    """Make a run of a generator that was trained elsewhere: fit the head, score, and return the metrics.

    Nothing is chosen here, so the head is trained for as long as the recipe says and no bias is added.

    Parameters
    ----------
    request: its protocol is ``last``, or ``oracle`` where the weights were chosen on the test set.
    weights: of the generator, as in ``model.safetensors``. steps: of its training.
    origin: recorded in the configuration as ``imported``.

    Raises
    ------
    InputError: the weights do not fit the problem and the recipe, or the folder holds a run.
    """
    if _taken(folder):
        raise InputError(f"{folder}: holds a run already; choose another --out")
    recorder = Recorder()
    transform = FeatureTransform.fit(problem, recipe.features)
    try:
        made = refit(problem, recipe, None, weights, transform, seed=request.seed, device=device)
    except ValueError as error:
        raise InputError(f"{origin.get('file', 'weights')}: {error}") from None
    scores = score(problem, made.logits, unseen_logits=made.unseen_logits)
    outcome = Outcome(None, scores, None, made, dict(weights), steps)
    make_folder(folder)
    with lock(folder):
        config = _config(request, problem, recipe, device) | {"imported": dict(origin)}
        write_bytes(folder / CONFIG, tomli_w.dumps(config).encode())
        metrics = _metrics(request, problem, recipe, outcome, recorder)
        _write(folder, problem, outcome, metrics, keep_data=False)
    return metrics


def _write(
    folder: Path, problem: Problem, outcome: Outcome, metrics: Mapping[str, Any], *, keep_data: bool
) -> None:
    """Write what a run made."""
    if outcome.weights:
        semantics = {"semantics": torch.from_numpy(problem.semantics)}
        write_tensors(folder / "model.safetensors", outcome.weights | semantics)
    write_tensors(folder / "head.safetensors", outcome.classifier.state())
    if outcome.samples:
        write_tensors(folder / "samples.safetensors", outcome.samples)
    if outcome.shifts:
        write_json(folder / "shifts.json", outcome.shifts)
    write_classes(folder, problem)
    examples = Examples.of(problem, metrics["seed"])
    if examples:
        examples.write(folder / EXAMPLES)
    if keep_data:
        kept.save(problem, folder / DATA)
    finish(folder, metrics)


def write_classes(folder: Path, problem: Problem) -> None:
    """Write which classes there are and what describes them."""
    seen = set(problem.seen.tolist())
    classes = [{"name": name, "seen": index in seen} for index, name in enumerate(problem.classes)]
    write_json(folder / "classes.json", classes)
    described = table.classes_csv(problem.classes, problem.semantics, problem.semantic_names)
    write_bytes(folder / SEMANTICS, described)


def finish(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Write the checksums of all files of a run, and last its metrics, which say that it is done."""
    files = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    write_checksums(folder, sorted(files - {CHECKSUMS, METRICS}), {METRICS: json_bytes(metrics)})
    write_json(folder / METRICS, metrics)


def _follow(
    request: Request,
    problem: Problem,
    recipe: Recipe,
    device: torch.device,
    folder: Path,
    resume: bool,
    on_recorder: Callable[[Recorder], None],
) -> dict[str, Any]:
    """Train along with the process that keeps the run in `folder`, and write nothing."""
    recorder = Recorder(follows=folder)
    on_recorder(recorder)
    parallel.together()
    finished = resume and (folder / METRICS).exists()
    if resume and not finished:
        recorder.resume()
    parallel.together()
    if finished:
        return read_metrics(folder)
    outcome = carry_out(
        problem,
        recipe,
        protocol=request.protocol,
        oracle=request.oracle,
        seed=request.seed,
        device=device,
        recorder=recorder,
    )
    return _metrics(request, problem, recipe, outcome, recorder)


def check_finished(folder: Path) -> None:
    """Refuse what is no finished run.

    Raises
    ------
    InputError: there is no such folder, or it holds no run or an unfinished one.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such run folder; `gsmflow train` makes one under runs/")
    if not (folder / METRICS).exists():
        state = "an unfinished run; finish it with --resume" if (folder / CONFIG).exists() else "no run"
        raise InputError(f"{folder}: holds {state}")


def load_classifier(folder: Path) -> FittedClassifier:
    """The classifier of a finished run.

    Raises
    ------
    InputError: the folder holds no finished run, or its files are damaged or do not fit together.
    """
    check_finished(folder)
    classes = read_json(check(folder / "classes.json"))
    try:
        names = tuple(str(entry["name"]) for entry in classes)
    except (TypeError, KeyError):
        raise InputError(f"{folder / 'classes.json'}: expected a list of objects with a name") from None
    file = folder / "head.safetensors"
    tensors, _ = read_tensors(file)
    return FittedClassifier.from_state(tensors, names, str(file))


def read_metrics(folder: Path) -> dict[str, Any]:
    """The metrics of a finished run.

    Raises
    ------
    InputError: there are none, or they are damaged.
    """
    return read_json(check(folder / METRICS))


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run.

    Raises
    ------
    InputError: there is none, or it is damaged.
    """
    file = check(folder / CONFIG)
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not valid TOML ({error})") from None


def load_backbone(folder: Path) -> BackboneSpec:
    """The backbone that the features of a run were made with.

    Raises
    ------
    InputError: the run's features were not made of images by this program.
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
    """The problem a run was made from, and whether it is still what it was; with the classes added since.

    Parameters
    ----------
    config: of the run. data_root: the folder that holds the named data sets.
    problem, features: read these instead of what the configuration names.

    Raises
    ------
    InputError: the source cannot be read any more, or an added class does not fit to it.
    """
    asked = config["run"]
    if problem is None and features is None and (folder / DATA).exists():
        found = kept.load(folder / DATA)
    else:
        found = sources.load(
            problem or asked["problem"],
            data_root=data_root,
            features=features or asked.get("features"),
            semantics=asked.get("semantics"),
        )
    same = found.fingerprint == config["data"]["fingerprint"]
    added = config.get("added_classes", [])
    if added:
        found = found.with_classes([each["name"] for each in added], [each["semantics"] for each in added])
    return found, same


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
    """A name for a folder that is like the text and leads nowhere else; `otherwise` where nothing is left of it.

    >>> folder_name("../my data", "problem"), folder_name("..", "problem")
    ('my-data', 'problem')
    """
    return re.sub(r"[^A-Za-z0-9_.=@+-]+", "-", text)[:_NAME].strip(".-") or otherwise


def _config(request: Request, problem: Problem, recipe: Recipe, device: torch.device) -> dict[str, Any]:
    run = {key: value for key, value in asdict(request).items() if value is not None}
    backbone = {"backbone": dict(problem.backbone)} if problem.backbone else {}
    return {
        "run": run | {"method": recipe.method.name, "preset": recipe.preset},
        "options": recipe.tables(),
        "data": {
            "name": problem.name,
            **problem.summary()["counts"],
            "fingerprint": problem.fingerprint,
            "notes": dict(problem.notes),
        },
        **backbone,
        "machine": {
            "device": describe(device),
            "threads": torch.get_num_threads(),
            "processes": parallel.size(),
            "python": platform.python_version(),
            "gsmflow": __version__,
            **{name: _version(name) for name in ("torch", "numpy", "scipy", "scikit-learn")},
            "git_commit": _git_commit(),
        },
    }


def refuse_taken(folder: Path) -> None:
    """Refuse a folder that holds a run.

    Raises
    ------
    InputError: it does, finished or not.
    """
    if _taken(folder):
        raise InputError(
            f"{folder}: holds a run already; add --resume to continue it, or choose another --out"
        )


def _taken(folder: Path) -> bool:
    return (folder / CONFIG).exists() or (folder / METRICS).exists()


def _check_free(folder: Path, config: Mapping[str, Any], resume: bool) -> None:
    """Refuse a folder that holds a run, unless it is to be continued and is of the same request."""
    if not resume:
        refuse_taken(folder)
    elif _taken(folder):
        _check_same(folder / CONFIG, config)


def _check_same(file: Path, config: Mapping[str, Any]) -> None:
    """Refuse to continue a run that was made by another request."""
    old = _flat(read_config(file.parent))
    new = _flat(config)
    for key in sorted(old.keys() | new.keys()):
        if key.startswith("machine.") or old.get(key) == new.get(key):
            continue
        raise InputError(
            f"{file}: the run there has {key} = {old.get(key)}, this request {new.get(key)}; repeat the "
            "command it was started with, or choose another --out"
        )


def _flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _metrics(
    request: Request, problem: Problem, recipe: Recipe, outcome: Outcome, recorder: Recorder
) -> dict[str, Any]:
    scores = {key: _number(value) for key, value in asdict(outcome.scores).items() if key != "per_class"}
    seconds = {part: round(value, 3) for part, value in recorder.records.get("seconds", {}).items()}
    metrics: dict[str, Any] = {
        "method": recipe.method.name,
        "problem": problem.name,
        "preset": recipe.preset,
        "seed": request.seed,
        "protocol": request.protocol,
        **scores,
        "per_class": outcome.scores.per_class,
        "steps": outcome.steps,
        "seconds": seconds | {"total": round(recorder.seconds, 3)},
    }
    if outcome.choice:
        on = "validation problem, cut from the training part"
        if not recipe.selection.trust_validation:
            on = "held-out samples of seen classes, by a head on synthetic ones"
        metrics["chosen"] = {"on": on} | asdict(outcome.choice)
    if outcome.confidence:
        metrics["confidence"] = outcome.confidence
    if outcome.shifts:
        metrics["shifts"] = headline(outcome.shifts)
    if outcome.oracle:
        metrics["oracle"] = {"on": "the test set: an upper bound, not a result"} | asdict(outcome.oracle)
    return metrics


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _git_commit() -> str:
    """The commit of the checkout this package is imported from, with ``+changes``; empty outside one."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        if not git("ls-files", __file__):
            return ""
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""
