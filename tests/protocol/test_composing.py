"""Method auto through everything a method goes through: train, resume, predict, add classes, export, budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from gsmflow.cli import main
from gsmflow.files.tensors import read_tensors
from gsmflow.heads.stack import StackHead
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.beside import Beside
from gsmflow.protocol.choice import Choice
from gsmflow.protocol.composing import Composite
from gsmflow.protocol.fitting import refit
from gsmflow.recipes.preset import preset_for
from gsmflow.recipes.recipe import make_recipe, recipe_from
from gsmflow.runs.folder import load_classifier, read_config, read_metrics
from gsmflow.sources import synthetic

PROBLEM = "synthetic:n=900,d=10,classes=14,unseen=4,a=6,spread=0.5"
PRESET = str(Path(__file__).parents[1] / "support" / "tiny.toml")
TRAIN = [
    "train",
    PROBLEM,
    "--set",
    "auto.behind=1",
    "--method",
    "auto",
    "--preset",
    PRESET,
    "--set",
    "auto.draws=3",
    "--threads",
    "1",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("auto") / "run"
    assert main([*TRAIN, "--keep-data", "--oracle", "--out", str(folder), "--json"]) == 0
    return folder


SUITED = [label for label in make_recipe("auto", PRESET).members if label not in ("zero-shot", "dap")]


def test_members_are_a_leaderboard(run: Path) -> None:
    metrics = read_metrics(run)
    members = metrics["members"]
    assert [m["label"] for m in members] == SUITED
    chosen = metrics["chosen"]
    weights = {m["label"]: m["weight"] for m in members if m["weight"]}
    assert weights == chosen["parameters"]
    # Chosen on more problems than these scores are of
    assert chosen["H"] >= max(m["H"] for m in members) - 0.02
    assert all(0 < m["oracle_H"] <= 1 and m["seconds"] > 0 for m in members)
    assert [m["label"] for m in members if not m["ranks"]] == ["novelty"]
    assert metrics["H"] <= metrics["oracle"]["H"] + 1e-9
    assert metrics["H"] > 0.6  # guessing: 0.07


def test_the_rate_holds_for_held_out_samples(run: Path) -> None:
    """Seen test samples are called unseen about as often as was chosen."""
    classifier, problem = load_classifier(run), synthetic.make(synthetic.parse(PROBLEM.partition(":")[2]))[0]
    best = classifier.logits(problem.features[problem.test_seen]).argmax(axis=1)
    rate = read_metrics(run)["chosen"]["real_rate"]
    assert np.isin(best, problem.unseen).mean() == pytest.approx(rate, abs=0.08)


def test_its_recipe_is_read_back(run: Path) -> None:
    recipe = recipe_from(read_config(run), "config.toml")
    again = make_recipe("auto", PRESET, ["auto.draws=3", "auto.behind=1"])
    assert {n: m.tables() for n, m in recipe.members.items()} == {
        n: m.tables() for n, m in again.members.items()
    }
    assert recipe.tables() == again.tables()


def test_overrides_reach_the_members() -> None:
    recipe = make_recipe("auto", PRESET, ["gsmflow.epochs=3", "head.epochs=5", "lda.tried=2"])
    assert recipe.members["gsmflow"].options.epochs == 3
    assert recipe.members["plain gsmflow"].options.residual is False
    assert recipe.members["gsmflow"].head.epochs == 5
    assert recipe.members["gsmflow"].head.sets == 3
    assert recipe.members["lda"].options.tried == 2
    assert preset_for("CUB", None, "auto") == "best"
    assert preset_for("CUB", None, "gsmflow") == "CUB"
    assert preset_for("FLO", None, "auto") == "FLO-best"


def test_it_predicts_exports_and_takes_classes(run: Path, tmp_path: Path) -> None:
    import onnxruntime

    classifier, problem = load_classifier(run), synthetic.make(synthetic.parse(PROBLEM.partition(":")[2]))[0]
    features = problem.features[problem.test_unseen][:20]
    file = tmp_path / "classifier.onnx"
    assert main(["export", str(run), "-o", str(file), "--onnx"]) == 0
    (exported,) = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(
        ["probabilities"], {"features": features}
    )
    assert exported == pytest.approx(classifier.probabilities(features), abs=1e-4)
    pl.DataFrame(features, schema=[f"f{d}" for d in range(10)]).write_csv(tmp_path / "new.csv")
    assert main(["predict", str(run), str(tmp_path / "new.csv"), "-o", str(tmp_path / "out.csv")]) == 0
    predicted = pl.read_csv(tmp_path / "out.csv")["class"].to_list()
    names = np.array(classifier.classes)
    assert predicted == names[classifier.probabilities(features).argmax(axis=1)].tolist()
    values = ",".join(map(str, problem.semantics[0] * 0.5 + problem.semantics[3] * 0.5))
    words = ["add-class", str(run), "--name", "new", "--attributes", values, "--out", str(tmp_path / "more")]
    assert main(words) == 0
    assert load_classifier(tmp_path / "more").classes == (*classifier.classes, "new")


@pytest.fixture(scope="module")
def equal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Under ``last``: every member has the weight 1, flows too."""
    folder = tmp_path_factory.mktemp("auto") / "equal"
    assert main([*TRAIN, "--protocol", "last", "--keep-data", "--out", str(folder)]) == 0
    return folder


