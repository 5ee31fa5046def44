"""An upper bound: trained on real samples, never scored on them, and labelled wherever it is shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.data.lending import LendingProblem, Setting, lend
from gsmflow.estimator import ZeroShotClassifier
from gsmflow.estimator import load as load_estimator
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods import METHODS, Member, Method, find_method
from gsmflow.methods.auto import AutoOptions
from gsmflow.methods.upper_bound import UpperBoundOptions
from gsmflow.methods.workings.upper_bound import RealSamples
from gsmflow.recipes.recipe import make_recipe
from gsmflow.report.page import render
from gsmflow.report.record import read
from gsmflow.runs.examples import Examples
from gsmflow.runs.folder import EXAMPLES, read_config, read_metrics, read_problem
from gsmflow.scores.gzsl import class_mean
from support.recipes import PROBLEM, problem

LABEL = "upper bound: trained on real samples of unseen classes"
CPU = torch.device("cpu")
NOWHERE = Path("no data sets here")
HEAD = ["head.synthetic_per_class=100", "head.epochs=40", "head.learning_rate=0.1", "selection.problems=1"]
HEAD = [part for option in HEAD for part in ("--set", option)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upper bound that keeps its data and a run of a method that competes, with the same seed."""
    root = tmp_path_factory.mktemp("bound")
    words = ["train", PROBLEM, *HEAD, "--seed", "2", "--oracle"]
    assert main([*words, "--method", "upper-bound", "--keep-data", "--out", str(root / "bound")]) == 0
    assert main([*words, "--method", "lda", "--out", str(root / "lda")]) == 0
    return root


def test_samples_are_real_ones_of_the_class_asked_for() -> None:
    cut = lend(problem(), Setting.UPPER_BOUND, 0)
    data = TrainingData.of(cut, CPU)
    learner = RealSamples(data, UpperBoundOptions(), 0)
    drawn = learner.sample(data.semantics[[10, 2]], 300, 1, "x")
    assert isinstance(cut, LendingProblem)
    for rows, part, label in ((drawn[:300], cut.lent, 10), (drawn[300:], cut.train, 2)):
        own = {tuple(row) for row in cut.features[part[cut.labels[part] == label]].tolist()}
        given = {tuple(row) for row in rows.tolist()}
        assert given <= own
        assert len(given) > 0.9 * min(300, len(own))  # with replacement nearly all of them come
    scored = {tuple(row) for row in cut.features[cut.test_unseen].tolist()}
    assert not scored & {tuple(row) for row in drawn.tolist()}


def test_a_class_without_samples_and_two_classes_of_one_vector_are_refused() -> None:
    data = TrainingData.of(problem(), CPU)
    learner = RealSamples(data, UpperBoundOptions(), 0)
    with pytest.raises(InputError, match="class 10: no sample is lent"):
        learner.sample(data.semantics[[10]], 3, 0)
    data.semantics[3] = data.semantics[4]
    with pytest.raises(InputError, match="2 classes have the same vector"):
        learner.sample(data.semantics[[3]], 3, 0)


def test_it_reaches_what_real_samples_allow(runs: Path) -> None:
    bound, other = read_metrics(runs / "bound"), read_metrics(runs / "lda")
    cut = lend(problem(), Setting.UPPER_BOUND, 2)
    assert isinstance(cut, LendingProblem)
    theirs = LogisticRegression(C=100, max_iter=2000).fit(cut.features[cut.lent], cut.labels[cut.lent])
    right = theirs.predict(cut.features[cut.test_unseen]) == cut.labels[cut.test_unseen]
    assert bound["T1"] == pytest.approx(class_mean(right, cut.labels[cut.test_unseen]), abs=0.06)
    assert bound["T1"] > 0.9
    assert bound["setting"] == LABEL
    assert "setting" not in other


def test_every_reader_of_the_run_repeats_the_cut(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = runs / "bound"
    metrics, config = read_metrics(folder), read_config(folder)
    expected = lend(problem(), Setting.UPPER_BOUND, 2)
    for named in (True, False):
        again, same = read_problem(folder, config, data_root=NOWHERE, problem=None if named else PROBLEM)
        assert same
        np.testing.assert_array_equal(again.test_unseen, expected.test_unseen)
    for where in ([], [PROBLEM]):
        capsys.readouterr()
        assert main(["evaluate", str(folder), *where, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["same_data"]
        assert told["setting"] == LABEL
        assert {name: told[name] for name in ("S", "T1")} == {name: metrics[name] for name in ("S", "T1")}
    (record,) = read([folder], NOWHERE)
    assert record.problem is not None
    np.testing.assert_array_equal(record.problem.test_unseen, expected.test_unseen)
    examples = {tuple(row) for row in Examples.read(folder / EXAMPLES).features.tolist()}
    assert isinstance(expected, LendingProblem)
    assert not examples & {tuple(row) for row in expected.features[expected.lent].tolist()}
    assert config["data"]["test_unseen"] == len(expected.test_unseen)
    assert "with their labels" in config["data"]["notes"]["lent"]


def test_no_class_is_added_to_it(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["add-class", str(runs / "bound"), "--name", "new", "--attributes", "1,2,3,4,5,6"]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'upper-bound' is an upper bound" in line
    estimator = load_estimator(runs / "bound")
    with pytest.raises(InputError, match="is an upper bound"):
        estimator.add_classes(["new"], [[1, 2, 3, 4, 5, 6]])
    with pytest.raises(InputError, match="synthesizes no features"):
        estimator.synthesize("class 0")


def test_it_is_labelled_and_unranked_side_by_side(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = render(read([runs / "bound", runs / "lda"], NOWHERE), ("pca",))
    assert f"Setting {LABEL}, half of those of the test set." in page
    board = page[page.index("Leaderboard") :]
    first, last = board.split("<tbody>")[1].split("</tr>")[:2]
    assert ">1<" in first
    assert "lda" in first
    assert ">upper bound<" in last
    assert ">–<" in last
    alone = render(read([runs / "bound"], NOWHERE), ("pca",))
    assert f"<title>upper-bound on {PROBLEM}" in alone or "(upper bound)</title>" in alone
    capsys.readouterr()
    assert main(["runs", str(runs)]) == 0
    assert "real samples of" in capsys.readouterr().out
    assert main(["runs", str(runs), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["runs"]
    assert [each["setting"] for each in told] == [LABEL, "inductive"]
    assert main(["methods"]) == 0
    assert LABEL in " ".join(capsys.readouterr().out.split())


def test_data_without_test_samples_are_refused() -> None:
    given = problem()
    labels = np.array(given.classes)[given.labels[given.train]]
    with pytest.raises(InputError, match="no sample of the unseen class"):
        ZeroShotClassifier("upper-bound").fit(
            given.features[given.train], labels, semantics=given.semantics, classes=given.classes
        )


def test_it_is_no_member_of_a_stack_and_not_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    methods = {member.method for member in find_method("auto").members}
    assert not any(find_method(name).upper_bound for name in methods)

    class Stacked(AutoOptions):
        table = "stacked"

    method = Method("stacked", "2020", Stacked, members=(Member("bound", "upper-bound"),))
    monkeypatch.setitem(METHODS._registered, "stacked", method)
    with pytest.raises(InputError, match="members of a stack are inductive"):
        make_recipe("stacked", "best")
