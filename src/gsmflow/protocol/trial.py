"""One method on one prepared problem: its training, the heads along the way, and their scores.

A trial does not depend on the protocol: it provides the candidates on a validation problem, and the chosen
classifier on the whole problem. Direct and trained methods have the same interface::

    trial = Trial(Prepared.of(problem, recipe.features, device), recipe, seed, recorder, "validation")
    for step in trial.train_to([100, 200]):        # trained methods only
        for candidate in trial.candidates():
            choice = trial.score(candidate)
            logits, labels = trial.prepared.test_logits(candidate.head, choice.bias)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.compute.devices import one_thread
from gsmflow.data.problem import Problem
from gsmflow.data.semantic_scaling import scaled_semantics
from gsmflow.data.validation import unseen_bias_problems
from gsmflow.heads.base import Head
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.heads.linear import LinearHead
from gsmflow.heads.representation import on_features
from gsmflow.learning.averaging import heads_on_sets
from gsmflow.learning.head_data import Pool, Stream
from gsmflow.learning.journal import Recorder
from gsmflow.learning.learner import Generator, Learner, Scorer
from gsmflow.learning.loop import advance
from gsmflow.learning.softmax import train_head
from gsmflow.learning.tensors import TrainingData
from gsmflow.protocol.choice import Candidate, Choice, last_step, nothing_synthesized, without_bias
from gsmflow.protocol.direct_heads import direct_head
from gsmflow.protocol.learners import restored, untrained
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.unseen_bias import UnseenRates, bias_at_rate, bias_for, rate_among, rates_of
from gsmflow.recipes.recipe import Recipe
from gsmflow.scores.gzsl import GZSL_SCORES, best_bias, harmonic_mean

_RATED = 2048  # real features used for the selection rates of methods that synthesize nothing
_KNOWN_AFTER = 25  # passes over the training samples after which a generator knows them


@dataclass
class Trial:
    """A learner or a direct method on one prepared problem.

    Parameters
    ----------
    prepared : Prepared
        The problem.
    recipe : Recipe
        Which method, and all options.
    seed : int
        Names all random draws.
    recorder : Recorder
        Keeps the training: history, checkpoints, seconds.
    stage : str
        Name of the training in the recorder; every trial of a recorder needs its own.
    step : int
        How many steps of the training are done.
    """

    prepared: Prepared
    recipe: Recipe
    seed: int
    recorder: Recorder
    stage: str = "final"
    step: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        data, problem, options = self.prepared.data, self.prepared.problem, self.recipe.semantics
        scaled = scaled_semantics(problem.semantics, problem.seen, options, problem.semantic_origin)
        semantics = torch.from_numpy(np.ascontiguousarray(scaled)).to(data.device)
        self.prepared = replace(self.prepared, data=replace(data, semantics=semantics))

    @property
    def direct(self) -> bool:
        """Whether the method computes its heads without training."""
        return self.recipe.method.direct is not None

    @property
    def short_steps(self) -> bool:
        """Whether the steps of its training are too short to divide among threads."""
        return self.recipe.has_short_steps(self.prepared.data.features.shape[1])

    @property
    def synthesizes(self) -> bool:
        """Whether the method synthesizes features of unseen classes."""
        return not self.direct and isinstance(self.learner, Generator)

    @cached_property
    def learner(self) -> Learner:
        """The model of a trained method, created on first use.

        Raises
        ------
        InputError
            It is to be tuned by its outcome, and synthesizes nothing.
        ValueError
            The method is direct.
        """
        return untrained(self.recipe, self.prepared.data, self.seed)

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Load the weights of a trained model instead of training; does nothing for a direct method.

        Raises
        ------
        ValueError
            The weights do not belong to this method with these options on such data.
        """
        if not self.direct:
            self.learner = restored(self.recipe, self.prepared.data, self.seed, weights)

    def step_at(self, fraction: float) -> int:
        """The step at which a fraction in (0, 1] of the training is done."""
        return max(1, round(fraction * self.learner.total_steps))

    def train_to(self, stops: Sequence[int]) -> Iterator[int]:
        """Train, and pause after each step in `stops` (ascending). Steps before the checkpoint are not repeated.

        A checkpoint may have been written exactly at a stop, before anything was done there. So the stops that
        are done are recorded separately from the steps.
        """
        recorder, behind = self.recorder, f"{self.stage}.behind"
        if recorder.records.get(behind, 0) >= stops[-1]:
            return
        done = recorder.begin(self.stage, self.learner, stops[-1])
        for stop in stops:
            if stop <= recorder.records.get(behind, 0):
                continue
            with recorder.timing(self.stage), one_thread(self.short_steps):
                advance(self.learner, done, stop, recorder)
                recorder.paused(self.learner)
            done = self.step = stop
            yield stop
            recorder.records[behind] = stop
        recorder.end(self.learner)

    def candidates(self) -> Iterator[Candidate]:
        """The heads to choose among at this step.

        A direct method has one for each of its parameters, and a learner that classifies by itself has one. For a
        generator they are the softmax head after each of its epochs, on real and newly synthesized features.
        """
        data, now = self.prepared.data, self._here()
        if self.recipe.method.direct:
            pool = Pool.of_real(data)
            for parameters, head in self.recipe.method.direct(data, self.recipe.options):
                yield Candidate(replace(now, parameters=parameters), head, pool, head)
        elif isinstance(self.learner, Scorer):
            head = self.learner.head()
            yield Candidate(replace(now, head_epochs=1), head, Pool.of_real(data, _RATED), head)
        else:
            generator = self._generator()
            pool = self._synthetic(0)
            representation = generator.representation()
            heads = heads_on_sets(
                pool, self._synthetic, len(data.semantics), self.recipe.head, self.seed, "head"
            )
            for epoch, head in enumerate(heads, start=1):
                whole = on_features(representation, head)
                yield Candidate(replace(now, head_epochs=epoch), whole, pool, head)

    def candidate(self, choice: Choice) -> Candidate:
        """The head of a direct method for a choice."""
        head = direct_head(self.prepared, self.recipe, choice)
        return Candidate(choice, head, Pool.of_real(self.prepared.data), head)

    def score(self, candidate: Candidate) -> Choice:
        """The scores of a candidate on the test parts of the problem, with the best bias if a bias is allowed."""
        prepared, calibrate = self.prepared, self.recipe.head.calibrate
        curve = prepared.curve(candidate.head)
        bias = best_bias(curve) if calibrate else 0.0
        unseen, seen = curve.at(bias)
        choice = replace(
            candidate.choice,
            bias=bias,
            temperature=prepared.temperature(candidate.head, bias),
            U=unseen,
            S=seen,
            H=harmonic_mean(unseen, seen),
            AUSUC=curve.area,
        )
        if not calibrate:
            return choice
        if self.direct:
            rate = prepared.called_unseen(candidate.head, bias)
            return replace(choice, real_rate=rate, unseen=len(prepared.problem.unseen))
        rates = rates_of(candidate.trained_head, candidate.pool, prepared.data.unseen, bias)
        return replace(choice, real_rate=rates.real, synthetic_rate=rates.synthetic)

    def score_all(self) -> list[Choice]:
        """Score every candidate; the scores of the best one are written to the history of the training."""
        if self.direct:
            return [self.score(candidate) for candidate in self.candidates()]
        with self.recorder.timing("selection"):
            scored = [self.score(candidate) for candidate in self.candidates()]
        best = max(scored, key=lambda choice: choice.H)
        self.recorder.scored(self.step, {name: getattr(best, name) for name in GZSL_SCORES})
        return scored

    def score_synthesis(self) -> list[Choice]:
        """S on real features, by a head trained on synthetic ones of the seen classes alone, after each epoch.

        Raises
        ------
        InputError
            The method synthesizes nothing.
        """
        generator, data, options = self._generator(), self.prepared.data, self.recipe.head
        now, scored = self._here(), []
        with self.recorder.timing("selection"):
            playing = replace(data, unseen=data.seen)
            both = Pool.synthesize(generator, playing, options.synthetic_per_class, self.seed)
            pool, representation = both.synthetic(data.seen), generator.representation()
            heads = train_head(pool, len(data.seen), options, self.seed, "head")
            for epoch, head in enumerate(heads, start=1):
                seen = float(self.prepared.curve(on_features(representation, head)).seen[0])
                scored.append(replace(now, head_epochs=epoch, S=seen))
        self.recorder.scored(self.step, {"S": max(choice.S for choice in scored)})
        return scored

    def classifier(self, choice: Choice | None, *, unseen_alone: bool = True) -> FittedClassifier:
        """The classifier for a choice; without a choice it has the head epochs of the recipe and no bias.

        Parameters
        ----------
        choice : Choice | None
            The choice.
        unseen_alone : bool
            If the method is a generator, also train the head over unseen classes alone, for conventional zero-shot
            learning.

        Raises
        ------
        ValueError
            A direct method does not try the chosen parameters.
        """
        data, recorder = self.prepared.data, self.recorder
        alone: Head | None = None
        if self.direct:
            with recorder.timing("fit"):
                head = trained = direct_head(self.prepared, self.recipe, choice)
            pool: Pool | Stream = Pool.of_real(data)
        elif isinstance(self.learner, Scorer):
            with recorder.timing("head"):
                head = trained = self.learner.head()
            pool = Pool.of_real(data, _RATED)
        else:
            generator = self._generator()
            with recorder.timing("synthesize"):
                pool = self._synthetic(0)
            with recorder.timing("head"):
                trained, of_unseen = self._softmax_heads(pool, choice, unseen_alone)
            representation = generator.representation()
            head = on_features(representation, trained)
            alone = on_features(representation, of_unseen) if of_unseen else None
        return FittedClassifier(
            self.prepared.transform,
            head,
            self.prepared.problem.classes,
            self.prepared.problem.unseen,
            self._carried_bias(trained, pool, choice),
            alone,
            choice.temperature if choice else 1.0,
        )

    def held_out_logits(self, choice: Choice | None, raw: Problem | None = None) -> NDArray[np.float32]:
        """Logits (T, C) of training samples from fits without them, divided by their spread.

        A fifth is left out at a time, as often as
        [`unseen_bias_problems`][gsmflow.data.validation.unseen_bias_problems] says. A generator that passed over the
        samples often is trained again without them, from `raw`, the problem with raw features: what it synthesizes
        for unseen classes is like the samples that it knows. Of other generators only the head is trained again.
        """
        prepared, recipe, logits = self.prepared, self.recipe, []
        steps = 0 if self.direct else last_step(choice, self.learner)
        whole = raw if steps > 0 and steps > _KNOWN_AFTER * self.learner.steps_per_epoch else None
        for problem in unseen_bias_problems(whole or prepared.problem, self.seed):
            smaller = recipe
            if whole:
                without = Prepared.of(problem, recipe.features, prepared.device)
            else:
                without = Prepared(problem, prepared.transform, TrainingData.of(problem, prepared.device))
                # A head learns that frequent classes are more likely.
                share = len(problem.train) / len(prepared.problem.train)
                synthetic = max(1, round(share * recipe.head.synthetic_per_class))
                smaller = replace(recipe, head=replace(recipe.head, synthetic_per_class=synthetic))
            part = Trial(without, smaller, self.seed, Recorder())
            if whole:
                *_, _ = part.train_to([part.step_at(steps / self.learner.total_steps)])
            elif steps:
                part.restore(self.learner.weights())
            head = part.classifier(without_bias(choice), unseen_alone=False).head
            logits.append(part.prepared.test_logits(head)[0] / np.float32(part.prepared.spread(head)))
        return np.concatenate(logits)

    def _here(self) -> Choice:
        """A choice with the current length of the training."""
        return Choice() if self.direct else Choice(epochs=self.step / self.learner.steps_per_epoch)

    def _synthetic(self, draw: int) -> Pool | Stream:
        """Real features and newly synthesized ones; `draw` is the number of the set."""
        options = self.recipe.head
        return Pool.synthesize(
            self._generator(), self.prepared.data, options.synthetic_per_class, self.seed, draw=draw
        )

    def _generator(self) -> Generator:
        if self.direct or not isinstance(self.learner, Generator):
            raise nothing_synthesized(self.recipe)
        return self.learner

    def _softmax_heads(
        self, pool: Pool | Stream, choice: Choice | None, unseen_alone: bool
    ) -> tuple[LinearHead, LinearHead | None]:
        """The head over all classes, and the head over unseen classes alone if there are any and it is wanted."""
        data, options = self.prepared.data, self.recipe.head
        epochs = choice.head_epochs if choice else options.epochs
        key = (self.seed, "head")
        *_, head = heads_on_sets(pool, self._synthetic, len(data.semantics), options, *key, epochs=epochs)
        if not len(data.unseen) or not unseen_alone:
            return head, None

        def of_unseen(draw: int) -> Pool | Stream:
            return (self._synthetic(draw) if draw else pool).synthetic(data.unseen)

        key = (self.seed, "zsl")
        *_, alone = heads_on_sets(of_unseen(0), of_unseen, len(data.unseen), options, *key, epochs=epochs)
        return head, alone

    def _carried_bias(self, head: Head, pool: Pool | Stream, choice: Choice | None) -> float:
        """The bias for this head that follows from a choice on another problem; 0 if none was chosen."""
        unseen = self.prepared.data.unseen
        if choice is None or choice.real_rate is None or not len(unseen):
            return 0.0
        if choice.unseen is None:
            return bias_for(head, pool, unseen, UnseenRates(choice.real_rate, choice.synthetic_rate))
        rate = rate_among(choice.real_rate, len(unseen), of=choice.unseen)
        held_out = self.held_out_logits(choice)
        return bias_at_rate(held_out, unseen.cpu().numpy(), rate) * self.prepared.spread(head)