def test_without_a_choice_all_members_count_the_same(equal: Path) -> None:
    metrics, classifier = read_metrics(equal), load_classifier(equal)
    assert "chosen" not in metrics
    assert classifier.bias == 0
    assert isinstance(classifier.head, StackHead)
    assert [m.label for m in classifier.head.members] == SUITED


def test_for_the_same_problem_it_is_fitted_to_the_same(run: Path, equal: Path) -> None:
    problem = synthetic.make(synthetic.parse(PROBLEM.partition(":")[2]))[0]
    rows = problem.features[problem.test_unseen][:50]
    for folder in (run, equal):
        classifier, metrics = load_classifier(folder), read_metrics(folder)
        weights: dict[str, torch.Tensor] = {}
        if (folder / "model.safetensors").exists():
            weights, _ = read_tensors(folder / "model.safetensors")
            weights.pop("semantics")
        chosen = metrics.get("chosen")
        again = refit(
            problem,
            recipe_from(read_config(folder), "config.toml"),
            chosen and Choice(**{key: value for key, value in chosen.items() if key != "on"}),
            weights,
            classifier.transform,
            seed=0,
            device=torch.device("cpu"),
            members=metrics.get("members", ()),
        )
        assert again.bias == classifier.bias
        assert np.array_equal(again.logits(rows), classifier.logits(rows))


