"""What a problem lends of its unseen classes: the promise of its parts holds, and the cut repeats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gsmflow.base.errors import InputError
from gsmflow.data.lending import LendingProblem, Setting, check_lendable, lend, whole
from gsmflow.data.problem import Problem
from gsmflow.learning.tensors import TrainingData
from gsmflow.protocol.choosing import validation_problems
from gsmflow.recipes.recipe import make_recipe
from support.recipes import problem

CPU = torch.device("cpu")


def lending(setting: Setting, seed: int = 0) -> LendingProblem:
    cut = lend(problem(), setting, seed)
    assert isinstance(cut, LendingProblem)
    return cut


def test_an_upper_bound_gets_half_of_each_unseen_class_and_is_scored_on_the_other() -> None:
    given, cut = problem(), lending(Setting.UPPER_BOUND)
    assert not np.intersect1d(cut.lent, cut.test_unseen).size
    np.testing.assert_array_equal(np.union1d(cut.lent, cut.test_unseen), np.sort(given.test_unseen))
    for label in given.unseen:
        count = int((given.labels[given.test_unseen] == label).sum())
        assert (given.labels[cut.lent] == label).sum() == count // 2
    assert not np.isin(cut.train, given.test_unseen).any()
    np.testing.assert_array_equal(cut.unseen, given.unseen)


def test_the_cut_depends_on_the_seed_alone_and_not_on_the_order_of_samples() -> None:
    given = problem()
    turned = replace(given, test_unseen=given.test_unseen[::-1])
    np.testing.assert_array_equal(
        lending(Setting.UPPER_BOUND, 3).lent,
        lend(turned, Setting.UPPER_BOUND, 3).lent,  # type: ignore[attr-defined]
    )
    assert not np.array_equal(lending(Setting.UPPER_BOUND, 3).lent, lending(Setting.UPPER_BOUND, 4).lent)


def test_whatever_is_lent_the_data_are_the_same() -> None:
    given = problem()
    for setting in (Setting.UPPER_BOUND, Setting.TRANSDUCTIVE):
        cut = lending(setting)
        assert cut.fingerprint == given.fingerprint
        assert whole(cut).summary() == given.summary()
        assert lend(cut, setting, 5) is cut
    assert lend(given, Setting.INDUCTIVE, 0) is given


def test_the_transductive_setting_lends_features_without_labels_and_scores_them_all() -> None:
    given, cut = problem(), lending(Setting.TRANSDUCTIVE)
    np.testing.assert_array_equal(cut.test_unseen, given.test_unseen)
    lent = TrainingData.of(cut, CPU).lent
    assert lent is not None
    assert lent.labels is None
    np.testing.assert_array_equal(lent.features, given.features[given.test_unseen])


def test_training_data_hold_what_is_lent_apart() -> None:
    given, cut = problem(), lending(Setting.UPPER_BOUND)
    data = TrainingData.of(cut, CPU)
    assert data.lent is not None
    assert data.lent.labels is not None
    np.testing.assert_array_equal(data.lent.labels, given.labels[cut.lent])
    assert torch.equal(data.features, TrainingData.of(given, CPU).features)
    assert TrainingData.of(given, CPU).lent is None


@pytest.mark.parametrize(
    ("method", "setting"), [("upper-bound", Setting.UPPER_BOUND), ("lda", Setting.INDUCTIVE)]
)
def test_classes_that_play_unseen_lend_as_unseen_ones_do(method: str, setting: Setting) -> None:
    given = problem()
    recipe = make_recipe(method, "best", ["selection.problems=2"])
    for _, cut in validation_problems(given, recipe, 0):
        assert isinstance(cut, LendingProblem) is (setting is not Setting.INDUCTIVE)
        if isinstance(cut, LendingProblem):
            assert set(cut.labels[cut.lent]) == set(cut.unseen)
            assert len(cut.classes) == len(given.seen)  # no truly unseen class is there


def test_samples_that_cannot_be_lent_are_refused() -> None:
    cut = lending(Setting.UPPER_BOUND)
    with pytest.raises(InputError, match=r"of the seen class 'class \d+'"):
        replace(cut, lent=cut.train[:1])
    with pytest.raises(InputError, match="cannot be scored"):
        replace(cut, lent=cut.test_unseen[:1])
    assert len(replace(cut, lent=cut.test_unseen[:1], labelled=False).lent) == 1


def without_samples(classes: int) -> Problem:
    """The problem without test samples of its first unseen classes."""
    given = problem()
    gone = np.isin(given.labels[given.test_unseen], given.unseen[:classes])
    return replace(given, test_unseen=given.test_unseen[~gone])


def test_a_problem_that_has_nothing_to_lend_is_refused() -> None:
    with pytest.raises(InputError, match=f"no sample of the unseen class '{problem().classes[9]}'"):
        check_lendable(without_samples(1), Setting.UPPER_BOUND)
    check_lendable(without_samples(1), Setting.TRANSDUCTIVE)
    with pytest.raises(InputError, match="no features of unseen classes"):
        check_lendable(without_samples(3), Setting.TRANSDUCTIVE)
    check_lendable(without_samples(3), Setting.INDUCTIVE)


def test_a_class_with_a_single_sample_is_known_but_not_scored() -> None:
    given = problem()
    first = np.flatnonzero(given.labels[given.test_unseen] == given.unseen[0])
    cut = lend(replace(given, test_unseen=np.delete(given.test_unseen, first[1:])), Setting.UPPER_BOUND, 0)
    assert isinstance(cut, LendingProblem)
    assert (cut.labels[cut.lent] == given.unseen[0]).sum() == 1
    assert given.unseen[0] not in cut.labels[cut.test_unseen]
