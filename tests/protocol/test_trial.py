"""A trial on a prepared problem: what it gives a protocol to choose among, and what a choice means elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gsmflow.base.errors import InputError
from gsmflow.data.validation import validation_problem
from gsmflow.heads.calibration import fit_temperature
from gsmflow.heads.representation import RepresentedHead
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.choice import Choice, last_step
from gsmflow.protocol.choosing import choose, schedule_as_on, score_along, validation_problems
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.trial import Trial
from gsmflow.recipes.recipe import make_recipe
from gsmflow.scores.gzsl import harmonic_mean, score
from support.recipes import OVERRIDES, problem

CPU = torch.device("cpu")


def trial(method: str = "gsmflow", *overrides: str, stage: str = "validation") -> Trial:
    """On the validation problem of the quick one."""
    own = OVERRIDES if method == "gsmflow" else [o for o in OVERRIDES if not o.startswith("gsmflow.")]
    recipe = make_recipe(method, "best", (*own, *overrides))
    prepared = Prepared.of(validation_problem(problem(), 0), recipe.features, CPU)
    return Trial(prepared, recipe, 0, Recorder(), stage)


def test_the_transformation_is_fitted_on_the_training_part_alone() -> None:
    data = validation_problem(problem(), 0)
    options = make_recipe("gsmflow", "best", (*OVERRIDES, "features.scaling=standard")).features
    prepared = Prepared.of(data, options, CPU)
    rows = prepared.problem.features[data.train]
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(rows.std(axis=0), 1, atol=1e-2)
    np.testing.assert_array_equal(prepared.data.features.numpy(), rows)
    again = Prepared.by(prepared.transform, data, CPU)
    np.testing.assert_array_equal(again.problem.features, prepared.problem.features)


def test_every_epoch_of_the_head_is_a_candidate() -> None:
    along = trial()
    for step in along.train_to([8, 16]):
        assert along.step == step
        candidates = list(along.candidates())
        assert [candidate.choice.head_epochs for candidate in candidates] == [1, 2, 3, 4, 5, 6]
        assert {candidate.choice.epochs for candidate in candidates} == {step / along.learner.steps_per_epoch}
        assert all(candidate.choice.H == 0 for candidate in candidates)  # not scored yet
    assert along.synthesizes
    assert not along.direct


@pytest.mark.parametrize("method", ["gsmflow", "lda", "cada-vae", "likelihood"])
def test_the_scores_of_a_candidate_are_those_of_its_logits(method: str) -> None:
    along = trial(method, "head.calibrate=on")
    if not along.direct:
        assert list(along.train_to([6])) == [6]
    *_, candidate = along.candidates()
    choice = along.score(candidate)
    assert choice.bias != 0
    prepared = along.prepared
    logits, labels = prepared.test_logits(candidate.head, choice.bias)
    assert logits.shape == (len(labels), len(prepared.problem.classes))
    right = logits.argmax(axis=1) == labels

    def accuracy(classes: np.ndarray) -> float:
        return float(np.mean([right[labels == c].mean() for c in classes]))

    assert pytest.approx(accuracy(prepared.problem.unseen)) == choice.U
    assert pytest.approx(accuracy(prepared.problem.seen)) == choice.S
    assert pytest.approx(harmonic_mean(choice.U, choice.S)) == choice.H
    assert prepared.temperature(candidate.head, choice.bias) == pytest.approx(
        fit_temperature(logits, labels), rel=1e-4
    )


def test_a_represented_head_is_given_as_one_of_features() -> None:
    along = trial("cada-vae")
    assert list(along.train_to([4])) == [4]
    *_, candidate = along.candidates()
    assert isinstance(candidate.head, RepresentedHead)
    assert candidate.trained_head is candidate.head.head
    assert candidate.head.in_dim == along.prepared.problem.feature_dim


def test_a_direct_method_has_a_candidate_for_each_of_its_parameters() -> None:
    direct = trial("lda")
    assert direct.direct
    assert not direct.synthesizes
    scored = direct.score_all()
    assert len(scored) > 1
    assert len({tuple(choice.parameters.items()) for choice in scored}) == len(scored)
    best = max(scored, key=lambda choice: choice.H)
    chosen, default = direct.classifier(best), direct.classifier(None)
    heads = {tuple(c.choice.parameters.items()): c.head for c in direct.candidates()}
    for name, tensor in heads[tuple(best.parameters.items())].state().items():
        assert torch.equal(tensor, chosen.head.state()[name])
    for name, tensor in next(iter(heads.values())).state().items():
        assert torch.equal(tensor, default.head.state()[name])
    with pytest.raises(ValueError, match="tries no parameters"):
        direct.classifier(Choice(parameters={"ridge": 12345.0}))
    with pytest.raises(ValueError, match="tries no parameters"):
        direct.classifier(Choice(parameters={"nosuch": 1.0}))
    with pytest.raises(ValueError, match="is direct"):
        _ = direct.learner


def test_a_classifier_takes_raw_features_and_a_prepared_problem_its_transformed_ones() -> None:
    along = trial("gsmflow", "head.calibrate=on", "features.scaling=standard")
    assert list(along.train_to([8])) == [8]
    choice = max(along.score_all(), key=lambda choice: choice.H)
    classifier = along.classifier(choice)
    assert classifier.temperature == choice.temperature
    raw = validation_problem(problem(), 0)
    direct = score(raw, classifier.logits, unseen_logits=classifier.unseen_logits)
    assert along.prepared.scores(classifier).per_class == direct.per_class
    assert set(along.recorder.records["seconds"]) == {"validation", "selection", "synthesize", "head"}


def test_a_choice_carried_to_the_problem_it_was_made_on_has_its_bias() -> None:
    """The rates reproduce the bias that they were taken at, up to the step between two samples."""
    along = trial("gsmflow", "head.calibrate=on")
    assert list(along.train_to([24])) == [24]
    *_, last = along.candidates()
    choice = along.score(last)
    here = along.classifier(choice)
    reached = along.prepared.scores(here)
    assert pytest.approx(choice.U, abs=0.05) == reached.U
    assert pytest.approx(choice.S, abs=0.05) == reached.S
    assert along.classifier(replace(choice, real_rate=None)).bias == 0


def test_weights_stand_in_for_a_training() -> None:
    trained, restored = trial(), trial()
    assert list(trained.train_to([10])) == [10]
    restored.restore(trained.learner.weights())
    one, other = trained.classifier(None), restored.classifier(None)
    for name, tensor in one.state().items():
        assert torch.equal(tensor, other.state()[name]), name
    with pytest.raises(ValueError, match=r"weights|expected|shape"):
        trial("gsmflow", "gsmflow.hidden=16").restore(trained.learner.weights())


def test_several_trials_share_a_recorder_under_stages_of_their_own() -> None:
    """As a method does that stacks others: each is trained once, and what was done before is not done again."""
    recorder = Recorder()
    first, second = (replace(trial(stage=stage), recorder=recorder) for stage in ("one", "two"))
    for along in (first, second):
        assert list(along.train_to([4, 8])) == [4, 8]
    assert recorder.records["one.behind"] == recorder.records["two.behind"] == 8
    assert list(replace(trial(stage="one"), recorder=recorder).train_to([4, 8])) == []


def test_scoring_along_a_training_is_what_choosing_averages() -> None:
    data, recipe = problem(), trial().recipe
    (stage, cut), *more = validation_problems(data, recipe, 0)
    assert not more
    along = Trial(Prepared.of(cut, recipe.features, CPU), recipe, 0, Recorder(), stage)
    schedule = schedule_as_on(data, along)
    assert schedule.fractions[-1] == 1
    choices = score_along(along, schedule)
    assert len(choices) == len(schedule.fractions) * recipe.head.epochs
    assert {choice.epochs for choice in choices} == {fraction * 12 for fraction in schedule.fractions}
    assert choose(data, recipe, 0, CPU, Recorder()) == max(choices, key=lambda choice: choice.H)


def test_where_a_training_has_a_least_number_of_steps_the_chosen_length_is_a_fraction_of_those() -> None:
    """Passes over a validation problem are shorter, so that as many steps would be more of them."""
    settings = ("gsmflow.epochs=1", "gsmflow.least_steps=40", "selection.every=10", "selection.after=0")
    data, recipe = problem(), trial("gsmflow", *settings).recipe
    (_, cut), *_ = validation_problems(data, recipe, 0)
    part = Trial(Prepared.of(cut, recipe.features, CPU), recipe, 0, Recorder(), "part")
    whole = Trial(Prepared.of(data, recipe.features, CPU), recipe, 0, Recorder(), "whole")
    assert part.learner.total_steps == whole.learner.total_steps == 40
    assert part.learner.steps_per_epoch < whole.learner.steps_per_epoch
    schedule = schedule_as_on(data, part)
    assert schedule.fractions == [0.25, 0.5, 0.75, 1.0]
    lengths = [Choice(epochs=fraction * schedule.epochs) for fraction in schedule.fractions]
    assert [last_step(length, whole.learner) for length in lengths] == [10, 20, 30, 40]


@pytest.mark.parametrize("method", ["lda", "likelihood"])
def test_what_synthesizes_nothing_is_refused_before_it_is_trained(method: str) -> None:
    recorder = Recorder()
    recipe = make_recipe(method, "best", ("selection.trust_validation=off",))
    with pytest.raises(InputError, match="synthesizes nothing"):
        choose(problem(), recipe, 0, CPU, recorder)
    assert not recorder.history
