"""Makes a run: trains, scores and writes the run folder."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w
import torch

from gsmflow.base.errors import InputError
from gsmflow.base.progress import Progress
from gsmflow.base.version import __version__
from gsmflow.compute.data_parallel import rank, size, together
from gsmflow.compute.devices import describe
from gsmflow.data.bundle import save
from gsmflow.data.feature_options import check_projection
from gsmflow.data.lending import Setting, lend, whole
from gsmflow.data.problem import Problem
from gsmflow.data.transform import FeatureTransform
from gsmflow.data.warnings import of_rival, of_run
from gsmflow.files.atomic import held, sweep, write_bytes, write_json
from gsmflow.files.tensors import write_tensors
from gsmflow.learning.journal import CHECKPOINT, Recorder
from gsmflow.protocol import fitting
from gsmflow.protocol.choice import ChosenOn, Outcome
from gsmflow.protocol.semantic_weights import with_weights
from gsmflow.recipes.recipe import Recipe
from gsmflow.runs.examples import Examples
from gsmflow.runs.folder import (
    CONFIG,
    DATA,
    EXAMPLES,
    METRICS,
    Request,
    _taken,
    finish,
    read_config,
    read_metrics,
    refuse_taken,
    write_classes,
)
from gsmflow.runs.joined_semantics import weights_for
from gsmflow.runs.metrics import Chosen, Metrics
from gsmflow.runs.provenance import git_commit, installed
from gsmflow.runs.thumbnails import FILE as THUMBNAILS
from gsmflow.runs.thumbnails import Thumbnails
from gsmflow.scores.gzsl import score
from gsmflow.scores.shifts import headline


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
    lanes: int = 1,
) -> dict[str, Any]:
    """Make a run in `folder` and return its metrics.

    Parameters
    ----------
    request : Request
        The request.
    problem : Problem
        The data.
    recipe : Recipe
        Method and options.
    device : torch.device
        Where tensors live.
    folder : Path
        The run folder, which is created.
    resume : bool
        Continue an interrupted run; a finished one is returned as it is.
    progress : Progress | None
        Receives every stage and step.
    checkpoint_seconds : float
        Time between two checkpoints.
    keep_data : bool
        Write the problem itself into the folder, so that classes can be added without the source.
    on_recorder : Callable[[Recorder], None]
        Receives the recorder, through which the run can be asked to stop.
    lanes : int
        Trainings at the same time, see [`run`][gsmflow.protocol.fitting.run].

    Raises
    ------
    InputError
        The folder cannot be written to, holds another run, or is in use.
    """
    recipe.check(problem)
    problem = lend(problem, recipe.setting, request.seed)
    check_projection(problem, recipe.features)
    if size() > 1:
        recipe.check_divisible()
    weights = weights_for(request, problem, recipe, device, folder if resume else None)
    if weights:
        recipe = with_weights(recipe, weights.weights)
    if rank():
        return _follow(request, problem, recipe, device, folder, resume, on_recorder)
    config = config_of(request, problem, recipe, device)
    existing = folder / CONFIG
    _check_free(folder, config, resume)
    with held(folder, worth=(folder / CHECKPOINT).exists):
        _check_free(folder, config, resume)  # once more: another run may have begun and ended in between
        sweep(folder)
        if (folder / METRICS).exists():
            together()
            together()
            return read_metrics(folder)
        recorder = Recorder(folder, progress, checkpoint_seconds)
        on_recorder(recorder)
        if not (resume and recorder.resume()):
            (folder / "history.jsonl").unlink(missing_ok=True)
        together()
        together()  # in between, the others have read what this one continues from
        write_bytes(existing, tomli_w.dumps(config).encode())
        if weights and progress:
            progress.message(f"weights of semantics: {weights.words}")
        outcome, metrics = _carried_out(request, problem, recipe, device, recorder, lanes)
        if weights:
            metrics |= {"semantic_weights": weights.to_dict()}
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
    """Make a run from a generator that was trained elsewhere: fit the head, score, and return the metrics.

    Nothing is chosen here, so the head is trained as long as the recipe says, and no bias is added.

    Parameters
    ----------
    request : Request
        Its protocol is ``last``, or ``oracle`` if the weights were chosen on the test set.
    problem : Problem
        The data.
    recipe : Recipe
        Method and options that the weights belong to.
    weights : Mapping[str, torch.Tensor]
        The generator's weights, as in ``model.safetensors``.
    steps : int
        Steps of the generator's training.
    origin : Mapping[str, Any]
        Recorded in the configuration as ``imported``.
    device : torch.device
        Where tensors live.
    folder : Path
        The run folder, which is created.

    Raises
    ------
    InputError
        The weights do not fit the problem and the recipe, or the folder holds a run.
    """
    if _taken(folder):
        raise InputError(f"{folder}: holds a run already", remedy="choose another `out`")
    recorder = Recorder()
    transform = FeatureTransform.fit(problem, recipe.features)
    try:
        refitted = fitting.refit(problem, recipe, None, weights, transform, seed=request.seed, device=device)
    except ValueError as error:
        raise InputError(f"{origin.get('file', 'weights')}: {error}") from None
    scores = score(problem, refitted.logits, unseen_logits=refitted.unseen_logits)
    outcome = Outcome(None, scores, None, refitted, dict(weights), steps)
    with held(folder):
        config = config_of(request, problem, recipe, device) | {"imported": dict(origin)}
        write_bytes(folder / CONFIG, tomli_w.dumps(config).encode())
        metrics = metrics_of(request, problem, recipe, outcome, recorder).to_dict()
        _write(folder, problem, outcome, metrics, keep_data=False)
    return metrics


def _write(
    folder: Path, problem: Problem, outcome: Outcome, metrics: Mapping[str, Any], *, keep_data: bool
) -> None:
    """Write the results of a run."""
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
    thumbnails = Thumbnails.of(problem, outcome.classifier)
    if thumbnails:
        thumbnails.write(folder / THUMBNAILS)
    if keep_data:
        save(whole(problem), folder / DATA)
    finish(folder, metrics)


def _follow(
    request: Request,
    problem: Problem,
    recipe: Recipe,
    device: torch.device,
    folder: Path,
    resume: bool,
    on_recorder: Callable[[Recorder], None],
) -> dict[str, Any]:
    """Train along with the process that writes the run into `folder`, and write nothing."""
    recorder = Recorder(follows=folder)
    on_recorder(recorder)
    together()
    finished = resume and (folder / METRICS).exists()
    if resume and not finished:
        recorder.resume()
    together()
    if finished:
        return read_metrics(folder)
    return _carried_out(request, problem, recipe, device, recorder, 1)[1]


def _carried_out(
    request: Request, problem: Problem, recipe: Recipe, device: torch.device, recorder: Recorder, lanes: int
) -> tuple[Outcome, dict[str, Any]]:
    """Carry out the request. Returns its outcome, and the metrics as plain values."""
    asked: dict[str, Any] = {"protocol": request.protocol, "oracle": request.oracle, "seed": request.seed}
    outcome = fitting.run(problem, recipe, **asked, device=device, recorder=recorder, lanes=lanes)
    return outcome, metrics_of(request, problem, recipe, outcome, recorder).to_dict()


def config_of(request: Request, problem: Problem, recipe: Recipe, device: torch.device) -> dict[str, Any]:
    """The content of ``config.toml``: the request, all options, the data and the machine."""
    run = {key: value for key, value in asdict(request).items() if value is not None}
    run |= _setting(recipe)
    made_by = {"backbone": dict(problem.backbone)} if problem.backbone else {}
    if problem.semantic_origin:
        made_by["semantic_origin"] = dict(problem.semantic_origin)
    return {
        "run": run | {"method": recipe.method.name, "preset": recipe.preset},
        "options": recipe.tables(),
        "data": {
            "name": problem.name,
            **problem.summary()["counts"],
            "fingerprint": problem.fingerprint,
            "notes": dict(problem.notes),
            **({"feature_names": list(problem.feature_names)} if problem.feature_names else {}),
        },
        **made_by,
        **({"members": _members(recipe)} if recipe.members else {}),
        "machine": {
            "device": describe(device),
            "threads": torch.get_num_threads(),
            "processes": size(),
            "python": platform.python_version(),
            "gsmflow": __version__,
            **{name: installed(name) for name in ("torch", "numpy", "scipy", "scikit-learn")},
            "git_commit": git_commit(),
        },
    }


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
            f"{file}: the run there has {key} = {old.get(key)}, this request {new.get(key)}",
            remedy="repeat the command it was started with, or choose another `out`",
        )


def _flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _members(recipe: Recipe) -> list[dict[str, Any]]:
    """The recipes of a composite method's members."""
    return [
        {"label": label, "method": member.method.name, "options": member.tables()}
        for label, member in recipe.members.items()
    ]


