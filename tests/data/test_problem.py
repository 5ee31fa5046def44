"""What a Problem guarantees, what it refuses, and that validation sees the training part alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.data.validation import held_out_problem, unseen_bias_problems, validation_problem
from support.recipes import problem


def valid() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "name": "small",
        "features": rng.random((12, 3)),
        "labels": np.repeat(np.arange(4), 3),
        "semantics": rng.random((4, 2)) + 0.1,
        "classes": ("a", "b", "c", "d"),
        "train": np.array([0, 1, 3, 4, 6, 7]),
        "test_seen": np.array([2, 5, 8]),
        "test_unseen": np.array([9, 10, 11]),
        "origins": {"features": "my.mat: features"},
    }


def test_a_valid_problem() -> None:
    problem = Problem(**valid())
    assert problem.features.dtype == np.float32
    assert problem.labels.dtype == np.int64
    assert problem.seen.tolist() == [0, 1, 2]
    assert problem.unseen.tolist() == [3]
    assert (problem.feature_dim, problem.semantic_dim) == (3, 2)


def spoil(name: str, place: Any, value: Any) -> dict[str, Any]:
    arrays = valid()
    array = np.array(arrays[name], dtype=np.float64 if name in ("features", "semantics") else None)
    array[place] = value
    return {name: array}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil("features", (4, 2), np.nan), r"my\.mat: features: nan at sample 4, dimension 2"),
        (spoil("features", (4, 2), np.inf), "inf at sample 4"),
        (spoil("features", (4, 2), 1e300), "inf at sample 4"),
        (spoil("semantics", (1, 0), np.nan), "semantics: nan at class 1, dimension 0"),
        (spoil("semantics", 2, 0.0), r"class 2 \('c'\) is all zeros"),
        ({"semantics": np.ones((4, 2))}, r"classes 0 \('a'\) and 1 \('b'\) have the same vector"),
        ({"semantics": np.ones((3, 2))}, "3 rows for 4 class names"),
        ({"features": np.zeros(12)}, "expected a matrix"),
        ({"features": np.zeros((0, 3))}, "expected a matrix"),
        ({"features": np.array([["x"] * 3] * 12)}, "expected real numbers"),
        ({"features": [[1.0], [1.0, 2.0]]}, "rows of different lengths"),
        ({"classes": ("a", "b", "a", "d")}, "classes 0 and 2 are both named 'a'"),
        ({"classes": ("a", " ", "c", "d")}, "class 1 has an empty name"),
        (spoil("labels", 5, 4), "sample 5 has label 4"),
        (spoil("labels", 5, -1), "sample 5 has label -1"),
        ({"labels": np.zeros(11, int)}, "11 labels for 12 samples"),
        ({"labels": np.full(12, 0.5)}, "entry 0 is 0.5, expected whole numbers"),
        ({"labels": np.array(["a"] * 12)}, "expected whole numbers"),
        ({"labels": np.zeros((12, 1), int)}, "expected one dimension"),
        ({"train": [0, 1, 3, 12]}, "entry 3 points at sample 12"),
        ({"train": [0, -1]}, "points at sample -1"),
        ({"train": [0, 0, 3]}, "sample 0 .* is listed twice"),
        ({"test_seen": [0]}, "sample 0 .* is also in train"),
        ({"train": []}, "no training samples"),
        ({"train": [0, 1], "test_seen": [2]}, "a single seen class"),
        ({"train": [0, 3], "test_seen": [8]}, r"class 2 \('c'\) is tested as seen but has no sample"),
        (
            {"test_unseen": [9, 8], "test_seen": [2, 5]},
            "class 2 .* is tested as unseen but has samples",
        ),
        ({"validation_unseen": [3]}, "class 3 has no training samples"),
        ({"validation_unseen": [0, 1]}, "at least two must stay seen"),
        ({"image_shape": (2, 2)}, "3 dimensions do not make an image of 2 x 2"),
    ],
)
def test_refuses(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Problem(**(valid() | change))
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("official", [False, True])
def test_validation_is_cut_from_the_training_part_alone(seed: int, official: bool) -> None:
    data = problem()
    if official:
        data = replace(data, validation_unseen=data.seen[[1, 3]])
    small = validation_problem(data, seed)
    training_rows = {row.tobytes() for row in data.features[data.train]}
    assert all(row.tobytes() in training_rows for row in small.features)
    assert len({row.tobytes() for row in small.features}) == len(small.features)
    assert set(small.classes) == {data.classes[c] for c in data.seen}
    if official:
        assert [small.classes[c] for c in small.unseen] == [data.classes[c] for c in data.seen[[1, 3]]]
    # Labels still mean the same classes, and their semantics.
    rows = {row.tobytes(): index for index, row in enumerate(data.features)}
    for sample in range(0, len(small.labels), 7):
        label = data.labels[rows[small.features[sample].tobytes()]]
        assert small.classes[small.labels[sample]] == data.classes[label]
        assert np.array_equal(small.semantics[small.labels[sample]], data.semantics[label])
    share = len(small.test_seen) / (len(small.test_seen) + len(small.train))
    assert 0.15 < share < 0.25


def test_validation_repeats_and_differs_between_seeds() -> None:
    data = problem()
    first, again, other = (
        validation_problem(data, 0),
        validation_problem(data, 0),
        validation_problem(data, 1),
    )
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != other.fingerprint


def test_validation_needs_enough_classes_and_samples() -> None:
    with pytest.raises(InputError, match=r"only 3 seen classes.*protocol 'last'"):
        validation_problem(Problem(**valid()), 0)
    rng = np.random.default_rng(0)
    single = Problem(
        name="single",
        features=rng.random((6, 2)),
        labels=np.arange(6),
        semantics=rng.random((6, 2)),
        classes=tuple("abcdef"),
        train=np.arange(5),
        test_seen=[],  # type: ignore[arg-type]
        test_unseen=[5],  # type: ignore[arg-type]
    )
    with pytest.raises(InputError, match="none can be held out"):
        validation_problem(single, 0)


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        (spoil("features", (0, 0), 0.123), {"features"}),
        (spoil("semantics", (0, 0), 0.123), {"semantics"}),
        ({"classes": ("z", "b", "c", "d")}, {"semantics"}),
        ({"test_seen": np.array([2, 5])}, {"split"}),
        ({"train": np.array([7, 6, 4, 3, 1, 0])}, set()),  # the same split, written in another order
    ],
)
def test_the_fingerprint_tells_what_changed(change: dict[str, Any], touched: set[str]) -> None:
    before, after = Problem(**valid()).fingerprint, Problem(**(valid() | change)).fingerprint
    assert {key for key in before if before[key] != after[key]} == touched


def test_a_memory_map_is_kept_as_it_is(tmp_path: Any) -> None:
    file = np.lib.format.open_memmap(tmp_path / "features.npy", "w+", np.float32, (12, 3))
    file[:] = valid()["features"]
    problem = Problem(**(valid() | {"features": file}))
    assert isinstance(problem.features, np.memmap)
    assert np.shares_memory(problem.features, file)


def bias_problem(problem: Problem, seed: int) -> Problem:
    return next(unseen_bias_problems(problem, seed))


@pytest.mark.parametrize("cut", [validation_problem, held_out_problem, bias_problem])
def test_a_problem_made_of_pictures_can_be_cut(cut: Any) -> None:
    """Pictures are for looking at, and there are fewer samples in a part."""
    whole = problem()
    pictures = tuple(f"{index}.png" for index in range(len(whole.labels)))
    of_pictures, plain = cut(replace(whole, pictures=pictures), 0), cut(whole, 0)
    assert of_pictures.pictures is None
    assert of_pictures.fingerprint == plain.fingerprint


def test_few_samples_are_all_held_out_once() -> None:
    """A bias measured on a fifth of a few samples would be chance."""
    few = Problem(
        name="few",
        features=np.arange(40, dtype=np.float32).reshape(20, 2),
        labels=np.repeat([0, 1, 2], [10, 9, 1]),
        semantics=np.eye(4, dtype=np.float32),
        classes=("a", "b", "c", "d"),
        train=np.arange(20),
        test_seen=np.zeros(0, np.int64),
        test_unseen=np.zeros(0, np.int64),
    )
    parts = list(unseen_bias_problems(few, 3))
    assert len(parts) == 5
    tested = [part.features[part.test_seen] for part in parts]
    assert [len(rows) for rows in tested] == [4] * 5
    held_out = [tuple(row) for rows in tested for row in rows]
    assert set(held_out) >= {tuple(row) for row in few.features[:10]}
    assert tuple(few.features[19]) not in held_out  # the only sample of its class
    for part in parts:
        assert not set(map(tuple, part.features[part.train])) & set(map(tuple, part.features[part.test_seen]))
        assert len(part.train) + len(part.test_seen) == 20
    assert len(list(unseen_bias_problems(few, 3, samples=8))) == 2
    first, alone = parts[0], next(unseen_bias_problems(few, 3, samples=1))
    assert (first.features == alone.features).all()
