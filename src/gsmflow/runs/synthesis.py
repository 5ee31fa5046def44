"""Features that the generator of a finished run synthesizes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.compute.randomness import normal
from gsmflow.data.problem import Problem
from gsmflow.data.transform import FeatureTransform
from gsmflow.heads.stack import StackHead
from gsmflow.learning.journal import Recorder
from gsmflow.learning.learner import Generator
from gsmflow.learning.tensors import TrainingData
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.trial import Trial
from gsmflow.runs.fitted import FittedRun

CPU = torch.device("cpu")
_REMEDY = "; fit one that does, such as 'gsmflow'"


@dataclass(frozen=True)
class Synthesizer:
    """A trained generator, and the way from its samples back to raw features.

    Parameters
    ----------
    generator : Generator
        The generator with its weights, on the CPU.
    semantics : Tensor
        (C, A) of all classes in the order of the run, as the generator takes them.
    transform : FeatureTransform
        How raw features were transformed.
    """

    generator: Generator
    semantics: Tensor
    transform: FeatureTransform

    @staticmethod
    def of(run: FittedRun) -> Synthesizer:
        """The generator of a run; of a stack that of the member with the largest weight among those that have one.

        The learner is built on one made-up sample a class, because synthesis depends on weights and semantics alone.

        Raises
        ------
        InputError
            The method synthesizes no features, or the weights are of another run.
        """
        name = run.recipe.method.name
        if isinstance(run.classifier.head, StackHead):
            run = _generating(run, run.classifier.head)
        if run.recipe.method.learner is None or run.recipe.method.upper_bound:
            raise InputError(f"synthesize: method '{name}' synthesizes no features{_REMEDY}")
        trial = Trial(_stand_in(run), run.recipe, run.request.seed, Recorder())
        if not trial.synthesizes:
            raise InputError(f"synthesize: method '{name}' synthesizes no features{_REMEDY}")
        try:
            trial.restore(run.weights)
        except ValueError as error:
            raise InputError(f"{run.folder or 'weights'}: {error}; the files are of different runs") from None
        generator = trial.learner
        assert isinstance(generator, Generator)
        representation = generator.representation()
        if representation is not None and representation.kept[0] != 0:
            raise InputError(
                f"synthesize: method '{name}' synthesizes what its head sees ({representation.out_dim} dimensions), no "
                f"features{_REMEDY}"
            )
        return Synthesizer(generator, trial.prepared.data.semantics, run.classifier.transform)

    def features(self, position: int, count: int, seed: int) -> NDArray[np.float32] | NDArray[np.float64]:
        """Raw features (count, D) of the class at `position` in the run."""
        semantics = self.semantics[position : position + 1]
        with torch.no_grad():
            samples = self.generator.sample(semantics, count, seed, "synthesize", position)
        # A generator that learns a representation puts the features themselves first.
        return self.transform.inverse(samples[:, : self.transform.out_dim].float().numpy())


def _generating(run: FittedRun, stack: StackHead) -> FittedRun:
    """The run of the member that synthesizes and has the largest weight; the run itself if no member synthesizes."""
    weights = run.choice.parameters if run.choice else {}
    for member in sorted(stack.members, key=lambda each: -weights.get(each.label, 1.0)):
        recipe = run.recipe.members[member.label]
        if recipe.method.learner is not None:
            of_member = {
                name.removeprefix(f"{member.label}/"): tensor
                for name, tensor in run.weights.items()
                if name.startswith(f"{member.label}/")
            }
            classifier = replace(run.classifier, transform=member.transform)
            return replace(run, recipe=recipe, classifier=classifier, weights=of_member)
    return run


def _stand_in(run: FittedRun) -> Prepared:
    """A problem over the classes of a run, with one made-up transformed sample of every seen class."""
    count, transform = len(run.semantics), run.classifier.transform
    seen = np.setdiff1d(np.arange(count), run.classifier.unseen)
    nobody = np.zeros(0, np.int64)
    problem = Problem(
        name="stand-in",
        features=normal((len(seen), transform.out_dim), CPU, run.request.seed, "stand-in").numpy(),
        labels=seen,
        semantics=run.semantics,
        classes=run.classifier.classes,
        train=np.arange(len(seen)),
        test_seen=nobody,
        test_unseen=nobody,
    )
    return Prepared(problem, transform, TrainingData.of(problem, CPU))
