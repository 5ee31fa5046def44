"""Features that the generator of a finished run synthesizes."""

from __future__ import annotations

import numpy as np
import torch

from gsmflow.base.errors import InputError
from gsmflow.compute.randomness import normal
from gsmflow.learning.learner import Generator
from gsmflow.learning.tensors import TrainingData
from gsmflow.runs.fitted import FittedRun


def generator_of(run: FittedRun) -> Generator:
    """The generator of a run with its weights, in float32 or as it was trained, on the CPU.

    What a learner prepares for its training it prepares of one made-up sample a class: synthesis depends on weights and
    semantics alone.

    Raises
    ------
    InputError
        The method synthesizes nothing, or the weights are of another run.
    """
    method = run.recipe.method
    nothing = InputError(
        f"synthesize: method '{method.name}' synthesizes no features; fit one that does, such as 'gsmflow'"
    )
    build = method.rebuild or method.learner
    if build is None:
        raise nothing
    classes = np.arange(len(run.semantics) - len(run.added))
    unseen = torch.from_numpy(run.classifier.unseen[run.classifier.unseen < len(classes)])
    seen = torch.from_numpy(np.setdiff1d(classes, unseen.numpy()))
    data = TrainingData(
        features=normal((len(seen), run.classifier.transform.out_dim), "cpu", run.request.seed, "stand-in"),
        labels=torch.arange(len(seen)),
        semantics=torch.from_numpy(run.semantics[classes]),
        seen=seen,
        unseen=unseen,
    )
    learner = build(data, run.recipe.options, run.request.seed)
    if not isinstance(learner, Generator):
        raise nothing
    try:
        learner.load_weights(run.weights)
    except ValueError as error:
        raise InputError(f"{run.folder or 'weights'}: {error}; the files are of different runs") from None
    representation = learner.representation()
    if representation is not None and representation.kept[0] != 0:
        raise InputError(
            f"synthesize: method '{method.name}' synthesizes what its head sees "
            f"({representation.out_dim} dimensions), no features; fit one that does, such as 'gsmflow'"
        )
    return learner


def synthesized(run: FittedRun, generator: Generator, position: int, count: int, seed: int) -> np.ndarray:
    """Features (count, D) of the class at `position` in the run, in the space of the raw features."""
    semantics = torch.from_numpy(run.semantics[position : position + 1])
    samples = generator.sample(semantics, count, seed, "synthesize", position)
    transform = run.classifier.transform
    # A generator that represents features puts those themselves first.
    return transform.inverse(samples[:, : transform.out_dim].float().numpy())
