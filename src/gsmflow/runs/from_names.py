"""A run made from the names of classes alone. No picture of any class is needed.

The texts about the classes and a model of images and texts make a problem without samples, in which all classes are
unseen. The method ``zero-shot`` runs on it as on any other problem. The run folder holds the problem, so that classes
can be added.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.files.image_text import is_named
from gsmflow.images.backbone import BackboneSpec
from gsmflow.recipes.recipe import make_recipe
from gsmflow.runs.folder import Request
from gsmflow.runs.train import train
from gsmflow.semantics.describing import Texts
from gsmflow.semantics.encoder import open_encoder
from gsmflow.semantics.sentences import averaged

if TYPE_CHECKING:
    import torch

NAMES = "names"  # what such a problem is called


def problem_of(texts: Texts, device: torch.device) -> Problem:
    """A problem with texts about its classes, and without samples.

    Parameters
    ----------
    texts : Texts
        The texts about each class, with a model of images and texts as encoder.
    device : torch.device
        Where the model computes.

    Raises
    ------
    InputError
        The encoder is no such model or cannot be opened, or two classes are described alike.
    """
    if not is_named(texts.encoder):
        raise InputError(
            f"{texts.encoder}: expected a model of images and texts, as clip:FOLDER or clip:OWNER/NAME",
            parameter="model",
        )
    vectors = averaged(texts.names, texts.sentences, open_encoder(texts.encoder, device))
    origin = texts.origin()
    spec = BackboneSpec.of(texts.encoder).to_dict() | {"sha256": origin["encoder_sha256"]}
    nobody, dims = np.zeros(0, np.int64), vectors.shape[1]
    return Problem(
        name=NAMES,
        features=np.zeros((0, dims), np.float32),
        labels=nobody,
        semantics=vectors,
        classes=texts.names,
        train=nobody,
        test_seen=nobody,
        test_unseen=nobody,
        semantic_names=texts.dimensions(dims),
        backbone=spec,
        semantic_origin=origin,
        notes={"split": "no pictures, all classes are known by texts alone"},
    )


def run_on_names(texts: Texts, *, device: torch.device, folder: Path) -> dict[str, Any]:
    """Make a run that labels pictures with classes described by texts. Returns its metrics.

    Parameters
    ----------
    texts : Texts
        The texts about each class, with a model of images and texts as encoder.
    device : torch.device
        Where tensors live.
    folder : Path
        The run folder, which is created.

    Raises
    ------
    InputError
        The model cannot be opened, two classes are described alike, or the folder holds another run.
    """
    problem = problem_of(texts, device)
    request = Request(NAMES, features=None, semantics=None, protocol="last", oracle=False, seed=0)
    recipe = make_recipe("zero-shot", "best")
    return train(request, problem, recipe, device=device, folder=folder, keep_data=True)
