"""Runs made and loaded from Python, as `gsmflow train` makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import gsmflow.runs.train
from gsmflow import sources
from gsmflow.base.errors import InputError
from gsmflow.compute.devices import resolve_device, set_threads
from gsmflow.data.problem import Problem
from gsmflow.estimator.arguments import whole_number
from gsmflow.estimator.classifier import ZeroShotClassifier
from gsmflow.estimator.conversions import recipe_of
from gsmflow.estimator.log import tell
from gsmflow.recipes.preset import preset_for, recommended_method
from gsmflow.recipes.recipe import transductive_override
from gsmflow.runs.class_descriptions import Said
from gsmflow.runs.folder import Request, new_folder
from gsmflow.runs.pictures import Wanted, folder_of_pictures, plan


def load(folder: str | Path) -> ZeroShotClassifier:
    """The classifier in a run folder, made by `gsmflow train`, by [`train`][gsmflow.estimator.training.train] or by
    [`save`][gsmflow.estimator.classifier.ZeroShotClassifier.save].

    Parameters
    ----------
    folder : str | Path
        The run folder. Loading it executes no code.

    Raises
    ------
    ValueError
        The folder holds no finished run, or its files are damaged.
    """
    return ZeroShotClassifier.load(folder)


def train(
    problem: str | Path | Problem,
    *,
    method: str | None = None,
    preset: str | None = None,
    options: Mapping[str, Any] | None = None,
    protocol: str = "validated",
    oracle: bool = False,
    transductive: bool = False,
    seed: int = 0,
    features: str | None = None,
    semantics: str | None = None,
    backbone: str | None = None,
    classes: str | Sequence[str] | None = None,
    encoder: str | None = None,
    data_root: str | Path = "data",
    out: str | Path | None = None,
    resume: bool = False,
    keep_data: bool | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> ZeroShotClassifier:
    """Make a run as `gsmflow train` does, and load it: the same folder, and the same metrics bit for bit.

    Parameters
    ----------
    problem : str | Path | Problem
        A data set's name, ``digits``, ``synthetic:...``, a folder, or a problem in memory.
    method, preset, protocol, oracle, transductive, seed, features, semantics, resume, device, threads
        The options of the command, with the same defaults.
    backbone, encoder : str | None
        For a folder of pictures: what makes its features and the semantics of names; None: what is at hand
        ([`gsmflow.runs.pictures`][gsmflow.runs.pictures]).
    classes : str | Sequence[str] | None
        For a folder of pictures: names of classes, with pictures or without, or a file that describes them.
    options : Mapping[str, Any] | None
        Overrides of single options, such as ``{"gsmflow.epochs": 50}``.
    data_root : str | Path
        The folder that holds the named data sets.
    out : str | Path | None
        Run folder; without it one under ``runs/``, named after the run.
    keep_data : bool | None
        Write the problem into the run folder. None: only a problem in memory, which cannot be read from elsewhere.

    Returns
    -------
    ZeroShotClassifier
        The classifier, with the scores in ``metrics_`` and the run folder in ``folder_``.

    Raises
    ------
    ValueError
        The request or the data are wrong, or the folder holds another run.

    Examples
    --------
    >>> import tempfile
    >>> small = "synthetic:n=300,d=8,classes=8,unseen=2,a=5"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = train(small, method="lda", out=f"{folder}/run")
    >>> sorted(model.metrics_)[:4], model.unseen_classes_.tolist()
    (['AUSUC', 'H', 'S', 'T1'], ['class 6', 'class 7'])
    """
    if protocol == "oracle":
        protocol, oracle = "last", True
    if protocol not in ("validated", "last"):
        raise InputError(f"protocol = '{protocol}': expected 'validated', 'last' or 'oracle'")
    in_memory = isinstance(problem, Problem)
    name = problem.name if isinstance(problem, Problem) else str(problem)
    if method is None:
        method = (
            "auto"
            if in_memory and protocol == "validated"
            else recommended_method(name, Path(data_root), protocol)
        )
    if transductive:
        key, _, on = transductive_override(method).partition("=")
        options = {**(options or {}), key: on}
    recipe = recipe_of(method, preset_for(name, preset, method), options)
    where = resolve_device(device)
    pictured = (
        Wanted(backbone, features=features),
        Said(_listed(classes), encoder=encoder, semantics=semantics),
    )
    semantics = _from_pictures(problem, Path(data_root), *pictured, protocol == "validated", device)
    if isinstance(problem, Problem):
        loaded = problem
    else:
        loaded = sources.load(name, data_root=Path(data_root), features=features, semantics=semantics)
    request = Request(name, features, semantics, protocol, oracle, whole_number(seed, "seed", 0, 2**32 - 1))
    folder = Path(out) if out else new_folder(Path("runs"), request, recipe, resume=resume)
    before = torch.get_num_threads()
    lanes = set_threads(threads, recipe.features.out_dim(loaded))
    try:
        gsmflow.runs.train.train(
            request,
            loaded,
            recipe,
            device=where,
            folder=folder,
            resume=resume,
            keep_data=in_memory if keep_data is None else keep_data,
            lanes=lanes,
        )
    finally:
        torch.set_num_threads(before)
    run = load(folder)
    tell(loaded, run.metrics_)
    return run


def _from_pictures(
    problem: str | Path | Problem, root: Path, wanted: Wanted, said: Said, validated: bool, device: str
) -> str | None:
    """Make features and semantics of a folder of pictures, and return the name of the semantics."""
    folder = None if isinstance(problem, Problem) else folder_of_pictures(str(problem), root)
    if folder is None:
        if wanted.anything or said.anything:
            raise InputError(
                f"{problem}: is no folder of pictures, so leave out backbone, classes and encoder"
            )
        return said.semantics
    needed = plan(folder, wanted, said, validated=validated)
    if needed is None:
        return said.semantics
    needed.carry_out(device)
    return needed.descriptions.semantics


def _listed(classes: str | Sequence[str] | None) -> str | None:
    return classes if classes is None or isinstance(classes, str) else ",".join(classes)
