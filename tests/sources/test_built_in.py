"""The sources without files: digits and synthetic, and what `gsmflow data` lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from gsmflow.base.errors import InputError
from gsmflow.data.validation import validation_problem
from gsmflow.sources import digits, load, survey, synthetic
from gsmflow.sources.published import KNOWN


def test_a_linear_classifier_keeps_all_classes_of_digits_apart() -> None:
    problem = digits.load()
    # All four views of a photograph lie in a row; every fourth photograph is held out.
    held_out = np.arange(len(problem.labels)) // 4 % 4 == 0
    linear = LogisticRegression(C=1.0, max_iter=300)
    linear.fit(problem.features[~held_out], problem.labels[~held_out])
    predicted = linear.predict(problem.features[held_out])
    assert balanced_accuracy_score(problem.labels[held_out], predicted) >= 0.93


def test_every_digit_and_view_of_an_unseen_class_is_seen_elsewhere() -> None:
    problem = digits.load()
    for part in (problem, validation_problem(problem, 0)):
        digit = [int(part.classes[c].split()[0]) for c in part.seen]
        view = [part.classes[c].split(maxsplit=1)[1] for c in part.seen]
        assert set(digit) == set(range(10))
        assert set(view) == set(digits.VIEWS)
        assert len(part.unseen) == 8
    assert len(np.unique(problem.semantics, axis=0)) == len(problem.classes) == 40


def test_views_of_one_photograph_are_never_divided_between_train_and_test() -> None:
    problem = digits.load()
    test = np.concatenate([problem.test_seen, problem.test_unseen])
    assert not np.intersect1d(problem.train // 4, test // 4).size


def test_synthetic_samples_are_distributed_as_the_truth_says() -> None:
    options = synthetic.SyntheticOptions(n=40_000, d=6, a=5, classes=8, unseen=2, seed=3)
    problem, truth = synthetic.make(options)
    means, covariances = truth.mean(problem.semantics), truth.covariance(problem.semantics)
    for label in range(8):
        rows = problem.features[problem.labels == label].astype(np.float64)
        count = len(rows)
        deviations = np.sqrt(np.diag(covariances[label]) / count)
        assert np.abs((rows.mean(axis=0) - means[label]) / deviations).max() < 5
        relative = np.cov(rows.T) / covariances[label].max() - covariances[label] / covariances[label].max()
        assert np.abs(relative).max() < 5 * np.sqrt(2 / count)


def test_synthetic_has_the_sizes_asked_for() -> None:
    problem = load("synthetic:n=500,d=7,a=3,classes=10,unseen=4", data_root=Path())
    assert problem.features.shape == (500, 7)
    assert problem.semantics.shape == (10, 3)
    assert len(problem.unseen) == 4


def test_synthetic_of_a_published_size() -> None:
    counts = synthetic.parse("AWA2").counts
    known = KNOWN["AWA2"]
    assert (counts.train, counts.test_seen, counts.test_unseen) == (
        known.train,
        known.test_seen,
        known.test_unseen,
    )
    assert (counts.feature_dim, counts.semantic_dim, counts.seen, counts.unseen) == (2048, 85, 40, 10)


def test_the_seed_draws_a_synthetic_problem() -> None:
    first, again, other = (load("synthetic:n=100", data_root=Path(), seed=s) for s in (0, 0, 1))
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("synthetic:n=5", "n = 5"),
        ("synthetic:q=5", "unknown option 'synthetic.q'"),
        ("synthetic:n=many", "many"),
        ("synthetic:classes=4,unseen=3", "unseen = 3"),
        ("synthetic:AWA3", "'AWA3'"),
        ("digits:big", "no settings"),
        ("CUBB", "did you mean 'CUB'"),
    ],
)
def test_names_that_mean_nothing(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        load(name, data_root=tmp_path)


def test_the_list_of_known_data_names_files_and_citations(tmp_path: Path) -> None:
    (tmp_path / "SUN").mkdir()
    (tmp_path / "SUN" / "att_splits.mat").write_bytes(b"nothing")
    known = {k.name: k for k in survey(tmp_path)}
    assert list(known) == ["digits", "synthetic", "AWA1", "AWA2", "APY", "CUB", "SUN", "FLO"]
    assert [k.name for k in known.values() if k.found] == ["digits", "synthetic"]
    assert known["AWA2"].expected == tuple(
        str(tmp_path / "AWA2" / f) for f in ("res101.mat", "att_splits.mat")
    )
    assert "not a MATLAB file" in known["SUN"].message
    assert all(k.citation for k in known.values())


def test_the_counts_listed_for_digits_are_its_own() -> None:
    problem = digits.load()
    own = (len(problem.labels), problem.feature_dim, problem.semantic_dim, len(problem.seen))
    parts = tuple(map(len, (problem.train, problem.test_seen, problem.test_unseen)))
    counts = digits.COUNTS
    assert own == (counts.samples, counts.feature_dim, counts.semantic_dim, counts.seen)
    assert parts == (counts.train, counts.test_seen, counts.test_unseen)
