"""Warnings about data or results that look wrong but are not errors; each is given once, with names and numbers.

The same warnings are shown by `gsmflow data`, `describe`, `train`, `report` and `serve`, and stored in
``metrics.json`` under ``warnings``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.suggest import listed
from gsmflow.data.checks import row_chunks
from gsmflow.data.concern import Concern, count, some
from gsmflow.data.odd_features import of_features
from gsmflow.data.odd_semantics import slips
from gsmflow.data.problem import Problem
from gsmflow.files.class_names import alike

FEW = 5  # a class with fewer training samples has too few
# Two classes are twins if their cosine is at least _ALIKE and that of the median pair is at most _APART.
_ALIKE, _APART = 0.96, 0.7
_ALIKE_CENTRED = 0.99  # or if their cosine about the mean of all classes is at least this
_TOLD = ("left out", "names", "read as 1 and 0", "digits", "digits of semantics")  # notes of a problem
_SAMPLED = 2000  # most classes from which the median pair is computed


def of_problem(problem: Problem) -> list[Concern]:
    """Warnings about a problem, before anything is trained on it."""
    seen = np.isin(np.arange(len(problem.classes)), problem.seen)
    return [
        *of_semantics(problem.semantics, problem.classes, problem.semantic_names, seen),
        *of_features(problem),
        *_numbering(problem),
        *_few(problem),
        *_repeated(problem),
    ]


def remarks(problem: Problem) -> list[str]:
    """What the user should know about how the data were read: columns left out, labels matched, digits lost."""
    return [f"{key}: {problem.notes[key]}" for key in _TOLD if key in problem.notes]


def of_semantics(
    semantics: NDArray[np.floating],
    classes: Sequence[str],
    names: Sequence[str] | None = None,
    seen: NDArray[np.bool_] | None = None,
) -> list[Concern]:
    """Warnings about the semantics (C, A) of classes.

    Parameters
    ----------
    semantics : NDArray[np.floating]
        (C, A) class vectors.
    classes : Sequence[str]
        C names.
    names : Sequence[str] | None
        A names of the dimensions.
    seen : NDArray[np.bool_] | None
        (C,) which classes have training samples, if that is known. Two classes with samples are distinguished by
        these, even if their semantics are alike.
    """
    concerns = of_names(classes)
    called = names or [f"dimension {index + 1}" for index in range(semantics.shape[1])]
    pairs = twins(semantics, seen)
    if pairs:
        told = [f"{classes[i]} and {classes[j]} (cosine {cosine:.3f})" for i, j, cosine in pairs]
        concerns.append(
            Concern(
                "twins",
                f"{count(len(pairs), 'pair')} of classes described nearly alike: {some(told)}. Samples of one will "
                "be taken for the other; add what tells them apart.",
            )
        )
    concerns += slips(semantics, classes, called)
    constant = (semantics == semantics[:1]).all(axis=0) & (len(semantics) > 1)
    if constant.any():
        told = [f"{called[d]} ({semantics[0, d]:g})" for d in np.flatnonzero(constant).tolist()]
        concerns.append(
            Concern(
                "constant",
                f"{count(len(told), 'attribute')} with the same value for every class: {listed(told)}. They say "
                "nothing; leave them out.",
            )
        )
    if seen is not None and seen.any() and not seen.all():
        of_seen = semantics[seen]
        alone = np.flatnonzero((of_seen == of_seen[:1]).all(axis=0) & ~constant)
        if alone.size:
            told = [f"{called[d]} ({of_seen[0, d]:g} for every seen class)" for d in alone.tolist()]
            concerns.append(
                Concern(
                    "unseen alone",
                    f"{count(len(told), 'attribute')} that only unseen classes differ in: {listed(told)}. No training "
                    "sample shows what they mean, so they cannot help; describe the classes by others too.",
                )
            )
    return concerns


def of_scores(per_class: Mapping[str, float], seen: Sequence[str]) -> list[Concern]:
    """Warnings about seen classes that a classifier hardly ever recognises, from the accuracy of each class."""
    tested = {name: per_class[name] for name in seen if name in per_class}
    mean = float(np.mean(list(tested.values()))) if tested else 0.0
    missed = sorted((value, name) for name, value in tested.items() if value == 0 or value < mean / 10)
    if not missed:
        return []
    told = [f"{name} ({100 * value:.1f}%)" for value, name in missed]
    return [
        Concern(
            "missed",
            f"{count(len(missed), 'seen class', 'seen classes')} hardly ever recognised: {listed(told)}; the mean "
            f"of the seen classes is {100 * mean:.1f}%. Look at their samples, their labels and whether another class "
            "is described like them.",
        )
    ]


def of_rival(method: str, better: Mapping[str, Any]) -> Concern:
    """That another method or size is far better on validation problems than the one of a run: both, and both H."""
    if "settings" in better:
        own, other = (
            ", ".join(f"{name} {value}" for name, value in better[which].items())
            for which in ("own_settings", "settings")
        )
        options = " ".join(f"--set {better['table']}.{k}={v}" for k, v in better["settings"].items())
        return Concern(
            "better",
            f"On the first validation problem {method} of the recommended size ({other}) has H "
            f"{100 * better['H']:.1f}, and of the size used ({own}) {100 * better['own']:.1f}. Train with `{options}`.",
        )
    return Concern(
        "better",
        f"On the same validation problems {better['method']}, a closed form that takes seconds, has H "
        f"{100 * better['H']:.1f}, and {method} has {100 * better['own']:.1f}. Train with `--method "
        f"{better['method']}`, or with `--method auto`, which tries both.",
    )


def of_run(problem: Problem, per_class: Mapping[str, float]) -> list[dict[str, str]]:
    """All warnings about a run, as entries of ``metrics.json``, given the accuracy of each class."""
    seen = [problem.classes[c] for c in problem.seen]
    return [concern.to_dict() for concern in (*of_problem(problem), *of_scores(per_class, seen))]


def recorded(metrics: Mapping[str, Any]) -> list[Concern]:
    """The warnings in the metrics of a run; none for runs of older versions, which did not store them."""
    written = metrics.get("warnings")
    entries = written if isinstance(written, list) else []
    return [
        Concern(str(each.get("kind", "")), str(each["text"]))
        for each in entries
        if isinstance(each, dict) and "text" in each
    ]


def twins(
    semantics: NDArray[np.floating], seen: NDArray[np.bool_] | None = None
) -> list[tuple[int, int, float]]:
    """Pairs of classes with nearly the same semantics (C, A), with their cosine, the closest pair first.

    A pair counts if its cosine is above 0.96 while that of the median pair is below 0.7, or if its cosine about the
    mean vector is above 0.99. Pairs of two seen classes do not count.
    """
    exact = np.asarray(semantics, dtype=np.float64)
    plain, centred = _unit(exact), _unit(exact - exact.mean(axis=0))
    few = plain[:: max(1, len(plain) // _SAMPLED)]
    apart = np.triu_indices(len(few), 1)
    is_apart = len(few) > 2 and np.median((few @ few.T)[apart]) <= _APART
    pairs = []
    for start in range(0, len(plain), 512):
        rows = slice(start, start + 512)
        cosine = plain[rows] @ plain.T
        near = (centred[rows] @ centred.T >= _ALIKE_CENTRED) & (len(plain) > 2)
        if is_apart:
            near |= cosine >= _ALIKE
        for i, j in np.argwhere(np.triu(near, start + 1)).tolist():
            if seen is None or not (seen[start + i] and seen[j]):
                pairs.append((start + i, j, float(cosine[i, j])))
    return sorted(pairs, key=lambda pair: (-pair[2], pair[:2]))


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)


def of_names(classes: Sequence[str]) -> list[Concern]:
    """Warnings about classes whose names are so similar that a label could mean either."""
    of_alike: dict[str, list[str]] = {}
    for name in classes:
        of_alike.setdefault(alike(name), []).append(name)
    told = {
        "case or signs": [_quoted(group) for group in of_alike.values() if len(group) > 1],
        "a plural": [
            _quoted((*of_alike[one], *several))
            for form, several in of_alike.items()
            for one in _singulars(form)
            if one in of_alike
        ],
    }
    return [
        Concern(
            "names",
            f"Classes whose names differ in {what} alone: {some(pairs)}. If they are the same class, give it one name.",
        )
        for what, pairs in told.items()
        if pairs
    ]


def _quoted(names: Sequence[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)


def _singulars(name: str) -> list[str]:
    """What a name would be in the singular, in English.

    >>> _singulars("blue rings"), _singulars("ponies"), _singulars("foxes"), _singulars("lynx")
    (['blue ring'], ['ponie', 'poni', 'pony'], ['foxe', 'fox'], [])
    """
    endings = (("s", ""), ("es", ""), ("ies", "y"))
    return [name.removesuffix(end) + one for end, one in endings if name.endswith(end)]


def _numbering(problem: Problem) -> list[Concern]:
    """Classes numbered from 0 while labels look as if they count from 1: no sample is of class 0, and none of the last
    one.
    """
    numbers = {name: place for place, name in enumerate(problem.classes) if name.isdecimal()}
    count_of = len(problem.classes)
    if {int(name) for name in numbers} != set(range(count_of)) or len(numbers) < count_of:
        return []
    with_samples = {int(problem.classes[c]) for c in np.unique(problem.labels)}
    most = max(with_samples, default=0)
    if 0 in with_samples or with_samples != set(range(1, most + 1)) or most == count_of - 1:
        return []
    return [
        Concern(
            "numbering",
            f"Classes are numbered 0 to {count_of - 1}, and labels 1 to {most}: no sample is of class 0. If labels "
            "count from 1, every sample stands under the next class; subtract 1 from them.",
        )
    ]


def _few(problem: Problem) -> list[Concern]:
    counts = np.bincount(problem.labels[problem.train], minlength=len(problem.classes))
    told = [f"{problem.classes[c]} ({counts[c]})" for c in problem.seen if counts[c] < FEW]
    if not told:
        return []
    return [
        Concern(
            "few",
            f"{count(len(told), 'seen class', 'seen classes')} with fewer than {FEW} training samples: "
            f"{listed(told)}. Their accuracy is chance in part; add samples, or leave the classes without any, so that "
            "they count as unseen.",
        )
    ]


def _repeated(problem: Problem) -> list[Concern]:
    """Warnings about equal features in training and test, or under two labels."""
    part = np.zeros(len(problem.labels), np.int8)
    for code, indices in enumerate((problem.train, problem.test_seen, problem.test_unseen), start=1):
        part[indices] = code

    def called(sample: int) -> str:
        return f"picture {problem.pictures[sample]}" if problem.pictures else f"sample {sample}"

    leaks: list[str] = []
    doubles: list[str] = []
    for group in _same_rows(problem.features, np.flatnonzero(part)):
        names = [problem.classes[problem.labels[i]] for i in group]
        tested = [i for i in group if part[i] > 1]
        trained = [i for i in group if part[i] == 1]
        if trained:
            leaks += [f"{called(i)} is training {called(trained[0])}" for i in tested]
        if len(set(names)) > 1:
            other = next(index for index, name in enumerate(names) if name != names[0])
            doubles.append(f"{called(group[0])} ({names[0]}) and {called(group[other])} ({names[other]})")
    counted = "" if problem.pictures else " (counted from 0)"
    concerns = []
    if leaks:
        concerns.append(
            Concern(
                "repeated",
                f"{count(len(leaks), 'test sample')} with the very features of a training sample: {some(leaks)}"
                f"{counted}. Scores are better than they should be; remove one of each.",
            )
        )
    if doubles:
        concerns.append(
            Concern(
                "repeated",
                f"{count(len(doubles), 'group')} of samples with the same features and different labels: "
                f"{some(doubles)}{counted}. Correct the labels, or remove them.",
            )
        )
    return concerns


def _same_rows(features: NDArray[np.float32], chosen: NDArray[np.int64]) -> list[list[int]]:
    """Groups of chosen rows that are equal bit for bit, each in order."""
    sums = np.empty(len(features), np.int64)
    for rows in row_chunks(features):
        piece = np.ascontiguousarray(features[rows] + np.float32(0))  # + 0: -0.0 is 0.0
        sums[rows.start : rows.start + len(piece)] = [hash(row.tobytes()) for row in piece]
    order = chosen[np.argsort(sums[chosen], kind="stable")]
    ends = np.flatnonzero(sums[order[1:]] != sums[order[:-1]]) + 1
    groups = []
    starts, stops = np.append(0, ends), np.append(ends, len(order))
    for several in np.flatnonzero(stops - starts > 1):
        same: dict[bytes, list[int]] = {}
        for row in order[starts[several] : stops[several]].tolist():
            same.setdefault((features[row] + np.float32(0)).tobytes(), []).append(row)
        groups += [group for group in same.values() if len(group) > 1]
    return sorted(groups)
