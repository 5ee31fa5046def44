"""Method zero-shot: the cosine of picture and text, from pictures to every use of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
from PIL import Image

from gsmflow import sources
from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.data.bundle import load, save
from gsmflow.data.problem import Problem
from gsmflow.data.validation import validation_problem
from gsmflow.files.image_text import described
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.fitting import run as carry_out
from gsmflow.recipes.recipe import make_recipe
from gsmflow.runs.folder import load_classifier, read_config
from gsmflow.semantics.encoder import open_encoder
from gsmflow.semantics.sentences import averaged
from support.image_text import NAMES, image_text, pictures

CPU = torch.device("cpu")
UNSEEN = ("white okapi", "black zebra")
TEMPLATES = ("a photo of a {}.", "a drawing of the {}.")


def describe(folder: Path, model: Path, names: tuple[str, ...], stem: str = "text") -> None:
    words = ["describe", "--classes", ",".join(names), "--encoder", f"clip:{model}"]
    templates = [part for each in TEMPLATES for part in ("--template", each)]
    assert main([*words, *templates, "-o", str(folder / f"{stem}.csv")]) == 0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {kind: image_text(folder / kind, kind) for kind in ("clip", "siglip")} | {
        "other": image_text(folder / "other", seed=1)
    }


@pytest.fixture(scope="module", params=["clip", "siglip"])
def mine(
    request: pytest.FixtureRequest, models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Pictures of five classes, features of them, and seven classes described."""
    folder = tmp_path_factory.mktemp(request.param) / "mine"
    images, model = pictures(folder / "images", each=10), models[request.param]
    out = ["-o", str(folder / "features.npz")]
    assert main(["extract", str(images), "--backbone", f"clip:{model}", *out]) == 0
    describe(folder, model, (*NAMES, *UNSEEN))
    return folder


@pytest.fixture(scope="module")
def run(mine: Path) -> Path:
    out = mine.parent / "run"
    assert main(["train", str(mine), "--semantics", "text", "--method", "zero-shot", "--out", str(out)]) == 0
    return out


def problem_in(folder: Path) -> Problem:
    return sources.load(str(folder), data_root=folder.parent, semantics="text")


def fitted(problem: Problem, protocol: str = "last"):
    key = {"oracle": False, "seed": 0, "device": CPU, "recorder": Recorder()}
    return carry_out(problem, make_recipe("zero-shot", "best"), protocol=protocol, **key)


def test_the_classes_of_transformers_pipeline_with_its_probabilities(
    mine: Path, models: dict[str, Path]
) -> None:
    """One template, so that the pipeline says the same; its scores are a softmax for CLIP, sigmoids for SigLIP."""
    from transformers import pipeline

    kind = mine.parent.name.rstrip("0123456789")
    model = models[kind]
    problem = problem_in(mine)
    classify = pipeline("zero-shot-image-classification", model=str(model), device="cpu")
    names = (*NAMES, *UNSEEN)
    vectors = averaged(names, [[f"a {name}"] for name in names], open_encoder(f"clip:{model}", CPU))
    # classes of a problem come in the order of its table
    problem = replace(problem, semantics=vectors)
    assert problem.classes == names
    classifier = fitted(problem).classifier
    assert (classifier.bias, classifier.temperature) == (0, 1)
    assert problem.pictures
    for row in (0, 11, 23, 49):
        said = classify(
            Image.open(problem.pictures[row]).convert("RGB"),
            candidate_labels=list(names),
            hypothesis_template="a {}",
        )
        expected = np.array([{each["label"]: each["score"] for each in said}[name] for name in names])
        logits = classifier.logits(problem.features[[row]])[0].astype(np.float64)
        scores = np.exp(logits) / np.exp(logits).sum() if kind == "clip" else 1 / (1 + np.exp(-logits))
        assert scores == pytest.approx(expected, abs=1e-5)


def test_logits_are_the_cosine_times_the_models_own_temperature(
    mine: Path, run: Path, models: dict[str, Path]
) -> None:
    problem, classifier = problem_in(mine), load_classifier(run)
    known = described(models[mine.parent.name.rstrip("0123456789")])
    cosine = problem.features @ problem.semantics.T  # both have length 1
    assert classifier.logits(problem.features) == pytest.approx(known.scale * cosine + known.bias, abs=1e-4)
    assert classifier.bias == 0


def test_training_pictures_change_nothing(mine: Path) -> None:
    problem = problem_in(mine)
    one = [int(problem.train[problem.labels[problem.train] == label][0]) for label in problem.seen]
    few = replace(problem, train=np.array(one))
    whole, little = fitted(problem).classifier, fitted(few).classifier
    assert np.array_equal(whole.logits(problem.features), little.logits(problem.features))


def test_features_of_any_length_give_the_same_classes(mine: Path) -> None:
    problem = problem_in(mine)
    longer = replace(problem, features=problem.features * np.float32(7))
    one, other = (fitted(each).classifier.logits(each.features) for each in (problem, longer))
    assert other == pytest.approx(one, abs=1e-4)


def test_validation_knows_the_model_too(mine: Path, tmp_path: Path) -> None:
    problem = problem_in(mine)
    assert problem.image_text is not None
    assert validation_problem(problem, seed=0).image_text == problem.image_text
    save(problem, tmp_path / "bundle")
    assert load(tmp_path / "bundle").image_text == problem.image_text
    outcome = fitted(problem, "validated")
    assert outcome.choice is not None
    assert outcome.choice.bias == outcome.classifier.bias == 0


