"""Straight from images: train on them, label new ones, and say when something does not fit."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gsmflow.cli import main
from gsmflow.runs.folder import load_backbone, load_classifier
from support.pictures import SIDE, digits, mean_colour_model, patches_model
from support.recipes import ARGUMENTS

SEGMENTS = {
    0: "1111110",
    1: "0110000",
    2: "1101101",
    3: "1111001",
    4: "0110011",
    5: "1011011",
    6: "1011111",
    7: "1110000",
    8: "1111111",
    9: "1111011",
}
UNSEEN = 9


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run trained on the images of nine digits; the tenth is only described."""
    folder = tmp_path_factory.mktemp("digits")
    digits(folder / "mine" / "images", 400, leave_out=(UNSEEN,))
    rows = [f"digit {digit},{','.join(code)}" for digit, code in SEGMENTS.items()]
    (folder / "mine" / "classes.csv").write_text("name,a,b,c,d,e,f,g\n" + "\n".join(rows) + "\n")
    model = str(patches_model(folder / "model.onnx"))
    out = ["-o", str(folder / "mine" / "features.npz")]
    command = ["extract", str(folder / "mine" / "images"), "--backbone", model, "--size", str(SIDE)]
    assert main([*command, "--crop", "1", *out]) == 0
    assert main(["train", str(folder / "mine"), *ARGUMENTS, "--out", str(folder / "run")]) == 0
    return folder


def test_the_run_remembers_its_backbone(place: Path) -> None:
    config = tomllib.loads((place / "run" / "config.toml").read_text())
    assert config["backbone"]["kind"] == "onnx"
    assert config["backbone"]["preprocessing"]["size"] == SIDE
    assert load_backbone(place / "run").model == str((place / "model.onnx").resolve())


