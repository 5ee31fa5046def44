"""Protocols choose only where they may, and interrupted runs end as uninterrupted ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gsmflow.data.problem import Problem
from gsmflow.learning.journal import Recorder
from gsmflow.protocol import choosing
from gsmflow.protocol.choice import Outcome
from gsmflow.protocol.choosing import ranked_choices
from gsmflow.protocol.fitting import run
from gsmflow.recipes.recipe import make_recipe
from gsmflow.recipes.selection import SelectionOptions
from gsmflow.scores.gzsl import score
from support.recipes import OVERRIDES, problem


def carry_out(data: Problem, method: str = "gsmflow", overrides: tuple[str, ...] = (), **how: Any) -> Outcome:
    recipe = make_recipe(method, "best", (*(OVERRIDES if method == "gsmflow" else ()), *overrides))
    arguments: dict[str, Any] = {"protocol": "validated", "oracle": False, "seed": 0}
    return run(
        data,
        recipe,
        device=torch.device("cpu"),
        recorder=how.pop("recorder", Recorder()),
        **(arguments | how),
    )


def with_scrambled_test(data: Problem) -> Problem:
    """The same problem with other features in both test parts."""
    features = data.features.copy()
    test = np.concatenate((data.test_seen, data.test_unseen))
    features[test] = np.random.default_rng(0).normal(size=(len(test), data.feature_dim))
    return replace(data, features=features)


@pytest.mark.parametrize("method", ["gsmflow", "eszsl"])
def test_validated_never_looks_at_the_test_set(method: str) -> None:
    """With other test samples everything but the scores stays the same, to the last bit."""
    data = problem()
    true, scrambled = carry_out(data, method), carry_out(with_scrambled_test(data), method)
    assert true.choice == scrambled.choice
    assert true.steps == scrambled.steps
    for name, tensor in true.classifier.state().items():
        assert torch.equal(tensor, scrambled.classifier.state()[name]), name
    assert true.scores != scrambled.scores


def test_validated_never_looks_at_unseen_classes_to_choose() -> None:
    """With other semantics of the unseen classes the choice stays the same."""
    data = problem()
    semantics = data.semantics.copy()
    semantics[data.unseen] = semantics[data.unseen][::-1] * 0.5
    other = replace(data, semantics=semantics)
    assert carry_out(data).choice == carry_out(other).choice


def test_last_uses_the_whole_budget_and_chooses_nothing() -> None:
    outcome = carry_out(problem(), protocol="last")
    assert outcome.choice is None
    assert outcome.oracle is None
    assert outcome.steps == 12 * (len(problem().train) // 40)
    assert outcome.classifier.bias == 0


def test_the_oracle_is_beside_the_result_and_changes_nothing_of_it() -> None:
    data = problem()
    for name in ("last", "validated"):
        without, beside = carry_out(data, protocol=name), carry_out(data, protocol=name, oracle=True)
        assert without.scores == beside.scores
        assert without.steps == beside.steps
        assert beside.oracle is not None
        if name == "last":  # the same training and no bias in either: the best cannot be worse
            assert beside.oracle.H >= beside.scores.H
        for key, tensor in without.classifier.state().items():
            assert torch.equal(tensor, beside.classifier.state()[key])


def test_scores_are_those_of_the_classifier_that_is_kept() -> None:
    data = problem()
    outcome = carry_out(data, overrides=("head.calibrate=on",))
    assert outcome.classifier.bias != 0
    again = score(data, outcome.classifier.logits, unseen_logits=outcome.classifier.unseen_logits)
    assert again.per_class == outcome.scores.per_class
    assert again.T1 == outcome.scores.T1
    assert pytest.approx(outcome.scores.U) == again.U


def test_every_seed_is_its_own_run_and_repeats() -> None:
    data = problem()
    first, again, other = (carry_out(data, seed=seed) for seed in (3, 3, 4))
    assert first.scores == again.scores
    assert first.choice == again.choice
    assert all(torch.equal(t, again.weights[n]) for n, t in first.weights.items())
    assert not all(torch.equal(t, other.weights[n]) for n, t in first.weights.items())


def mean_accuracy(data: Problem, outcome: Outcome, part: Any) -> float:
    """Over the classes of a test part, of what the classifier that is kept says."""
    right = outcome.classifier.logits(data.features[part]).argmax(axis=1) == data.labels[part]
    return float(np.mean([right[data.labels[part] == c].mean() for c in np.unique(data.labels[part])]))


@pytest.fixture(scope="module")
def plain() -> Outcome:
    """A short run with no switch changed."""
    return carry_out(problem(), protocol="last", overrides=("gsmflow.epochs=3",))


@pytest.mark.parametrize(
    "override",
    [
        "gsmflow.perturbation=0",
        "gsmflow.relative_positioning=off",
        "gsmflow.semantics_in_every_layer=off",
        "gsmflow.prototype_weight=0",
        "gsmflow.anchors_from=all",
        "gsmflow.perturbation_dropout=0.5",
        "gsmflow.precision=bfloat16",
        "gsmflow.clamp=2",
        "features.project=5",
        "features.scaling=standard",
        "features.scaling=length",
        "features.scaling=none",
        "head.calibrate=on",
        "gsmflow.batch_size=100000",
    ],
)
def test_every_switch_changes_the_run(override: str, plain: Outcome) -> None:
    data = problem()
    switched = carry_out(
        data,
        protocol="validated" if "calibrate" in override else "last",
        overrides=("gsmflow.epochs=3", override),
    )
    unseen, seen = (mean_accuracy(data, switched, part) for part in (data.test_unseen, data.test_seen))
    assert pytest.approx(unseen) == switched.scores.U
    assert pytest.approx(seen) == switched.scores.S
    assert pytest.approx(2 * unseen * seen / max(unseen + seen, 1e-9)) == switched.scores.H
    x = data.features[data.test_seen]
    assert not np.array_equal(plain.classifier.logits(x), switched.classifier.logits(x))


def test_conventional_zero_shot_learning_has_a_head_of_its_own() -> None:
    data = problem()
    outcome = carry_out(data, protocol="last")
    head = outcome.classifier.unseen_head
    assert head is not None
    assert len(head.bias) == len(data.unseen)
    guess = data.unseen[outcome.classifier.unseen_logits(data.features[data.test_unseen]).argmax(axis=1)]
    labels = data.labels[data.test_unseen]
    assert (
        pytest.approx(np.mean([(guess[labels == c] == c).mean() for c in data.unseen])) == outcome.scores.T1
    )


def test_evaluation_fractions() -> None:
    options = SelectionOptions(every=500, after=30_000)
    fractions = options.fractions(45_500)
    assert [round(fraction * 45_500) for fraction in fractions] == list(range(30_500, 45_501, 500))
    assert options.fractions(3) == [1.0]
    assert SelectionOptions(every=100).fractions(200) == [0.5, 1.0]


def test_a_choice_on_several_problems_is_the_best_on_average() -> None:
    """As if each were scored alone: the mean of what a choice reached on the single problems."""
    data = problem()
    cut: list[Problem] = []
    original = choosing.validation_problem

    def validation(self: Problem, seed: int, *, draw: int = 0, held_out: float = 0.2) -> Problem:
        cut.append(original(self, seed, draw=draw, held_out=held_out))
        return cut[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing, "validation_problem", validation)
        several = carry_out(data, "eszsl", overrides=("selection.problems=3", "selection.averaged=1"))
    assert len(cut) == 3
    assert len({small.classes[c] for small in cut for c in small.unseen}) > len(cut[0].unseen)
    assert several.choice is not None
    alone = []
    for small in cut:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(choosing, "validation_problem", lambda self, seed, *, draw=0, small=small: small)
            recipe = make_recipe("eszsl", "best")
            candidates = ranked_choices(data, recipe, 0, torch.device("cpu"), Recorder())
        alone.append({tuple(c.parameters.items()): c.H for c in candidates})
    mean = {key: np.mean([scores_of[key] for scores_of in alone]) for key in alone[0]}
    assert pytest.approx(max(mean.values())) == several.choice.H
    assert mean[tuple(several.choice.parameters.items())] == pytest.approx(several.choice.H)


def test_a_problem_without_test_samples_can_be_trained_on() -> None:
    data = problem()
    nothing = np.zeros(0, np.int64)
    outcome = carry_out(replace(data, test_seen=nothing, test_unseen=nothing))
    assert np.isnan(outcome.scores.U)
    assert np.isnan(outcome.scores.S)
    assert outcome.choice is not None


def test_a_problem_without_unseen_classes_is_ordinary_classification() -> None:
    data = problem()
    of_seen = np.concatenate((data.train, data.test_seen))
    seen_only = Problem(
        name="seen only",
        features=data.features[of_seen],
        labels=np.searchsorted(data.seen, data.labels[of_seen]),
        semantics=data.semantics[data.seen],
        classes=tuple(data.classes[c] for c in data.seen),
        train=np.arange(len(data.train)),
        test_seen=np.arange(len(data.train), len(of_seen)),
        test_unseen=np.zeros(0, np.int64),
    )
    outcome = carry_out(seen_only, protocol="last")
    assert outcome.scores.S > 0.5
    assert np.isnan(outcome.scores.U)
    assert np.isnan(outcome.scores.T1)


class _Killed(Exception):
    pass


KILLED: dict[str, Any] = {"overrides": ("head.calibrate=on", "selection.problems=2"), "oracle": True}


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[Outcome, list[dict[str, Any]]]:
    """What a run that is not killed ends with, and its history."""
    recorder = Recorder()
    return carry_out(problem(), recorder=recorder, **KILLED), recorder.history


@pytest.mark.parametrize("moment", [1, 30, 72, 80, 150, 220])
def test_a_killed_run_continues_bit_for_bit(
    moment: int,
    uninterrupted: tuple[Outcome, list[dict[str, Any]]],
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stop at some step without any goodbye, continue from the last checkpoint: the same result."""
    data, (whole, history) = problem(), uninterrupted
    steps = 0
    original = Recorder.stepped

    def stepped(self: Recorder, done: int, losses: Any, learner: Any) -> None:
        nonlocal steps
        original(self, done, losses, learner)
        steps += 1
        if steps % 20 == 0:
            self.checkpoint(learner)
        if steps == moment:
            raise _Killed

    monkeypatch.setattr(Recorder, "stepped", stepped)
    with pytest.raises(_Killed):
        carry_out(data, recorder=Recorder(tmp_path), **KILLED)
    monkeypatch.undo()
    recorder = Recorder(tmp_path)
    assert recorder.resume() == (moment >= 20)
    outcome = carry_out(data, recorder=recorder, **KILLED)
    assert outcome.scores == whole.scores
    assert outcome.choice == whole.choice
    assert outcome.oracle == whole.oracle
    assert all(torch.equal(t, outcome.weights[n]) for n, t in whole.weights.items())
    assert recorder.history == history
