"""Attributes and texts side by side: equal weights, chosen weights, and classes that are added."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat

from gsmflow import sources
from gsmflow.cli import main
from gsmflow.data.bundle import load, save
from gsmflow.data.semantic_blocks import blocks_of, parse_weights, weighted
from gsmflow.data.semantic_scaling import SemanticOptions, scaled_semantics
from gsmflow.files.class_table import read_classes
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.choosing import choose
from gsmflow.protocol.semantic_weights import semantic_weights, with_weights
from gsmflow.recipes.recipe import make_recipe
from gsmflow.semantics.encoder import open_encoder
from gsmflow.serve.answers import attributes, predictions
from gsmflow.serve.reasons import reasons
from gsmflow.serve.service import Service
from gsmflow.serve.texts import encoders_for
from support.encoders import tiny_encoder
from support.folders import xlsa17

NAMES = ("ant", "bee", "cow", "dog", "elk", "fox", "gnu", "hen", "owl")
UNSEEN = ("hen", "owl")


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features that show attributes which semantics in two tables describe, one of numbers and one of texts."""
    folder = tmp_path_factory.mktemp("joined")
    (folder / "mine").mkdir()
    tiny_encoder(folder, ["a", "photo", "of", *NAMES, "yak"])
    rng = np.random.default_rng(0)
    legs = {name: rng.integers(1, 9, 3) for name in NAMES}
    (folder / "mine" / "classes.csv").write_text(
        "name,legs,wings,horns\n" + "".join(f"{n},{','.join(map(str, v))}\n" for n, v in legs.items())
    )
    names = ["--classes", ",".join(reversed(NAMES)), "--template", "a photo of {}", "--template", "{}"]
    out = ["-o", str(folder / "mine" / "text.csv")]
    assert main(["describe", *names, "--encoder", str(folder / "encoder"), *out]) == 0
    looks = rng.normal(size=(3, 12))
    rows = [
        f"{name},{'test' if name in UNSEEN or i > 12 else 'train'},"
        + ",".join(f"{x:.4f}" for x in legs[name] @ looks + 0.5 * rng.normal(size=12))
        for name in NAMES
        for i in range(16)
    ]
    header = "label,split," + ",".join(f"f{i}" for i in range(12))
    (folder / "mine" / "features.csv").write_text("\n".join((header, *rows)) + "\n")
    command = ["train", str(folder / "mine"), "--semantics", "classes,text", "--method", "lda"]
    assert main([*command, "--out", str(folder / "run")]) == 0
    return folder


def test_blocks_have_the_same_weight(mine: Path) -> None:
    problem = sources.load(str(mine / "mine"), data_root=mine, semantics="classes,text")
    names, numbers, columns = read_classes(mine / "mine" / "classes.csv")
    called, texts, dimensions = read_classes(mine / "mine" / "text.csv")
    texts = texts[[called.index(name) for name in names]]
    seen = [names.index(name) for name in NAMES if name not in UNSEEN]
    expected = []
    for block in (numbers, texts):
        centred = block.astype(np.float64) - block[seen].mean(axis=0)
        expected.append(centred / np.sqrt((centred[seen] ** 2).sum(axis=1).mean()))
    assert problem.semantics == pytest.approx(np.concatenate(expected, axis=1), abs=1e-5)
    assert problem.semantic_names == (*columns, *dimensions)
    for part in (problem.semantics[:, :3], problem.semantics[:, 3:]):
        assert np.square(part[problem.seen]).sum(axis=1).mean() == pytest.approx(1, abs=1e-5)
        assert part[problem.seen].mean(axis=0) == pytest.approx(0, abs=1e-6)


def test_a_drawn_split_is_that_of_the_first(mine: Path, tmp_path: Path) -> None:
    """The draw goes by the order of classes, which is another one in the other table."""
    lines = (mine / "mine" / "features.csv").read_text().splitlines()
    rows = [",".join((line.split(",")[0], *line.split(",")[2:])) for line in lines]
    (tmp_path / "features.csv").write_text("\n".join(rows) + "\n")
    for name in ("classes.csv", "text.csv"):
        (tmp_path / name).write_bytes((mine / "mine" / name).read_bytes())
    both, one = (sources.load(str(tmp_path), data_root=mine, semantics=s) for s in ("classes,text", None))
    assert both.fingerprint["split"] == one.fingerprint["split"]
    assert both.semantic_dim == one.semantic_dim + 16