def test_other_models_are_refused_in_one_line(
    mine: Path, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    describe(mine, models["other"], (*NAMES, *UNSEEN), "others")
    describe(mine, models["other"], (*NAMES, *UNSEEN), "unknown")
    (mine / "unknown.origin.json").unlink()
    describe(mine, models[mine.parent.name.rstrip("0123456789")], (*NAMES, *UNSEEN), "changed")
    (mine / "changed.csv").write_text((mine / "changed.csv").read_text().replace("red fox", "Red fox"))
    for semantics, expected in (
        ("others", f"semantics of clip:{models['other']}"),
        ("unknown", "semantics of an unknown origin"),
        ("changed", "semantics of an unknown origin"),
    ):
        capsys.readouterr()
        words = ["train", str(mine), "--semantics", semantics, "--method", "zero-shot"]
        assert main([*words, "--out", str(tmp_path / "run")]) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert expected in said[-1], said
        assert not (tmp_path / "run").exists()
    assert main(["train", "digits", "--method", "zero-shot", "--out", str(tmp_path / "run")]) == 2
    assert "features are of an unknown origin" in capsys.readouterr().err
    with pytest.raises(InputError, match="one model of images and texts"):
        fitted(replace(problem_in(mine), backbone=None))


def test_what_makes_it_what_it_is_cannot_be_set(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", str(mine), "--semantics", "text", "--method", "zero-shot", "--set"]
    for option in ("features.scaling=minmax", "features.project=3", "semantics.scaling=centered"):
        assert main([*words, option]) == 2
        assert "is always" in capsys.readouterr().err


def test_a_run_labels_pictures_and_takes_classes(
    mine: Path, run: Path, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = mine.parent.name.rstrip("0123456789")
    config = read_config(run)
    assert config["backbone"]["kind"] == "clip"
    assert config["semantic_origin"]["image_text"]["sha256"] == config["backbone"]["sha256"]
    capsys.readouterr()
    assert main(["predict", str(run), str(mine / "images"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["predictions"]
    problem, classifier = problem_in(mine), load_classifier(run)
    expected = [classifier.classes[c] for c in classifier.logits(problem.features).argmax(axis=1)]
    assert [each["class"] for each in told] == expected
    describe(tmp_path, models[kind], ("red owl",))
    more = ["--from", str(tmp_path / "text.csv"), "--out", str(tmp_path / "v2")]
    assert main(["add-class", str(run), *more]) == 0
    added = load_classifier(tmp_path / "v2")
    assert added.classes == (*classifier.classes, "red owl")
    before, after = (each.logits(problem.features) for each in (classifier, added))
    assert after[:, :-1] == pytest.approx(before, abs=1e-5)


def test_a_run_is_exported(mine: Path, run: Path, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    assert main(["export", str(run), "--onnx", "--out", str(tmp_path / "x.onnx")]) == 0
    problem, classifier = problem_in(mine), load_classifier(run)
    session = runtime.InferenceSession(str(tmp_path / "x.onnx"), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    said = dict(zip(names, session.run(None, {"features": problem.features}), strict=True))
    assert said["probabilities"] == pytest.approx(classifier.probabilities(problem.features), abs=1e-5)


@pytest.mark.slow
def test_a_row_in_bench(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", str(mine), "--semantics", "text", "--methods", "zero-shot,lda", "--seeds", "0"]
    capsys.readouterr()
    assert main([*words, "--protocol", "last", "--jobs", "1", "--out", str(tmp_path / "b"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["method"] for row in rows} == {"zero-shot", "lda"}


def without_training(problem: Problem) -> Problem:
    """The same, with all samples to be tested and none to learn from."""
    nobody = np.zeros(0, np.int64)
    return replace(problem, train=nobody, test_seen=nobody, test_unseen=np.arange(len(problem.labels)))


@pytest.mark.parametrize("protocol", ["validated", "last"])
def test_no_training_picture_is_needed(mine: Path, protocol: str) -> None:
    problem = without_training(problem_in(mine))
    outcome = fitted(problem, protocol)
    logits = outcome.classifier.logits(problem.features)
    assert np.array_equal(logits, fitted(problem_in(mine)).classifier.logits(problem.features))
    right = logits.argmax(axis=1) == problem.labels
    by_class = [right[problem.labels == label].mean() for label in np.unique(problem.labels)]
    assert outcome.scores.U == outcome.scores.T1 == pytest.approx(np.mean(by_class))
    assert np.isnan(outcome.scores.S)


def test_other_methods_need_training_pictures(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = without_training(problem_in(mine))
    features = tmp_path / "mine" / "features.npz"
    features.parent.mkdir()
    labels = np.array(problem.classes)[problem.labels]
    split, backbone = np.full(len(labels), "test"), np.array(json.dumps(dict(problem.backbone or {})))
    np.savez(features, features=problem.features, labels=labels, split=split, backbone=backbone)
    for name in ("text.csv", "text.origin.json"):
        (features.parent / name).write_bytes((mine / name).read_bytes())
    words = ["train", str(features.parent), "--semantics", "text", "--out", str(tmp_path / "run"), "--method"]
    capsys.readouterr()
    for method in ("lda", "gsmflow", "auto"):
        assert main([*words, method]) == 2
        assert "no training samples" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main([*words, "zero-shot", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["S"] is None
    with pytest.raises(InputError, match="no training samples"):
        replace(problem, backbone=None)


def test_one_command_from_pictures_and_names_to_a_run(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "photos", NAMES[:2], each=3)  # too few classes to choose anything on
    words = ["train", str(folder), "--method", "zero-shot", "--backbone", f"clip:{models['siglip']}"]
    assert main([*words, "--classes", "white okapi,black zebra", "--out", str(tmp_path / "run")]) == 0
    names = (*sorted(NAMES[:2]), "white okapi", "black zebra")
    assert load_classifier(tmp_path / "run").classes == names
