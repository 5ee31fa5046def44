"""Scores of a finished run on labelled samples, which come part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.files.chunks import Part
from gsmflow.files.class_names import matched, part
from gsmflow.files.columns import place_of
from gsmflow.files.rows import Rows
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.images.feature_table import Unreadable
from gsmflow.images.shards import Computed
from gsmflow.runs.evaluation_data import about_part, scored_part
from gsmflow.runs.folder import check_width
from gsmflow.runs.labelling import Pictures
from gsmflow.scores.gzsl import Scores, Summary, chunks, scores_of
from gsmflow.sources.table import label_place


@dataclass(frozen=True)
class Measured:
    """Scores of a classifier on labelled samples.

    Parameters
    ----------
    scores : Scores
        The scores; those of a kind of classes without samples are NaN.
    accuracy : float
        The fraction of all samples that are right.
    samples : dict[str, int]
        Number of samples of every class that has any.
    taken_for : dict[str, dict[str, int]]
        For every class with wrong answers, how often each wrong class was the answer, most frequent first.
    seen, unseen : tuple[str, ...]
        The classifier's classes with and without training samples.
    outside : int
        Samples far outside of the training features.
    unreadable : tuple[Unreadable, ...]
        Pictures that were left out.
    notes : tuple[str, ...]
        Remarks: labels that were not written exactly as their class, and the part of a split that was scored.
    """

    scores: Scores
    accuracy: float
    samples: dict[str, int]
    taken_for: dict[str, dict[str, int]]
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    outside: int = 0
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with None for NaN."""
        return {
            **self.scores.to_dict(),
            "accuracy": self.accuracy if self.samples else None,
            "samples": self.samples,
            "taken_for": self.taken_for,
            "unreadable": [{"path": each.name, "reason": each.reason} for each in self.unreadable],
        }


class Tally:
    """Counts right and wrong answers. Seen and unseen classes are those of the classifier."""

    def __init__(self, classifier: FittedClassifier) -> None:
        self._classifier = classifier
        seen = np.setdiff1d(np.arange(len(classifier.classes)), classifier.unseen)
        self._order = np.concatenate((seen, classifier.unseen))  # in a tie a seen class wins, as on the curve
        nothing = np.zeros(0)
        none = Summary(nothing, nothing.astype(bool), nothing.astype(bool), nothing.astype(np.int64))
        self._of = {False: [none], True: [none]}
        self._alone = [nothing.astype(bool)]
        self._wrong: Counter[tuple[int, int]] = Counter()

    def add(self, features: NDArray[np.float32], labels: NDArray[np.int64], *, first: int = 0) -> None:
        """Count samples.

        Parameters
        ----------
        features : NDArray[np.float32]
            (N, D) raw features.
        labels : NDArray[np.int64]
            (N,) indices of their classes.
        first : int
            The number of the first sample in the table it belongs to, for messages.

        Raises
        ------
        InputError
            A sample lies too far from the training features.
        """
        is_unseen = np.isin(labels, self._classifier.unseen)
        logits = self._classifier.logits(features, first=first)
        for kind, rows in ((False, ~is_unseen), (True, is_unseen)):
            if rows.any():
                self._of[kind].append(Summary.of(logits[rows], labels[rows], self._classifier.unseen))
        if is_unseen.any():
            guesses = self._classifier.unseen_logits(features[is_unseen]).argmax(axis=1)
            self._alone.append(self._classifier.unseen[guesses] == labels[is_unseen])
        answers = self._order[logits[:, self._order].argmax(axis=1)]
        wrong = answers != labels
        self._wrong.update(zip(labels[wrong].tolist(), answers[wrong].tolist(), strict=True))

    def measured(self) -> Measured:
        """The scores of all samples that were added."""
        of_seen, of_unseen = Summary.join(self._of[False]), Summary.join(self._of[True])
        names = self._classifier.classes
        scores = scores_of(of_seen, of_unseen, np.concatenate(self._alone), names)
        counts = np.bincount(np.concatenate((of_seen.labels, of_unseen.labels)), minlength=len(names))
        total = int(counts.sum())
        taken_for: dict[str, dict[str, int]] = {}
        for (label, answer), count in sorted(self._wrong.items(), key=lambda pair: (-pair[1], pair[0])):
            taken_for.setdefault(names[label], {})[names[answer]] = count
        right = total - self._wrong.total()
        samples = {names[c]: int(counts[c]) for c in np.flatnonzero(counts)}
        seen, unseen = (
            tuple(names[c] for c in kind)
            for kind in np.split(self._order, [len(names) - len(self._classifier.unseen)])
        )
        return Measured(scores, right / total if total else float("nan"), samples, taken_for, seen, unseen)


