"""Samples of unseen classes that a problem lends to training, separate from its training part.

Two settings of the field need such samples. An *upper bound* is trained on labelled samples of all classes: half of the
test samples of every unseen class are drawn, removed from the test part and lent. In the *transductive* setting,
training may use the features of the test samples of unseen classes without their labels; they are scored as usual.

The rules of a [`Problem`][gsmflow.data.problem.Problem] hold in both settings: the training part has no sample of an
unseen class, and no sample is both scored and lent with its label. Lent samples have an index array of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem

SHARE = 0.5  # of each unseen class's test samples, lent to an upper bound
_NOTE = "lent"  # key in the notes of a problem


class Setting(StrEnum):
    """What training may use of unseen classes besides their semantics; the value is the text in tables."""

    INDUCTIVE = "inductive"
    TRANSDUCTIVE = "transductive"
    UPPER_BOUND = "upper bound: trained on real samples of unseen classes"

    @property
    def short(self) -> str:
        """The text without what explains it, for narrow tables."""
        return self.value.partition(":")[0]


@dataclass(frozen=True, eq=False)
class LendingProblem(Problem):
    """A problem that lends samples of unseen classes.

    Parameters
    ----------
    lent : NDArray[np.int64]
        Indices of the samples that are lent, each of an unseen class.
    labelled : bool
        Whether their labels are lent too; then none of them is in ``test_unseen``.

    Raises
    ------
    InputError
        A sample that is lent is of a seen class, or is lent with its label and scored as well.
    """

    lent: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    labelled: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        of_seen = self.lent[np.isin(self.labels[self.lent], self.seen)]
        if len(of_seen):
            name = self.classes[self.labels[of_seen[0]]]
            raise InputError(
                f"lent: sample {of_seen[0]} is of the seen class '{name}', expected samples of unseen classes alone"
            )
        both = np.intersect1d(self.lent, self.test_unseen)
        if self.labelled and len(both):
            raise InputError(
                f"lent: sample {both[0]} is in test_unseen as well; what is lent with its label cannot be scored"
            )

    @property
    def whole(self) -> Problem:
        """The problem without lending: lent samples are in ``test_unseen`` again."""
        own: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(Problem)}
        own["notes"] = {key: note for key, note in self.notes.items() if key != _NOTE}
        own["test_unseen"] = np.union1d(self.test_unseen, self.lent)
        return Problem(**own)

    @cached_property
    def fingerprint(self) -> dict[str, str]:
        """The fingerprint of the whole problem, which does not depend on what is lent."""
        return self.whole.fingerprint


def whole(problem: Problem) -> Problem:
    """The problem without lending."""
    return problem.whole if isinstance(problem, LendingProblem) else problem


def check_lendable(problem: Problem, setting: Setting) -> None:
    """Refuse a problem that lacks the samples that a setting uses.

    Raises
    ------
    InputError
        An upper bound needs a test sample of every unseen class, the transductive setting one of any unseen class.
    """
    if isinstance(problem, LendingProblem) or setting is Setting.INDUCTIVE:
        return
    there = np.isin(problem.unseen, problem.labels[problem.test_unseen])
    if setting is Setting.TRANSDUCTIVE and not there.any():
        raise InputError(
            f"{problem.where('test_unseen')}: no features of unseen classes, which the transductive setting looks at; "
            "give unlabelled ones as a test part, or leave transductive out"
        )
    if setting is Setting.UPPER_BOUND and not there.all():
        name = problem.classes[problem.unseen[~there][0]]
        raise InputError(
            f"{problem.where('test_unseen')}: no sample of the unseen class '{name}', which an upper bound is trained "
            "on; choose another method"
        )


def lend(problem: Problem, setting: Setting, seed: int) -> Problem:
    """The problem with the samples that a setting lends; the same problem and seed give the same samples.

    Parameters
    ----------
    problem : Problem
        The data; one that lends already is returned as it is.
    setting : Setting
        What training may use of unseen classes.
    seed : int
        Determines the draw of an upper bound: half of the test samples of each unseen class, at least one.
    """
    if isinstance(problem, LendingProblem) or setting is Setting.INDUCTIVE:
        return problem
    own = {each.name: getattr(problem, each.name) for each in fields(Problem)}
    if setting is Setting.TRANSDUCTIVE:
        note = f"{len(problem.test_unseen)} test samples of unseen classes, without their labels"
        own["notes"] = {**problem.notes, _NOTE: note}
        return LendingProblem(**own, lent=problem.test_unseen)
    rng = np.random.default_rng([seed, 0x1E4D])
    lent: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    labels = problem.labels[problem.test_unseen]
    for label in np.unique(labels):
        members = rng.permutation(np.sort(problem.test_unseen[labels == label]))
        lent.append(members[: max(1, int(len(members) * SHARE))])
    drawn = np.sort(np.concatenate(lent))
    note = f"{len(drawn)} of {len(problem.test_unseen)} test samples of unseen classes, with their labels"
    own["notes"] = {**problem.notes, _NOTE: note}
    own["test_unseen"] = np.setdiff1d(problem.test_unseen, drawn)
    return LendingProblem(**own, lent=drawn, labelled=True)
