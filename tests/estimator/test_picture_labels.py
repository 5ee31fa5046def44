"""Pictures labelled from Python: `predict_images` of a run that was trained on pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gsmflow import ZeroShotClassifier, load
from gsmflow.base.errors import InputError
from gsmflow.cli import main
from support.pictures import mean_colour_model

COLOURS = {"red": (220, 20, 20), "green": (20, 220, 20), "blue": (20, 20, 220), "yellow": (220, 220, 20)}
COLUMNS = ["sample", "class", "unseen_class", "unseen_probability", "probability"]


def picture(file: Path, colour: tuple[int, int, int], shade: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40), tuple(max(0, part - shade) for part in colour)).save(file)
    return file


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on pictures of three colours, yellow known by its attributes alone; new pictures beside it."""
    place = tmp_path_factory.mktemp("pictures")
    for name, colour in COLOURS.items():
        for index in range(5 * (name != "yellow")):
            picture(place / "own" / "images" / name / f"{index}.png", colour, 3 * index)
    rows = [f"{name},{r / 220},{g / 220},{b / 220}" for name, (r, g, b) in COLOURS.items()]
    (place / "own" / "classes.csv").write_text("\n".join(["name,r,g,b", *rows]) + "\n")
    model = mean_colour_model(place / "colour.onnx")
    words = [
        "--backbone",
        str(model),
        "--size",
        "32",
        "--normalize",
        "none",
        "--method",
        "lda",
        "--protocol",
        "last",
    ]
    assert main(["train", str(place / "own"), *words, "--out", str(place / "run")]) == 0
    for index, name in enumerate(("blue", "yellow", "red", "green", "blue")):
        picture(place / "new" / f"{index}.png", COLOURS[name], 7)
    return place


def test_each_picture_gets_the_class_of_its_colour(place: Path) -> None:
    labels = load(place / "run").predict_images(place / "new")
    assert labels.columns == [*COLUMNS, "unreadable"]
    assert labels["sample"].to_list() == [str(place / "new" / f"{index}.png") for index in range(5)]
    assert labels["class"].to_list() == ["blue", "yellow", "red", "green", "blue"]
    assert labels["unseen_class"].to_list() == [False, True, False, False, False]
    assert labels["unreadable"].null_count() == 5


def test_they_are_those_of_the_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(place / "run"), str(place / "new"), "--top", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["predictions"]
    labels = load(place / "run").predict_images(place / "new", top=2, batch_size=2)
    assert labels["class_2"].to_list() == [row["class_2"] for row in told]
    for name in ("class", "unseen_class"):
        assert labels[name].to_list() == [row[name] for row in told]
    for name in ("probability", "unseen_probability", "probability_2"):
        assert labels[name].to_numpy() == pytest.approx([row[name] for row in told], abs=1e-6)


def test_a_list_keeps_its_order_and_an_unreadable_picture_its_row(place: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"no picture")
    files = [place / "new" / "2.png", torn, place / "new" / "0.png"]
    labels = load(place / "run").predict_images(files)
    assert labels["sample"].to_list() == list(map(str, files))
    assert labels["class"].to_list() == ["red", None, "blue"]
    assert labels["probability"].null_count() == 1
    first, reason, last = labels["unreadable"].to_list()
    assert (first, last) == (None, None)
    assert "image" in reason
    alone = load(place / "run").predict_images(str(files[0]))
    assert alone.to_dicts() == [labels.to_dicts()[0]]


def test_labels_are_of_the_type_they_were_given_in_after_a_class_was_added(place: Path) -> None:
    more = load(place / "run").add_classes(["white"], [1.0, 1.0, 1.0])
    assert set(more.classes_) == {*COLOURS, "white"}
    assert more.predict_images(place / "new" / "1.png")["class"].to_list() == ["yellow"]


def test_a_model_that_has_moved_is_named(place: Path, tmp_path: Path) -> None:
    run = shutil.copytree(place / "run", tmp_path / "run")
    config = (run / "config.toml").read_text()
    assert str(place / "colour.onnx") in config
    (run / "config.toml").write_text(config.replace(str(place / "colour.onnx"), str(tmp_path / "gone.onnx")))
    (run / "checksums.txt").unlink()
    model = load(run)
    with pytest.raises(InputError, match=r"gone\.onnx: no such file; name the model's file by `backbone`"):
        model.predict_images(place / "new")
    labels = model.predict_images(place / "new", backbone=str(place / "colour.onnx"))
    assert labels["class"].to_list() == ["blue", "yellow", "red", "green", "blue"]
    other = mean_colour_model(tmp_path / "other.onnx", scale=2.0)
    with pytest.raises(InputError, match="not the backbone that the features were made with"):
        model.predict_images(place / "new", backbone=str(other))


def test_what_has_no_answer_is_refused(place: Path, tmp_path: Path) -> None:
    model = load(place / "run")
    with pytest.raises(InputError, match="predict_images: no images given"):
        model.predict_images([])
    with pytest.raises(InputError, match="no such folder"):
        model.predict_images(tmp_path / "nowhere")
    with pytest.raises(InputError, match="top"):
        model.predict_images(place / "new", top=0)
    (tmp_path / "torn.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"torn\.png"):
        model.predict_images(tmp_path)
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.repeat(["a", "b"], 10)
    features = ZeroShotClassifier("lda", protocol="last").fit(x, y, semantics={"a": [0.0, 1], "b": [1.0, 0]})
    with pytest.raises(InputError, match="trained on features of unknown origin"):
        features.predict_images(place / "new")