def measured_on(classifier: FittedClassifier, problem: Problem) -> Measured:
    """The scores on the test parts of a problem, whose classes are those of the classifier, in their order."""
    tally = Tally(classifier)
    for rows in (problem.test_seen, problem.test_unseen):
        for features, labels in chunks(problem, rows):
            tally.add(features, labels)
    return tally.measured()


def measured_of(
    run: Path,
    origin: Path,
    classifier: FittedClassifier,
    parts: Sequence[Part | Pictures],
    *,
    features_of: Callable[[Sequence[str]], Computed] | None = None,
    told: Callable[[int], None] = lambda done: None,
) -> Measured:
    """The scores on a table with labels, or on labelled pictures.

    Parameters
    ----------
    run : Path
        The run folder, for messages.
    origin : Path
        The table or the pictures, for messages.
    classifier : FittedClassifier
        The classifier of the run.
    parts : Sequence[Part | Pictures]
        The samples in parts. Pictures have labels that are names of the classifier's classes.
    features_of : Callable[[Sequence[str]], Computed] | None
        Makes features of pictures; None for a table.
    told : Callable[[int], None]
        Receives the number of samples that are done.

    Raises
    ------
    InputError
        A row has no label, or that of no class; its features have another width; no picture can be read.
    """
    tallies: dict[str, Tally] = {}
    unreadable: list[Unreadable] = []
    notes: dict[str, None] = {}
    outside = done = 0
    index = {name: place for place, name in enumerate(classifier.classes)}
    for each in parts:
        if isinstance(each, Pictures):
            assert features_of is not None
            assert each.labels is not None
            features, reasons = features_of(each.names)
            unreadable += [Unreadable(each.names[place], reason) for place, reason in reasons.items()]
            labels = np.array(
                [index[c] for place, c in enumerate(each.labels) if place not in reasons], np.int64
            )
            if len(labels):
                check_width(origin, features.shape[1], run, classifier.transform.in_dim)
                tallies.setdefault("", Tally(classifier)).add(features, labels)
            done += len(each.names)
        else:
            rows = each.read()
            check_width(origin, rows.features.shape[1], run, classifier.transform.in_dim)
            labels, note = _labels(rows, each.first, origin, run, classifier.classes)
            notes[note] = None
            features = classifier.transform.narrowed(rows.features)
            outside += int(classifier.transform.outside(features).sum())
            of_parts = _splits(rows, each.first, origin)
            for name in dict.fromkeys(of_parts):
                some = np.array(of_parts) == name
                tallies.setdefault(name, Tally(classifier)).add(
                    features[some], labels[some], first=each.first
                )
            done += len(labels)
        told(done)
    if not tallies:
        one = unreadable[0]
        raise InputError(f"{one.name}: {one.reason}; none of the {len(unreadable)} images can be read")
    of_part = "" if "" in tallies else scored_part(tallies)
    measured = tallies[of_part].measured()
    if of_part:
        notes[about_part(of_part, sum(measured.samples.values()))] = None
    return replace(measured, outside=outside, unreadable=tuple(unreadable), notes=tuple(filter(None, notes)))


def _labels(
    rows: Rows, first: int, origin: Path, run: Path, classes: Sequence[str]
) -> tuple[NDArray[np.int64], str]:
    """The classes that rows are labelled with, and which labels are not written exactly as their class."""
    if rows.labels is None:
        raise InputError(
            f"{origin}: no labels to compare with; name the class of each row in {label_place(origin)}, or label the "
            "rows by `gsmflow predict`"
        )
    meant = matched(
        rows.labels,
        classes,
        lambda row: f"{origin}: {_place(rows, first, row)} is labelled",
        str(run),
        missing="is no class of",
        otherwise="leave it out, or add it by `gsmflow add-class`",
    )
    return np.array(meant.index, np.int64), meant.note


def _splits(rows: Rows, first: int, origin: Path) -> list[str]:
    """The part of each row; empty texts if there is no split."""
    if rows.split is None:
        return [""] * len(rows.features)
    parts = [part(text) or "" for text in rows.split]
    if "" in parts:
        row = parts.index("")
        raise InputError(
            f"{origin}: {_place(rows, first, row)} has split '{rows.split[row]}', expected train, val or test"
        )
    return parts


def _place(rows: Rows, first: int, row: int) -> str:
    return place_of(None, first + row) if rows.lines is None else rows.place(row)