def _setting(recipe: Recipe) -> dict[str, str]:
    """The setting, if it is not the usual one."""
    return {} if recipe.setting is Setting.INDUCTIVE else {"setting": recipe.setting.value}


def metrics_of(
    request: Request, problem: Problem, recipe: Recipe, outcome: Outcome, recorder: Recorder
) -> Metrics:
    """The content of ``metrics.json``: the scores with their protocol, the choice, and the seconds."""
    seconds = {part: round(value, 3) for part, value in recorder.records.get("seconds", {}).items()}
    on = ChosenOn.VALIDATION if recipe.selection.trust_validation else ChosenOn.HELD_OUT
    better = [of_rival(recipe.method.name, each).to_dict() for each in outcome.better]
    return Metrics(
        method=recipe.method.name,
        problem=problem.name,
        preset=recipe.preset,
        seed=request.seed,
        protocol=request.protocol,
        scores=outcome.scores,
        steps=outcome.steps,
        seconds=seconds | {"total": round(recorder.seconds, 3)},
        chosen=Chosen(on, outcome.choice) if outcome.choice else None,
        confidence=outcome.confidence,
        shifts=headline(outcome.shifts) if outcome.shifts else None,
        oracle=Chosen(ChosenOn.TEST, outcome.oracle) if outcome.oracle else None,
        more=_setting(recipe)
        | {"warnings": of_run(problem, outcome.scores.per_class) + better}
        | ({"members": outcome.members} if outcome.members else {})
        | ({"left_out": outcome.left_out} if outcome.left_out else {}),
    )