def test_new_images_are_labelled(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = digits(tmp_path / "new", 500)
    for index, file in enumerate(sorted(files)):
        if index % 5:
            file.unlink()
    readable = sorted(file for file in files if file.exists())
    (tmp_path / "new" / "broken.png").write_bytes(b"?")
    out = tmp_path / "labels.csv"
    command = ["predict", str(place / "run"), str(tmp_path / "new"), "-o", str(out)]
    assert main([*command, "--top", "2", "--unsure", "0.6"]) == 3
    assert "left out broken.png" in capsys.readouterr().err
    table = pl.read_csv(out)
    assert table["sample"].to_list() == [file.relative_to(tmp_path / "new").as_posix() for file in readable]
    assert table["unsure"].to_list() == (table["probability"] < 0.6).to_list()
    assert 0 < table["unsure"].sum() < len(table)
    true = np.array([file.parent.name for file in readable])
    seen = true != f"digit {UNSEEN}"
    assert (table["class"].to_numpy() == true)[seen].mean() > 0.6
    of_unseen = table["unseen_probability"].to_numpy()
    assert ((of_unseen >= 0) & (of_unseen <= 1)).all()
    assert of_unseen[~seen].mean() > 2 * of_unseen[seen].mean()
    # A single unseen class
    assert np.allclose(
        of_unseen[table["unseen_class"]], table["probability"].filter(table["unseen_class"]), atol=1e-6
    )


def test_one_image_a_csv_and_features_give_the_same(place: Path, tmp_path: Path) -> None:
    """To the rounding of another batch."""
    files = sorted(digits(tmp_path / "new", 3))
    tables = {}
    (tmp_path / "list.csv").write_text(
        "path,label\n" + "".join(f"{f.relative_to(tmp_path).as_posix()},{f.parent.name}\n" for f in files)
    )
    command = ["extract", str(tmp_path / "new"), "--backbone", str(place / "model.onnx"), "--size", str(SIDE)]
    assert main([*command, "--crop", "1", "-o", str(tmp_path / "new.npz")]) == 0
    for name in ("new", "list.csv", "new.npz", files[0].relative_to(tmp_path).as_posix()):
        out = tmp_path / "out.parquet"
        assert main(["predict", str(place / "run"), str(tmp_path / name), "-o", str(out)]) == 0
        tables[name] = pl.read_parquet(out)
    for name, table in tables.items():
        first = tables["new"].head(len(table))
        assert table["class"].to_list() == first["class"].to_list(), name
        assert np.allclose(table["probability"], first["probability"], atol=1e-5)
    assert tables["list.csv"]["label"].to_list() == [file.parent.name for file in files]


def test_a_backbone_that_was_moved_or_changed(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = str(digits(tmp_path / "new", 1)[0])
    moved, there = tmp_path / "moved.onnx", place / "model.onnx"
    content = there.read_bytes()
    moved.write_bytes(content)
    try:
        there.unlink()
        assert main(["predict", str(place / "run"), image]) == 2
        assert "model.onnx: no such file; name the model's file by --backbone" in capsys.readouterr().err
        assert main(["predict", str(place / "run"), image, "--backbone", str(moved)]) == 0
        patches_model(there, seed=1)
        capsys.readouterr()
        assert main(["predict", str(place / "run"), image]) == 2
        assert "not the backbone that the features were made with" in capsys.readouterr().err
    finally:
        there.write_bytes(content)


def test_features_of_another_backbone_are_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many dimensions, and yet they would mean nothing."""
    digits(tmp_path / "new", 3)
    other = patches_model(tmp_path / "other.onnx", seed=1)
    command = ["extract", str(tmp_path / "new"), "--backbone", str(other), "--size", str(SIDE)]
    assert main([*command, "-o", str(tmp_path / "new.npz")]) == 0
    assert main(["predict", str(place / "run"), str(tmp_path / "new.npz")]) == 2
    assert "features of another backbone" in capsys.readouterr().err
    command[3] = str(place / "model.onnx")  # the run's own, but for the crop
    assert main([*command, "-o", str(tmp_path / "cropped.npz")]) == 0
    capsys.readouterr()
    assert main(["predict", str(place / "run"), str(tmp_path / "cropped.npz")]) == 2
    assert "features of images prepared otherwise than those" in capsys.readouterr().err
    assert main(["predict", str(place / "run"), str(tmp_path / "nothing")]) == 2
    assert "nothing: no such file or folder" in capsys.readouterr().err


def test_a_run_on_features_cannot_label_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from support.recipes import PROBLEM

    run, image = tmp_path / "run", digits(tmp_path / "new", 1)[0]
    assert main(["train", PROBLEM, *ARGUMENTS, "--protocol", "last", "--out", str(run)]) == 0
    assert main(["predict", str(run), str(image)]) == 2
    assert "features of unknown origin" in capsys.readouterr().err


def test_train_makes_the_features_itself(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a model of the usual size; and without --backbone the message says how."""
    import onnx

    mine = tmp_path / "mine"
    digits(mine / "images", 120, leave_out=(UNSEEN,))
    (mine / "images" / "digit 3" / "broken.png").write_bytes(b"?")
    (mine / "classes.csv").write_bytes((place / "mine" / "classes.csv").read_bytes())
    few = ("--set", "head.synthetic_per_class=10")  # as many as there are pictures a class
    command = ["train", str(mine), *ARGUMENTS, *few, "--protocol", "last"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 2
    assert "or name one by --backbone" in capsys.readouterr().err
    model = onnx.load(mean_colour_model(tmp_path / "model.onnx"))
    for side in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        side.dim_value = 224
    onnx.save(model, tmp_path / "model.onnx")
    command += ["--backbone", str(tmp_path / "model.onnx"), "--json"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 3
    said = capsys.readouterr()
    assert "left out digit 3/broken.png" in said.err
    assert json.loads(said.out)["S"] > 0
    assert load_backbone(tmp_path / "run").kind == "onnx"
    assert load_classifier(tmp_path / "run").transform.in_dim == 3
