"""A composite method under a protocol: chosen, fitted and scored; or fitted again for other unseen classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from gsmflow.heads.classifier import FittedClassifier
from gsmflow.protocol.choice import Choice, Outcome, without_bias
from gsmflow.protocol.composing import Composite
from gsmflow.protocol.generation_shifts import compare
from gsmflow.protocol.prepared import Prepared
from gsmflow.protocol.trial import Trial
from gsmflow.scores.gzsl import best_bias, harmonic_mean


def run_composite(composite: Composite, *, protocol: str, oracle: bool) -> Outcome:
    """Carry out a composite method under a protocol; see [`run`][gsmflow.protocol.fitting.run].

    Under ``last`` nothing is chosen: all members have the weight 1, their first parameters and their whole training,
    and there is no bias. The oracle is the best bias on the test set, and beside it H of every member there.
    """
    recorder = composite.recorder
    members: list[dict[str, Any]] = []
    choice = None
    if protocol == "validated":
        if "choice" not in recorder.records:
            chosen, judged = composite.choose()
            recorder.records["judged"], recorder.records["choice"] = judged, asdict(chosen)
        choice, members = Choice(**recorder.records["choice"]), recorder.records["judged"]
    choices = member_choices(composite, members if choice else None)
    weights = choice.parameters if choice else dict.fromkeys(choices, 1.0)
    trials = composite.trials({label: choices[label] for label in (choices if oracle else weights)})
    with recorder.timing("head"):
        classifier = composite.classifier(trials, choices, choice or Choice(parameters=weights))
    whole = Prepared.by(classifier.transform, composite.problem, composite.device)
    best = None
    if oracle:
        best = _best_bias(whole, classifier)
        members = [
            member | {"oracle_H": _oracle_of(trials[member["label"]], choices[member["label"]])}
            for member in members
        ]
    trained = {label: trial for label, trial in trials.items() if label in weights and not trial.direct}
    shifts, samples = None, {}
    generators = [label for label, trial in trained.items() if trial.synthesizes]
    if recorder.folder is not None and generators:
        with recorder.timing("shifts"):
            first = trained[max(generators, key=weights.__getitem__)]
            measured = compare(first.prepared, first.learner, composite.seed)
        if measured:
            shifts, samples = measured[0].to_dict(), measured[1].tensors()
    return Outcome(
        choice=choice,
        scores=whole.scores(classifier),
        oracle=best,
        classifier=classifier,
        weights={
            f"{label}/{name}": tensor
            for label, trial in trained.items()
            for name, tensor in trial.learner.weights().items()
        },
        steps=sum(trial.learner.total_steps for trial in trained.values()),
        shifts=shifts,
        confidence=whole.confidence(classifier),
        samples=samples,
        members=members,
        left_out={
            label: record["why"]
            for label, record in recorder.records.get("members", {}).items()
            if "why" in record
        },
    )


def refit_composite(
    composite: Composite,
    choice: Choice | None,
    members: Sequence[Mapping[str, Any]],
    weights: Mapping[str, Tensor],
) -> FittedClassifier:
    """Fit the stack of a finished run again, for a problem that may have other unseen classes.

    Parameters
    ----------
    composite : Composite
        The composite method on the new problem.
    choice : Choice | None
        Weights and rate; None under ``last``.
    members : Sequence[Mapping[str, Any]]
        The members as ``metrics.json`` records them.
    weights : Mapping[str, Tensor]
        Weights of the trained members; each name begins with the member's label.

    Raises
    ------
    ValueError
        The weights do not belong to these members on such data.
    """
    choices = member_choices(composite, members if choice else None)
    used = choice.parameters if choice else dict.fromkeys(choices, 1.0)
    trials = {
        label: composite.restored(
            label, {n.removeprefix(f"{label}/"): t for n, t in weights.items() if n.startswith(f"{label}/")}
        )
        for label in used
    }
    return composite.classifier(trials, choices, choice or Choice(parameters=used))


def member_choices(
    composite: Composite, members: Sequence[Mapping[str, Any]] | None
) -> dict[str, Choice | None]:
    """The choice for each member, by label; None for every member if nothing was chosen."""
    if members is None:
        return dict.fromkeys(composite.suited)
    return {member["label"]: Choice(**member["choice"]) for member in members}


def _best_bias(prepared: Prepared, classifier: FittedClassifier) -> Choice:
    """The best scores that any bias reaches on the test set."""
    curve = prepared.curve(classifier.head)
    bias = best_bias(curve)
    unseen, seen = curve.at(bias)
    return Choice(bias=bias, U=unseen, S=seen, H=harmonic_mean(unseen, seen), AUSUC=curve.area)


def _oracle_of(trial: Trial, choice: Choice | None) -> float:
    """H of a single member on the test set, with the bias that is best there."""
    return _best_bias(trial.prepared, trial.classifier(without_bias(choice), unseen_alone=False)).H
