"""Runs of class names alone: from two names and a model to labels, a service, an export and further classes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
from PIL import Image

from gsmflow import ZeroShotClassifier
from gsmflow.cli import main
from gsmflow.runs.folder import load_classifier
from support.image_text import NAMES, image_text, pictures

TEMPLATE = "a photo of a {}."


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, pictures to label, and a run of five names."""
    folder = tmp_path_factory.mktemp("names")
    image_text(folder / "model")
    pictures(folder / "photos")
    words = ["zero-shot", f"clip:{folder / 'model'}", "--classes", ",".join(NAMES), "--template", TEMPLATE]
    assert main([*words, "--out", str(folder / "run")]) == 0
    return folder


def labels(run: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> list[dict]:
    capsys.readouterr()
    assert main(["predict", str(run), str(photos), "--json", "--top", "5"]) == 0
    return json.loads(capsys.readouterr().out)["predictions"]


def test_pictures_get_the_labels_and_probabilities_of_transformers_pipeline(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import pipeline

    classify = pipeline("zero-shot-image-classification", model=str(place / "model"), device="cpu")
    rows = labels(place / "run", place / "photos", capsys)
    assert len(rows) == 30
    for row in rows[::5]:
        said = classify(
            Image.open(place / "photos" / row["sample"]).convert("RGB"),
            candidate_labels=list(NAMES),
            hypothesis_template=TEMPLATE,
        )
        assert (row["class"], row["class_2"]) == (said[0]["label"], said[1]["label"])
        assert row["probability"] == pytest.approx(said[0]["score"], abs=1e-5)
        assert row["unseen_class"] is True


def test_names_in_a_file_give_the_same_run(place: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    (tmp_path / "said.csv").write_text("name,text\n" + "".join(f"{n},{TEMPLATE.format(n)}\n" for n in NAMES))
    expected = load_classifier(place / "run").head.state()["weight"]
    for number, words in enumerate((["names.txt", "--template", TEMPLATE], ["said.csv"])):
        words[0] = str(tmp_path / words[0])
        out = tmp_path / str(number)
        assert main(["zero-shot", f"clip:{place / 'model'}", "--classes", *words, "--out", str(out)]) == 0
        assert torch.equal(load_classifier(out).head.state()["weight"], expected)


def test_it_takes_further_classes(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["describe", "--classes", "white okapi", "--encoder", f"clip:{place / 'model'}"]
    assert main([*words, "--template", TEMPLATE, "-o", str(tmp_path / "new.csv")]) == 0
    assert "warning" not in capsys.readouterr().err
    more = ["--from", str(tmp_path / "new.csv"), "--out", str(tmp_path / "v2")]
    assert main(["add-class", str(place / "run"), *more]) == 0
    words = ["zero-shot", f"clip:{place / 'model'}", "--classes", ",".join((*NAMES, "white okapi"))]
    assert main([*words, "--template", TEMPLATE, "--out", str(tmp_path / "whole")]) == 0
    assert (
        main(["add-class", str(place / "run"), "--name", "white okapi", "--out", str(tmp_path / "named")])
        == 0
    )
    whole = labels(tmp_path / "whole", place / "photos", capsys)
    for run in ("v2", "named"):
        added = labels(tmp_path / run, place / "photos", capsys)
        assert [row["class"] for row in added] == [row["class"] for row in whole]
        expected = [row["probability"] for row in whole]
        assert [row["probability"] for row in added] == pytest.approx(expected, abs=1e-5)


def test_it_is_reported_listed_evaluated_and_exported(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = place / "run"
    metrics = json.loads((run / "metrics.json").read_text())
    assert [metrics[name] for name in ("U", "S", "H", "T1", "AUSUC")] == [None] * 5
    assert main(["report", str(run), "--out", str(tmp_path / "r.html")]) == 0
    assert main(["runs", str(place)]) == 0
    assert "zero-shot" in capsys.readouterr().out
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 0
    assert "Its test set has no samples" in capsys.readouterr().out
    runtime = pytest.importorskip("onnxruntime")
    assert main(["export", str(run), "--onnx", "--out", str(tmp_path / "x.onnx")]) == 0
    session = runtime.InferenceSession(str(tmp_path / "x.onnx"), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(7, 16)).astype(np.float32)
    names = [output.name for output in session.get_outputs()]
    said = dict(zip(names, session.run(None, {"features": x}), strict=True))
    assert said["probabilities"] == pytest.approx(load_classifier(run).probabilities(x), abs=1e-5)


def test_it_is_served_and_takes_classes_by_a_text(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    client_of = pytest.importorskip("fastapi.testclient").TestClient
    from gsmflow.serve.app import create_app
    from gsmflow.serve.images import extractor_of
    from gsmflow.serve.limits import Limits
    from gsmflow.serve.service import Service
    from gsmflow.serve.texts import encoder_of

    cpu = torch.device("cpu")
    service = Service(place / "run", data_root=place, device=cpu, extractor=extractor_of(place / "run", cpu))
    service.encode = encoder_of(f"clip:{place / 'model'}", 16, cpu)
    client = client_of(create_app(service, Limits(hosts=("testserver",))))
    row = labels(place / "run", place / "photos", capsys)[3]
    sent = {"image": ("a.png", (place / "photos" / row["sample"]).read_bytes())}
    answer = client.post("/v1/predict/image", files=sent)
    assert answer.status_code == 200
    best = answer.json()["predictions"][0]["classes"][0]
    assert (best["name"], best["probability"]) == (row["class"], pytest.approx(row["probability"], abs=1e-5))
    added = client.post("/v1/classes", json={"name": "white okapi", "text": "a photo of a white okapi."})
    assert added.status_code in (200, 201), added.text


def test_an_estimator_loads_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = labels(place / "run", place / "photos", capsys)
    labelled = ZeroShotClassifier.load(place / "run").predict_images(place / "photos")
    assert list(labelled["class"]) == [row["class"] for row in rows]


def test_the_model_may_move(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, run, photos = tmp_path / "model", tmp_path / "run", str(place / "photos")
    shutil.copytree(place / "model", model)
    words = ["zero-shot", f"clip:{model}", "--classes", ",".join(NAMES), "--template", TEMPLATE]
    assert main([*words, "--out", str(run)]) == 0
    model.rename(tmp_path / "elsewhere")
    capsys.readouterr()
    assert main(["predict", str(run), photos]) == 2
    assert "neither a folder nor a published model" in capsys.readouterr().err
    assert main(["predict", str(run), photos, "--backbone", f"clip:{tmp_path / 'elsewhere'}", "--json"]) == 0
    moved = json.loads(capsys.readouterr().out)["predictions"]
    assert [row["class"] for row in moved] == [
        row["class"] for row in labels(place / "run", place / "photos", capsys)
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["resnet101", "--classes", "a,b"], "expected a model of images and texts"),
        (["clip:MODEL", "--classes", "red fox"], "a single class"),
        (["clip:MODEL", "--classes", "a,a"], "the same class twice"),
        (["clip:MODEL", "--classes", "a,b", "--template", "a photo"], "no {}"),
        (["clip:MODEL/nowhere", "--classes", "a,b"], "neither a folder nor"),
    ],
)
def test_requests_that_cannot_be_met(
    place: Path, tmp_path: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words[0] = words[0].replace("MODEL", str(place / "model"))
    assert main(["zero-shot", *words, "--out", str(tmp_path / "run")]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_there_is_not_overwritten(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "zero-shot",
        f"clip:{place / 'model'}",
        "--classes",
        "red fox,grey owl",
        "--out",
        str(place / "run"),
    ]
    assert main(words) == 2
    assert "holds a run already" in capsys.readouterr().err