def test_published_semantics_are_joined(tmp_path: Path) -> None:
    """Of a layout that has no table of semantics alone."""
    xlsa17(tmp_path / "zoo")
    content = loadmat(tmp_path / "zoo" / "att_splits.mat")
    arrays = {name: value for name, value in content.items() if not name.startswith("__")}
    savemat(tmp_path / "zoo" / "sent_splits.mat", arrays | {"att": arrays["att"][:2] ** 2 + 1})
    problem = sources.load(str(tmp_path / "zoo"), data_root=tmp_path, semantics="att,sent")
    assert problem.semantics.shape == (6, 5)
    assert problem.semantic_names == ("att 1", "att 2", "att 3", "sent 1", "sent 2")
    arrays["trainval_loc"] = arrays["trainval_loc"][1:]
    savemat(tmp_path / "zoo" / "less_splits.mat", arrays)
    with pytest.raises(ValueError, match="come with different splits"):
        sources.load(str(tmp_path / "zoo"), data_root=tmp_path, semantics="att,less")


def test_weights_count_squared_lengths_in_their_ratio(mine: Path) -> None:
    problem = sources.load(str(mine / "mine"), data_root=mine, semantics="classes,text")
    blocks = blocks_of(problem.semantic_origin, problem.semantic_dim)
    for options in (SemanticOptions(weights="1,2"), SemanticOptions("centered", weights="3,6")):
        scaled = scaled_semantics(problem.semantics, problem.seen, options, problem.semantic_origin)
        one, other = (np.square(p[problem.seen]).sum() for p in (scaled[:, :3], scaled[:, 3:]))
        assert other / one == pytest.approx(4, rel=1e-4)
    equal = weighted(problem.semantics, blocks, parse_weights("equal", blocks))
    assert equal == pytest.approx(problem.semantics)
    with pytest.raises(ValueError, match="expected one positive number for each of classes, text"):
        parse_weights("1,2,3", blocks)


def test_the_weights_are_the_best_on_validation_problems(mine: Path) -> None:
    problem = sources.load(str(mine / "mine"), data_root=mine, semantics="classes,text")
    recipe, device = make_recipe("lda", "best"), torch.device("cpu")
    chosen = semantic_weights(problem, recipe, "validated", 0, device)
    assert chosen is not None
    by_hand = {
        w: choose(problem, with_weights(recipe, w), 0, device, Recorder()).H
        for w in ((1, 1), (1, 0.5), (1, 2))
    }
    assert by_hand[chosen.weights] == max(by_hand.values())
    last = semantic_weights(problem, recipe, "last", 0, device)
    given = semantic_weights(
        problem, make_recipe("lda", "best", ["semantics.weights=1,3"]), "validated", 0, device
    )
    assert last is not None
    assert given is not None
    assert (last.weights, last.judge) == ((1, 1), "")
    assert given.weights == (1, 3)
    flow = semantic_weights(problem, make_recipe("gsmflow", "best"), "validated", 0, device)
    assert flow is not None
    assert flow.judge == "lda"
    plain = sources.load(str(mine / "mine"), data_root=mine)
    assert semantic_weights(plain, recipe, "validated", 0, device) is None


def test_the_run_keeps_them(mine: Path) -> None:
    config = tomllib.loads((mine / "run" / "config.toml").read_text())
    told = json.loads((mine / "run" / "metrics.json").read_text())["semantic_weights"]
    weights = [float(w) for w in config["options"]["semantics"]["weights"].split(",")]
    assert weights == [told["weights"][name] for name in ("classes", "text")]
    assert config["run"]["semantics"] == "classes,text"
    assert len(told["tried"]) == 3
    assert main(["evaluate", str(mine / "run")]) == 0
    assert (
        main(["predict", str(mine / "run"), str(mine / "mine" / "features.csv"), "-o", str(mine / "l.csv")])
        == 0
    )
    command = ["train", str(mine / "mine"), "--semantics", "classes,text", "--method", "lda"]
    assert main([*command, "--out", str(mine / "run"), "--resume"]) == 0