def test_members_side_by_side_have_the_numbers_of_one_after_the_other(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages, begin = [], Beside.begin

    def noted(self: Beside, stage: str, task: Any, *, turn: int) -> Any:
        stages.append(stage)
        return begin(self, stage, task, turn=turn)

    monkeypatch.setattr(Beside, "begin", noted)
    assert main([*TRAIN, "--threads", "2", "--keep-data", "--oracle", "--out", str(tmp_path / "run")]) == 0
    flows = ("gsmflow", "plain gsmflow")
    assert stages == [
        *(f"member {label}" for label in SUITED if label not in flows),
        *(f"{flow}, validation 2" for flow in flows),
        *(f"{flow}, final" for flow in flows),
    ]
    assert_same_numbers(run, tmp_path / "run")
    for name in ("history.jsonl", "head.safetensors"):
        assert (run / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


def assert_same_numbers(one: Path, other: Path) -> None:
    first, second = read_metrics(one), read_metrics(other)
    for metrics in (first, second):
        metrics.pop("seconds")
        for member in metrics["members"]:
            member.pop("seconds")
    assert first == second


@pytest.mark.parametrize(
    ("killed_after", "threads"), [(3, 1), (9, 1), (14, 1), (5, 2), (11, 2), (15, 2), (22, 2)]
)
def test_a_killed_run_ends_with_the_same_numbers(
    run: Path, killed_after: int, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    count, keep = [0], Recorder.keep

    def counted(self: Recorder, *arguments: object) -> None:
        count[0] += 1
        if count[0] > killed_after:
            raise Killed
        keep(self, *arguments)  # type: ignore[arg-type]

    words = [*TRAIN, "--keep-data", "--oracle", "--out", str(tmp_path / "run"), "--checkpoint-seconds", "0"]
    words += ["--threads", str(threads)]
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "keep", counted)
        with pytest.raises(Killed):
            main(words)
    assert main([*words, "--resume"]) == 0
    assert_same_numbers(run, tmp_path / "run")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_budget_leaves_out_what_would_not_be_done(threads: int, tmp_path: Path) -> None:
    words = [*TRAIN, "--budget", "0.001", "--threads", str(threads), "--out", str(tmp_path / "run")]
    assert main(words) == 0
    metrics = read_metrics(tmp_path / "run")
    first, *others = SUITED
    assert [m["label"] for m in metrics["members"]] == [first]
    assert metrics["chosen"]["parameters"] == {first: 1.0}
    assert metrics["left_out"] == dict.fromkeys(others, "it would not be done within the budget")


def test_a_budget_that_suffices_leaves_out_nothing(run: Path, tmp_path: Path) -> None:
    assert main([*TRAIN, "--budget", "1e6", "--keep-data", "--oracle", "--out", str(tmp_path / "run")]) == 0
    first, second = read_metrics(run), read_metrics(tmp_path / "run")
    assert "left_out" not in first
    assert "left_out" not in second
    assert (first["H"], first["chosen"]) == (second["H"], second["chosen"])


def test_members_are_those_that_the_data_are_for() -> None:
    """No image-text model's features here; and dap only where attributes are few and binary."""
    recipe, device = make_recipe("auto", PRESET), torch.device("cpu")
    few, _ = synthetic.make(synthetic.parse("n=200,d=6,classes=8,unseen=2,a=64"))
    many, _ = synthetic.make(synthetic.parse("n=200,d=6,classes=8,unseen=2,a=65"))
    assert list(Composite(few, recipe, 0, device, Recorder()).suited) == SUITED
    few, many = (
        replace(each, semantics=(each.semantics > each.semantics.mean()).astype(np.float32))
        for each in (few, many)
    )
    assert set(Composite(few, recipe, 0, device, Recorder()).suited) - set(SUITED) == {"dap"}
    assert list(Composite(many, recipe, 0, device, Recorder()).suited) == SUITED


def test_it_needs_trust_in_validation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*TRAIN, "--set", "selection.trust_validation=off", "--out", str(tmp_path / "run")]
    assert main(words) == 2
    assert "trust_validation" in capsys.readouterr().err


def test_flows_far_behind_are_left_out_after_the_first_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flow of a few steps is far below lda on features that are a linear function of the semantics."""
    words = [
        *TRAIN,
        "--set",
        "selection.problems=2",
        "--set",
        "auto.behind=0.1",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(words) == 0
    assert "gsmflow: left out, H " in capsys.readouterr().err
    labels = {m["label"] for m in read_metrics(tmp_path / "run")["members"]}
    assert "lda" in labels
    assert "gsmflow" not in labels


@pytest.mark.parametrize(("steps", "anew"), [(60, True), (20, False)])
def test_a_flow_that_knows_few_samples_by_heart_is_trained_without_them(steps: int, anew: bool) -> None:
    """What it synthesizes for unseen classes is like the samples that it passed over 60 times."""
    few = synthetic.make(synthetic.parse("n=260,d=10,classes=12,unseen=3,a=6"))[0]
    sizes = ("hidden=16", "blocks=2", "global_semantic=8", "epochs=1", f"least_steps={steps}")
    overrides = [
        *(f"gsmflow.{size}" for size in sizes),
        "gsmflow.batch_size=156",
        "head.synthetic_per_class=20",
    ]
    composite = Composite(few, make_recipe("auto", "best", overrides), 0, torch.device("cpu"), Recorder())
    trial = composite.trials({"plain gsmflow": None})["plain gsmflow"]
    assert (trial.learner.total_steps, trial.learner.steps_per_epoch) == (steps, 1)
    held_out = trial.held_out_logits(None, few)
    assert held_out.shape == (5 * 30, len(few.classes))
    trial.learner.load_weights({name: weight + 0.1 for name, weight in trial.learner.weights().items()})
    assert (trial.held_out_logits(None, few) == held_out).all() == anew
