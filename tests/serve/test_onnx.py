"""The exported graph gives what the run gives, for every kind of transformation and head."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.data.feature_options import SCALINGS, FeatureOptions
from gsmflow.data.transform import FeatureTransform
from gsmflow.flow.model import FlowSizes, GSMFlow
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.heads.likelihood import GatedHead, LikelihoodHead
from gsmflow.heads.linear import LinearHead
from gsmflow.heads.representation import ACTIVATIONS, Representation, RepresentedHead
from gsmflow.images.backbone import BackboneSpec
from gsmflow.images.opening import open_backbone
from gsmflow.runs.folder import load_classifier
from gsmflow.serve.onnx import export
from support.pictures import SIDE, patches_model
from support.recipes import ARGUMENTS, PROBLEM, problem


def onnx_probabilities(file: Path, features: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    probabilities, logits = session.run(["probabilities", "logits"], {"features": features})
    return np.asarray(probabilities), np.asarray(logits)


def check(classifier: FittedClassifier, features: NDArray[np.float32], file: Path) -> None:
    """To 1e-5, with temperatures of 1 and more; a lower one enlarges what float32 rounds off the logits."""
    export(classifier, file)
    probabilities, logits = onnx_probabilities(file, features)
    allowed = 1e-5 / min(1.0, classifier.temperature)
    assert np.abs(probabilities - classifier.probabilities(features)).max() < allowed
    assert np.allclose(logits, classifier.logits(features), atol=1e-4, rtol=1e-5)
    alone, _ = onnx_probabilities(file, features[:1])
    assert np.allclose(alone, probabilities[:1], atol=1e-6)


def head(dim: int, classes: int, scale: float | None = None, seed: int = 0) -> LinearHead:
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(classes, dim + 1, generator=generator)
    return LinearHead(draw[:, :dim], torch.zeros(classes) if scale else draw[:, dim], scale)


def test_a_run_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(["train", PROBLEM, *ARGUMENTS, "--set", "head.calibrate=on", "--out", str(run)]) == 0
    capsys.readouterr()
    assert main(["export", str(run), "--onnx", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    classifier = load_classifier(run)
    assert classifier.bias != 0
    assert classifier.temperature != 1
    file = Path(told["out"])
    assert file == run / "classifier.onnx"
    features = problem().features
    probabilities, _ = onnx_probabilities(file, features)
    assert np.abs(probabilities - classifier.probabilities(features)).max() < 1e-5
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    noted = session.get_modelmeta().custom_metadata_map
    assert json.loads(noted["classes"]) == list(classifier.classes)
    assert json.loads(noted["unseen"]) == classifier.unseen.tolist()
    assert main(["evaluate", str(run)]) == 0  # the folder is as good as before


def test_raw_features_far_from_zero_are_taken_in_float64(tmp_path: Path) -> None:
    data = problem()
    raw = data.features.astype(np.float64) + 1.7e9
    transform = FeatureTransform.fit(replace(data, features=raw), FeatureOptions())
    classifier = FittedClassifier(transform, head(10, 12), data.classes, data.unseen)
    export(classifier, tmp_path / "c.onnx")
    probabilities, _ = onnx_probabilities(tmp_path / "c.onnx", raw[:50])
    assert np.abs(probabilities - classifier.probabilities(transform.narrowed(raw[:50]))).max() < 1e-5
    assert len(np.unique(probabilities[:, 0])) > 40


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("project", [0, 4])
@pytest.mark.parametrize("log", [False, True])
def test_every_transformation_is_exported(scaling: str, project: int, log: bool, tmp_path: Path) -> None:
    data = problem()
    data = replace(data, features=np.exp(data.features) if log else data.features)
    transform = FeatureTransform.fit(data, FeatureOptions(scaling=scaling, project=project, log=log))
    classes = len(data.classes)
    for scale in (None, 20.0):
        classifier = FittedClassifier(
            transform, head(transform.out_dim, classes, scale), data.classes, data.unseen, 0.7, None, 1.7
        )
        check(classifier, data.features, tmp_path / "c.onnx")


def test_every_representation_is_exported(tmp_path: Path) -> None:
    data = problem()
    transform = FeatureTransform.fit(data, FeatureOptions(scaling="standard"))
    generator = torch.Generator().manual_seed(1)
    sizes = [data.feature_dim, *([7] * len(ACTIVATIONS))]
    layers = tuple(
        (torch.randn(b, a, generator=generator) / a**0.5, torch.randn(b, generator=generator), activation)
        for a, b, activation in zip(sizes, sizes[1:], ACTIVATIONS, strict=False)
    )
    # Logarithms of probabilities, as methods take them: those of numbers near 0 would enlarge what is rounded off.
    layers = tuple((w.abs() / w.abs().sum(), 0 * b, a) if a == "log" else (w, b, a) for w, b, a in layers)
    represented = Representation(layers, (0, 2, len(layers)))
    represented_head = RepresentedHead(represented, head(represented.out_dim, len(data.classes)))
    check(
        FittedClassifier(transform, represented_head, data.classes, data.unseen, -0.3),
        data.features,
        tmp_path / "c.onnx",
    )


@pytest.mark.parametrize("kind", ["linear", "likelihood"])
@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.parametrize("opset", [11, 17, 20])
def test_a_backbone_is_included(opset: int, maps: bool, kind: str, tmp_path: Path) -> None:
    """Pictures go in, and what comes out is what the backbone and the classifier give one after the other."""
    file = patches_model(tmp_path / "backbone.onnx")
    model = onnx.load(file)
    model.opset_import[0].version = opset
    if maps:  # the feature map itself: 8 channels, to be averaged
        del model.graph.node[-1], model.graph.output[:]
        model.graph.output.append(onnx.helper.make_tensor_value_info("r", 1, ["n", 8, "h", "w"]))
    onnx.save(model, file)
    spec = BackboneSpec.of(str(file), preprocessing={"size": SIDE, "crop": 1.0})
    backbone = open_backbone(spec, torch.device("cpu"))
    pictures = np.random.default_rng(0).normal(size=(5, 3, SIDE, SIDE)).astype(np.float32)
    features = backbone.features(pictures)
    dim = features.shape[1]
    assert dim == (8 if maps else 128)
    transform = FeatureTransform(features.min(axis=0), np.full(dim, 0.5, np.float32))
    if kind == "linear":
        own_head, names, unseen = head(dim, 4), tuple("abcd"), np.array([3])
    else:
        own_head, names, unseen = gated(dim, True, 1.0), tuple("abcdefgh"), np.array([2, 4, 5])
    classifier = FittedClassifier(transform, own_head, names, unseen, 0.4, None, 2.5)
    export(classifier, tmp_path / "whole.onnx", backbone.spec)
    session = onnxruntime.InferenceSession(tmp_path / "whole.onnx", providers=["CPUExecutionProvider"])
    (exported,) = session.run(["probabilities"], {"x": pictures})
    assert np.abs(np.asarray(exported) - classifier.probabilities(features)).max() < 1e-5
    noted = session.get_modelmeta().custom_metadata_map
    assert json.loads(noted["preprocessing"])["size"] == SIDE
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(InputError, match=r"not the backbone|not a readable"):
        export(classifier, tmp_path / "again.onnx", backbone.spec)


def gated(dim: int, every_layer: bool, clamp: float) -> GatedHead:
    """Of eight classes in mixed order, with weights as large as training makes them."""
    generator = torch.Generator().manual_seed(2)
    semantics = torch.randn(8, 5, generator=generator)
    model = GSMFlow(FlowSizes(dim, 3, 24, 16, every_layer), semantics[:3], clamp)
    model.positioning.reset(generator)
    model.flow.reset(generator, scale=0.2)
    seen, unseen = torch.tensor([6, 0, 3, 1, 7]), torch.tensor([5, 2, 4])
    likelihood = LikelihoodHead(model.eval(), semantics, clamp)
    return GatedHead(likelihood, seen, unseen, head(dim, 5), head(dim, 3, 20.0))


@pytest.mark.parametrize("clamp", [1.0, 2.5])
@pytest.mark.parametrize("every_layer", [True, False])
@pytest.mark.parametrize("dim", [2, 7, 10])
def test_likelihoods_are_exported(dim: int, every_layer: bool, clamp: float, tmp_path: Path) -> None:
    """A loop over the classes, alone and as a gate."""
    transform = FeatureTransform(np.full(dim, 0.3, np.float32), np.full(dim, 1.5, np.float32))
    features = np.random.default_rng(3).normal(size=(23, dim)).astype(np.float32)
    names, gate = tuple("abcdefgh"), gated(dim, every_layer, clamp)
    for each in (gate.gate, gate):
        classifier = FittedClassifier(
            transform, each, names, gate.unseen.sort().values.numpy(), 0.4, None, 1.3
        )
        assert classifier.probabilities(features).max(axis=1).min() < 0.9  # they say something
        check(classifier, features, tmp_path / "c.onnx")


@pytest.mark.parametrize("method", ["likelihood", "likelihood-gate"])
def test_runs_that_classify_by_likelihood_are_exported(method: str, tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / "c.onnx"
    settings = [f"{method}.epochs=2", f"{method}.least_steps=0", f"{method}.hidden=16"]
    settings += [f"{method}.global_semantic=16", "selection.problems=1"]
    command = ["train", PROBLEM, "--method", method, *(part for each in settings for part in ("--set", each))]
    assert main([*command, "--out", str(run)]) == 0
    assert main(["export", str(run), "--onnx", "-o", str(file)]) == 0
    check(load_classifier(run), problem().features, tmp_path / "again.onnx")
    assert file.read_bytes() == (tmp_path / "again.onnx").read_bytes()


def test_what_cannot_be_exported_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(["train", PROBLEM, *ARGUMENTS, "--protocol", "last", "--out", str(run)]) == 0
    capsys.readouterr()
    assert main(["export", str(run), "--onnx", "-o", str(tmp_path / "c.pb")]) == 2
    assert "ending in .onnx" in capsys.readouterr().err
    assert main(["export", str(run), "--onnx", "--images"]) == 2
    assert "features of unknown origin" in capsys.readouterr().err