def test_a_bundle_keeps_blocks(mine: Path, tmp_path: Path) -> None:
    problem = sources.load(str(mine / "mine"), data_root=mine, semantics="classes,text")
    save(problem, tmp_path / "data.safetensors")
    again = load(tmp_path / "data.safetensors")
    assert again.fingerprint == problem.fingerprint
    blocks = blocks_of(again.semantic_origin, again.semantic_dim)
    assert blocks == blocks_of(problem.semantic_origin, problem.semantic_dim)
    values = np.array([1.0, 2.0, 3.0])
    assert blocks[0].own(blocks[0].joined(values)) == pytest.approx(values, abs=1e-5)


def added(folder: Path) -> np.ndarray:
    return read_classes(folder / "semantics.csv")[1][-1]


def test_a_class_is_added_by_values_and_its_name(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is asked for is a value for each attribute; the text is that of the name in the run's templates."""
    command = ["add-class", str(mine / "run"), "--name", "yak"]
    assert main(command) == 2
    assert "give 3 values (legs, wings, horns)" in capsys.readouterr().err
    assert main([*command, "--attributes", "99,0,2", "--out", str(mine / "odd")]) == 0
    said = capsys.readouterr().err  # of the dimensions of texts nothing is said one by one
    assert "yak: legs = " in said
    assert "more dimensions" not in said
    for number, values in enumerate(("4,0,2", "horns=2,wings=0,legs=4")):
        assert main([*command, "--attributes", values, "--out", str(mine / f"yak{number}")]) == 0
    blocks = blocks_of(tomllib.loads((mine / "run" / "config.toml").read_text())["semantic_origin"], 19)
    units = open_encoder(str(mine / "encoder"), torch.device("cpu"))(["a photo of yak", "yak"])
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    mean = units.mean(axis=0) / np.linalg.norm(units.mean(axis=0))
    expected = np.concatenate((blocks[0].joined(np.array([4, 0, 2])), blocks[1].joined(mean)))
    assert added(mine / "yak0") == pytest.approx(expected, abs=1e-4)
    assert (added(mine / "yak1") == added(mine / "yak0")).all()
    assert main([*command, "--attributes", "4,0,2", "--text", "a yak", "--out", str(mine / "said")]) == 0
    assert (added(mine / "said")[:3] == added(mine / "yak0")[:3]).all()
    assert not np.allclose(added(mine / "said")[3:], added(mine / "yak0")[3:], atol=1e-3)


def test_another_encoder_is_refused(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tiny_encoder(tmp_path, ["a", "yak", *NAMES])
    command = ["add-class", str(mine / "run"), "--name", "yak", "--attributes", "4,0,2"]
    assert main([*command, "--encoder", str(other)]) == 2
    assert "not the text encoder that made the semantics 'text' of the run" in capsys.readouterr().err
    (mine / "encoder").rename(mine / "moved")
    try:
        assert main(command) == 2
        assert "name the place where it lies now by --encoder" in capsys.readouterr().err
        assert main([*command, "--encoder", str(mine / "moved"), "--out", str(tmp_path / "new")]) == 0
    finally:
        (mine / "moved").rename(mine / "encoder")


def test_a_service_takes_values_in_their_own_units(mine: Path) -> None:
    service = Service(mine / "run", data_root=mine, device=torch.device("cpu"))
    with pytest.raises(ValueError, match="only be like another one"):
        service.described({"legs": 4, "wings": 0, "horns": 2}, name="yak")
    ant = service.version.semantics[service.version.classifier.classes.index("ant")]
    same = service.described({}, like="ant", name="yak")
    assert same == pytest.approx(ant, abs=1e-5)
    encoders = encoders_for(service.version.describer, None, torch.device("cpu"))
    assert encoders is not None
    service.encode, service.encode_name = encoders.sentence, encoders.name
    described = np.array(service.described({"legs": 4, "wings": 0, "horns": 2}, text="a yak"))
    blocks = service.version.describer.blocks
    unit = open_encoder(str(mine / "encoder"), torch.device("cpu"))(["a yak"])[0]
    assert described[:3] == pytest.approx(blocks[0].joined(np.array([4, 0, 2])), abs=1e-4)
    assert described[3:] == pytest.approx(blocks[1].joined(unit / np.linalg.norm(unit)), abs=1e-4)
    version, _ = service.add_class("yak", service.described({"legs": 4}, like="cow", text="a yak"))
    assert version.own_values(9) == pytest.approx(version.own_values(2) | {"legs": 4.0}, abs=1e-4)


def test_a_run_of_texts_alone_takes_a_name(mine: Path, tmp_path: Path) -> None:
    command = ["train", str(mine / "mine"), "--semantics", "text", "--method", "lda"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    assert main(["add-class", str(tmp_path / "run"), "--name", "yak", "--out", str(tmp_path / "named")]) == 0
    (tmp_path / "new.txt").write_text("yak\n")
    table = ["--from", str(tmp_path / "new.txt"), "--out", str(tmp_path / "listed")]
    assert main(["add-class", str(tmp_path / "run"), *table]) == 0
    assert np.linalg.norm(added(tmp_path / "named")) == pytest.approx(1, abs=1e-5)
    assert (added(tmp_path / "named") == added(tmp_path / "listed")).all()
    own = ["--template", "a photo of {}", "--template", "{}", "--encoder", str(mine / "encoder")]
    assert main(["describe", "--classes", "yak", *own, "-o", str(tmp_path / "yak.csv")]) == 0
    table = ["--from", str(tmp_path / "yak.csv"), "--out", str(tmp_path / "vectors")]
    assert main(["add-class", str(tmp_path / "run"), *table]) == 0
    assert added(tmp_path / "vectors") == pytest.approx(added(tmp_path / "named"), abs=1e-6)


def test_what_does_not_go_together(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{name},{index}\n" for index, name in enumerate((*NAMES, "pig"), 1))
    (mine / "mine" / "more.csv").write_text(f"name,x\n{rows}")
    for semantics, expected in (
        ("classes,more", "not the same classes (pig in one alone); describe every class in both"),
        ("classes,classes", "name each once, such as classes,text"),
        ("classes,nosuch", "no nosuch.csv"),
    ):
        assert main(["train", str(mine / "mine"), "--semantics", semantics]) == 2
        assert expected in capsys.readouterr().err


def test_the_service_shows_attributes_in_their_own_units_and_a_text_as_a_whole(mine: Path) -> None:
    names, given, _ = read_classes(mine / "mine" / "classes.csv")
    version = Service(mine / "run", data_root=mine, device=torch.device("cpu")).version
    assert version.classifier.classes == names
    for index in range(len(names)):
        shown = attributes(version, index)
        assert [each.name for each in shown] == ["legs", "wings", "horns"]
        assert np.allclose([each.value for each in shown], given[index], atol=1e-5)
        assert np.allclose([each.high for each in shown], given.max(axis=0), atol=1e-5)
    logits = np.random.default_rng(0).normal(size=(1, len(names))).astype(np.float32)
    (answer,) = predictions(version, logits, 3, 20).predictions
    by_name = {reason.name: reason for reason in answer.reasons}
    assert set(by_name) == {"legs", "wings", "horns", "text (all 16 numbers of it)"}
    apart = [abs(r.contributions[0] - np.mean(r.contributions[1:])) for r in answer.reasons]
    assert apart == sorted(apart, reverse=True)
    best = np.argsort(-logits[0])[:3]
    scaled = logits[0].astype(np.float64) / version.classifier.temperature
    single = reasons(scaled, version.semantics.astype(np.float64), best).contributions
    assert np.allclose(by_name["text (all 16 numbers of it)"].contributions, single[:, 3:].sum(axis=1))
    assert np.allclose(by_name["wings"].contributions, single[:, 1])
