"""Models of images and texts: both towers agree with transformers' own pipeline, and only safe files are opened."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
from PIL import Image

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.files.image_text import ImageTextModel, described, fingerprint, folder_of
from gsmflow.images.backbone import BackboneSpec
from gsmflow.images.opening import open_backbone
from gsmflow.semantics.encoder import open_encoder
from gsmflow.semantics.sentences import averaged
from support.image_text import NAMES, image_text, pictures

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["clip", "siglip"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_text(tmp_path_factory.mktemp("models") / request.param, request.param)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("pictures") / "images")


def features_of(model: Path, files: list[Path]) -> np.ndarray:
    backbone = open_backbone(BackboneSpec.of(f"clip:{model}"), CPU)
    opened = [Image.open(file).convert("RGB") for file in files]
    return backbone.features(np.stack([backbone.prepare(image) for image in opened]))


def test_pictures_and_names_are_scored_as_transformers_pipeline_does(model: Path, images: Path) -> None:
    from transformers import pipeline

    files = sorted(images.rglob("*.png"))[::7]
    classify = pipeline("zero-shot-image-classification", model=str(model), device="cpu")
    vectors = averaged(
        NAMES, [[f"a photo of a {name}."] for name in NAMES], open_encoder(f"clip:{model}", CPU)
    )
    known = described(model)
    logits = known.scale * features_of(model, files) @ vectors.T + known.bias
    siglip = known.bias != 0
    scores = 1 / (1 + np.exp(-logits)) if siglip else torch.softmax(torch.tensor(logits), dim=1).numpy()
    for file, row in zip(files, scores, strict=True):
        told = classify(
            Image.open(file).convert("RGB"),
            candidate_labels=list(NAMES),
            hypothesis_template="a photo of a {}.",
        )
        expected = {each["label"]: each["score"] for each in told}
        assert row == pytest.approx([expected[name] for name in NAMES], abs=1e-5)
    assert scores.std(axis=0).max() > 1e-3  # pictures and names make a difference
    assert scores.std(axis=1).max() > 1e-3


def test_features_are_projected_and_of_length_one(model: Path, images: Path) -> None:
    features = features_of(model, sorted(images.rglob("*.png"))[:3])
    assert features.shape == (3, 16 if model.name == "clip" else 24)
    assert np.linalg.norm(features, axis=1) == pytest.approx(np.ones(3), abs=1e-6)


def test_a_model_says_its_temperature(tmp_path: Path) -> None:
    clip = described(image_text(tmp_path / "a"))
    siglip = described(image_text(tmp_path / "b", "siglip"))
    assert (clip.scale, clip.bias) == (pytest.approx(np.exp(3)), 0)
    assert (siglip.scale, siglip.bias) == (pytest.approx(np.exp(2)), -1.5)
    assert clip.sha256 != siglip.sha256


def test_weights_in_half_precision_are_taken(tmp_path: Path, images: Path) -> None:
    from transformers import CLIPModel

    model = image_text(tmp_path / "a")
    files = sorted(images.rglob("*.png"))[:3]
    whole = features_of(model, files)
    CLIPModel.from_pretrained(model).to(torch.bfloat16).save_pretrained(model)
    assert described(model).scale == pytest.approx(np.exp(3), rel=1e-2)
    half = features_of(model, files)
    assert half.dtype == np.float32
    assert np.sum(half * whole, axis=1) == pytest.approx(np.ones(3), abs=1e-3)


def test_the_fingerprint_is_of_what_decides(tmp_path: Path) -> None:
    model = image_text(tmp_path / "a")
    before = fingerprint(model)
    (model / "README.md").write_text("hello")
    assert fingerprint(shutil.copytree(model, tmp_path / "moved")) == before
    settings = json.loads((model / "preprocessor_config.json").read_text())
    (model / "preprocessor_config.json").write_text(json.dumps(settings | {"resample": 2}))
    assert fingerprint(model) != before
    assert fingerprint(image_text(tmp_path / "b", seed=1)) != before


def test_a_moved_model_is_the_same_backbone(tmp_path: Path, images: Path) -> None:
    model = image_text(tmp_path / "a")
    spec = open_backbone(BackboneSpec.of(f"clip:{model}"), CPU).spec
    model.rename(tmp_path / "b")
    with pytest.raises(InputError, match="neither a folder nor"):
        open_backbone(spec, CPU)
    moved = spec.moved(f"clip:{tmp_path / 'b'}", None)
    assert open_backbone(moved, CPU).spec.same_as(spec)
    other = spec.moved(f"clip:{image_text(tmp_path / 'c', seed=1)}", None)
    with pytest.raises(InputError, match="not the backbone that the features were made with"):
        open_backbone(other, CPU)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (
            lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
            "pickled weights are never loaded",
        ),
        (lambda f: (f / "config.json").write_text('{"model_type": "bert"}'), "holds a model of type bert"),
        (lambda f: (f / "config.json").unlink(), "no config.json of a model"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 99), "not a readable"),
    ],
)
def test_other_folders_are_refused_in_one_line(
    tmp_path: Path, images: Path, spoil, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(image_text(tmp_path / "m"))
    for words in (
        ["extract", str(images), "--backbone", f"clip:{tmp_path / 'm'}", "-o", str(tmp_path / "f.npz")],
        [
            "describe",
            str(tmp_path / "c.csv"),
            "--encoder",
            f"clip:{tmp_path / 'm'}",
            "-o",
            str(tmp_path / "s.csv"),
        ],
    ):
        (tmp_path / "c.csv").write_text("name,text\na,red fox\nb,blue whale\n")
        assert main(words) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert expected in said[-1]
        assert said[-1].startswith("gsmflow: ")
    assert not (tmp_path / "f.npz").exists()
    assert not (tmp_path / "s.csv").exists()


def test_code_in_a_models_folder_is_never_run(tmp_path: Path, images: Path) -> None:
    model = image_text(tmp_path / "m")
    settings = json.loads((model / "config.json").read_text())
    settings["auto_map"] = {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}
    (model / "config.json").write_text(json.dumps(settings))
    for file, kind in (
        ("preprocessor_config.json", "AutoImageProcessor"),
        ("tokenizer_config.json", "AutoTokenizer"),
    ):
        settings = json.loads((model / file).read_text())
        settings["auto_map"] = {kind: "evil.Evil" if kind == "AutoImageProcessor" else ["evil.Evil", None]}
        (model / file).write_text(json.dumps(settings))
    (model / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    features_of(model, sorted(images.rglob("*.png"))[:1])
    open_encoder(f"clip:{model}", CPU)(["a red fox"])
    assert not (tmp_path / "ran").exists()


def test_a_preparation_of_another_size_is_told(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = image_text(tmp_path / "m")
    settings = json.loads((model / "preprocessor_config.json").read_text())
    settings |= {"size": {"shortest_edge": 40}, "crop_size": {"height": 40, "width": 40}}
    (model / "preprocessor_config.json").write_text(json.dumps(settings))
    words = ["extract", str(images), "--backbone", f"clip:{model}", "-o", str(tmp_path / "f.npz")]
    assert main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "does not take pictures as its preprocessor_config.json prepares them" in said


def test_a_name_that_is_nowhere_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path
) -> None:
    for name, expected in (
        ("clip:none", "neither a folder nor"),
        ("clip:no-such/model", "cannot be downloaded"),
    ):
        words = ["extract", str(images), "--backbone", name, "-o", str(tmp_path / "f.npz")]
        assert main(words) == 2
        assert expected in capsys.readouterr().err
    assert folder_of(f"clip:{image_text(tmp_path / 'm')}", "backbone") == tmp_path / "m"
    assert isinstance(described(tmp_path / "m"), ImageTextModel)


def test_timms_clip_is_named_as_what_it_is() -> None:
    told = BackboneSpec("timm", "vit_base_patch16_clip_224.openai").note
    assert "without its projection" in told
    assert "clip:OWNER/NAME" in told
    assert BackboneSpec("timm", "resnet101").note == ""
    assert BackboneSpec("clip", "clip:openai/clip-vit-base-patch16").note == ""
