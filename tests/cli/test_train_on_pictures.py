"""One command from a folder of pictures to a run: what it finds, what it makes, and the commands it stands for."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import gsmflow
from gsmflow.cli import main
from gsmflow.files.class_table import read_classes
from gsmflow.semantics.encoder import open_encoder
from gsmflow.semantics.names import TEMPLATES
from support.encoders import tiny_encoder
from support.image_text import NAMES, image_text
from support.pictures import SIDE, digits, patches_model

UNSEEN = (8, 9)
WORDS = ["a", "an", "the", "photo", "of", "digit", "drawing", *map(str, range(10))]
LOOKS = ["--size", str(SIDE), "--crop", "1"]
QUICK = ["--method", "lda"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of eight digits, a backbone and a text encoder, to be put together."""
    folder = tmp_path_factory.mktemp("parts")
    digits(folder / "pictures", 200, leave_out=UNSEEN)
    patches_model(folder / "model.onnx")
    tiny_encoder(folder, WORDS)
    return folder


@pytest.fixture
def place(parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with ``pictures/``, in which a model file and an encoder lie; no cache, no network."""
    shutil.copytree(parts / "pictures", tmp_path / "pictures")
    shutil.copy(parts / "model.onnx", tmp_path / "pictures")
    shutil.copytree(parts / "encoder", tmp_path / "pictures" / "encoder")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


def metrics(run: Path) -> dict[str, object]:
    content = json.loads((run / "metrics.json").read_text())
    return {name: content[name] for name in ("S", "chosen", "per_class")}


def test_one_command_is_the_three_that_it_shows(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = "digit 8,digit_9"
    assert main(["train", "pictures", "--classes", names, *LOOKS, *QUICK, "--out", "run"]) == 0
    said = capsys.readouterr().err
    assert "8 classes to learn from, 2 without: digit 8, digit_9" in said
    assert "colours scaled as imagenet (mean 0 and variance 1 over ImageNet)" in said
    assert "such as 'a photo of a digit 0.'" in said
    lines = [line.strip() for line in said.splitlines() if line.startswith("  gsmflow ")]
    assert [shlex.split(line)[1] for line in lines] == [
        "extract",
        "describe",
        "train",
        "report",
        "predict",
        "evaluate",
    ]
    tables = {name: (place / "pictures" / name).read_bytes() for name in ("features.npz", "text.csv")}
    for name in tables:
        (place / "pictures" / name).unlink()
    (place / "pictures" / "text.origin.json").unlink()
    shutil.move(place / "run", place / "first")
    for line in lines:
        typed = line.replace("NEW_PICTURES", "pictures").replace("CLASS_FOLDERS", "pictures")
        assert main(shlex.split(typed)[1:]) == 0, line
    assert {name: (place / "pictures" / name).read_bytes() for name in tables} == tables
    assert metrics(place / "run") == metrics(place / "first")


def test_what_is_there_is_not_made_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "pictures", *QUICK]
    assert main([*command, "--classes", "digit 8,digit 9", *LOOKS]) == 0
    files = [place / "pictures" / name for name in ("features.npz", "text.csv")]
    before = [(file.stat().st_mtime_ns, file.stat().st_ino) for file in files]
    (place / "pictures" / "model.onnx").unlink()
    shutil.rmtree(place / "pictures" / "encoder")
    capsys.readouterr()
    assert main(command) == 0
    said = capsys.readouterr().err
    assert "features.npz (there already)" in said
    assert "text.csv (there already)" in said
    assert "2 without: digit 8, digit 9" in said
    assert "three commands" not in said
    assert [(file.stat().st_mtime_ns, file.stat().st_ino) for file in files] == before
    (place / "pictures" / "digit 0" / "0000.png").rename(place / "pictures" / "digit 0" / "other.png")
    assert main(command) == 0
    assert (
        "made of other pictures: 1 new (digit 0/other.png) and 1 gone (digit 0/0000.png)"
        in capsys.readouterr().err
    )


def test_other_names_make_the_semantics_anew(place: Path) -> None:
    assert main(["train", "pictures", *LOOKS, *QUICK, "--classes", "digit 9"]) == 0
    assert main(["train", "pictures", *QUICK, "--classes", "digit 8"]) == 0
    names, _, _ = read_classes(place / "pictures" / "text.csv")
    assert names == tuple(f"digit {d}" for d in range(9))
    run = place / "runs" / "pictures-lda-validated-seed0-2"
    unseen = [each["name"] for each in json.loads((run / "classes.json").read_text()) if not each["seen"]]
    assert unseen == ["digit 8"]


def test_templates_are_averaged_at_unit_length(place: Path) -> None:
    own = ("a drawing of a {}", "{} drawing")
    options = [word for template in own for word in ("--template", template)]
    assert main(["describe", "pictures", "--classes", "digit 8", *options, "-o", "own.csv"]) == 0
    assert main(["describe", "--classes", "digit 8", "--encoder", "pictures/encoder", "-o", "usual.csv"]) == 0
    encode = open_encoder("pictures/encoder", torch.device("cpu"))
    for file, name, templates in (("own.csv", "digit 3", own), ("usual.csv", "digit 8", TEMPLATES)):
        names, vectors, _ = read_classes(place / file)
        units = encode([each.replace("{}", name) for each in templates])
        units /= np.linalg.norm(units, axis=1, keepdims=True)
        mean = units.mean(axis=0)
        assert vectors[names.index(name)] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert json.loads((place / "own.origin.json").read_text())["templates"] == [*own]


@pytest.mark.parametrize(
    ("file", "content", "semantics", "dims"),
    [
        ("names.txt", "".join(f"digit {d}\n" for d in range(10)), "text", 16),
        ("names.csv", "name\n" + "".join(f"digit {d}\n" for d in range(10)), "text", 16),
        ("said.csv", "name,said\n" + "".join(f"digit {d},the digit {d}\n" for d in range(10)), "text", 16),
        (
            "numbers.csv",
            "name,a,b\n" + "".join(f"digit {d},{d % 3},{(d + 5) % 10}\n" for d in range(10)),
            "attributes",
            2,
        ),
    ],
)
def test_a_file_of_classes(file: str, content: str, semantics: str, dims: int, place: Path) -> None:
    (place / file).write_text(content)
    assert main(["train", "pictures", "--classes", file, *LOOKS, *QUICK, "--out", "run"]) == 0
    names, vectors, _ = read_classes(place / "pictures" / f"{semantics}.csv")
    assert sorted(names) == [f"digit {d}" for d in range(10)]
    assert vectors.shape == (10, dims)
    assert f'semantics = "{semantics}"' in (place / "run" / "config.toml").read_text()


@pytest.mark.parametrize("column", ["", ",said"])
def test_names_and_sentences_beside_the_pictures(
    column: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """classes.csv without a number is described by, and every time by the same table."""
    rows = "".join(f"digit {d}{f',the digit {d}' if column else ''}\n" for d in range(10))
    (place / "pictures" / "classes.csv").write_text(f"name{column}\n{rows}")
    command = ["train", "pictures", *QUICK]
    assert main([*command, *LOOKS]) == 0
    before = (place / "pictures" / "text.csv").stat().st_mtime_ns
    assert main(command) == 0
    assert (place / "pictures" / "text.csv").stat().st_mtime_ns == before
    capsys.readouterr()
    if column:
        assert main(["data", "pictures"]) == 2
        assert "use what was made of its texts: --semantics text" in capsys.readouterr().err
    (place / "pictures" / "classes.csv").write_text(
        f"name{column}\n{rows}digit 10{',a 1 0' if column else ''}\n"
    )
    assert main(command) == 0
    assert "digit 10" in read_classes(place / "pictures" / "text.csv")[0]


def test_pictures_in_a_folder_of_their_own_and_parts(place: Path) -> None:
    """mydata/images/train and test, with attributes beside them as ever."""
    mine = place / "mydata"
    for part, keep in (("train", range(6)), ("test", range(8))):
        for digit in keep:
            shutil.copytree(place / "pictures" / f"digit {digit}", mine / "images" / part / f"digit {digit}")
    shutil.copy(place / "pictures" / "model.onnx", mine)
    rows = "".join(f"digit {d},{d % 3},{9 - d}\n" for d in range(8))
    (mine / "classes.csv").write_text(f"name,a,b\n{rows}")
    assert main(["train", "mydata", *LOOKS, *QUICK, "--out", "run"]) == 0
    content = json.loads((place / "run" / "metrics.json").read_text())
    assert content["U"] is not None
    assert sorted(path.name for path in mine.glob("*.*")) == ["classes.csv", "features.npz", "model.onnx"]


def test_an_empty_folder_is_a_class_and_one_of_runs_is_not(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "pictures" / "digit 8").mkdir()
    monkeypatch.chdir(place / "pictures")
    for _ in range(2):
        assert main(["train", ".", *LOOKS, *QUICK]) == 0
        said = capsys.readouterr().err
        assert "1 without: digit 8" in said
        assert "passed over" not in said


def test_a_table_of_ones_own_is_kept(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = "name,x\n" + "".join(f"digit {d},{d + 1}\n" for d in range(10))
    (place / "pictures" / "text.csv").write_text(own)
    assert main(["train", "pictures", "--classes", "digit 8", *LOOKS, *QUICK]) == 2
    assert "text.csv: is there already and was not written by gsmflow" in capsys.readouterr().err
    assert main(["train", "pictures", *LOOKS, *QUICK]) == 0
    assert (place / "pictures" / "text.csv").read_text() == own


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--template", "a photo"], "--template 'a photo': has no {} in the place of the name"),
        (["--classes", "digit 8,"], "--classes digit 8,: a name is empty"),
        (["--classes", "no.txt"], "--classes no.txt: no such file"),
        (["--classes", "said.csv", "--template", "a {}"], "templates are for names alone"),
        (["--classes", "few.csv"], "1 class has no row in few.csv: 'digit 7'"),
        (["--backbone", "no.onnx"], "--backbone no.onnx: no such file"),
        (["--encoder", "./no"], "--encoder ./no: no such folder"),
        (["--semantics", "other"], "--semantics pictures/other.csv: no such file"),
        (["--normalize", "halb"], "half (-1 to 1), none (0 to 1)"),
        (["--normalize", "halb"], "--normalize halb: expected one of imagenet (mean 0"),
    ],
)
def test_what_is_refused_leaves_nothing(
    arguments: list[str], expected: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "said.csv").write_text("name,said\n" + "".join(f"digit {d},a {d}\n" for d in range(8)))
    (place / "few.csv").write_text("name,a,b\n" + "".join(f"digit {d},{d},1\n" for d in range(7)))
    before = sorted(place.rglob("*"))
    assert main(["train", "pictures", *QUICK, *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert expected in said
    assert "\n" not in said
    assert sorted(place.rglob("*")) == before


def test_what_is_missing_is_said_in_a_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(place / "pictures" / "model.onnx", place / "pictures" / "second.onnx")
    assert main(["train", "pictures", *QUICK]) == 2
    assert "holds several models (model.onnx, second.onnx); name the one" in capsys.readouterr().err
    for file in (place / "pictures").glob("*.onnx"):
        file.unlink()
    assert main(["train", "pictures", *QUICK]) == 2
    said = capsys.readouterr().err
    assert "no model that makes features of pictures" in said
    assert "put an image model that gives features into pictures (.onnx or TorchScript .pt)" in said
    shutil.rmtree(place / "pictures" / "encoder")
    patches_model(place / "second.onnx")
    assert main(["train", "pictures", *QUICK, "--backbone", "second.onnx"]) == 2
    said = capsys.readouterr().err
    assert "put them into the folder pictures/all-MiniLM-L6-v2, or name one by --encoder" in said
    assert main(["train", "digits", "--classes", "x"]) == 2
    assert (
        "--classes x: is an option for pictures, but digits is no folder of pictures"
        in capsys.readouterr().err
    )


def test_a_model_in_the_cache_is_at_hand(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gsmflow.images import backbone_kinds
    from gsmflow.images.at_hand import backbone_at_hand
    from gsmflow.semantics.encoder_at_hand import encoder_at_hand

    monkeypatch.setattr(backbone_kinds, "find_spec", lambda name: name)
    for owner, name, file in (
        ("timm", "vit_small.x", "model.safetensors"),
        ("timm", "resnet101.tv_in1k", "model.safetensors"),
        ("sentence-transformers", "tiny", "modules.json"),
    ):
        snapshot = place / "cache" / f"models--{owner}--{name}" / "snapshots" / "1"
        snapshot.mkdir(parents=True)
        (snapshot / file).write_bytes(b"{}")
    (place / "pictures" / "model.onnx").unlink()
    shutil.rmtree(place / "pictures" / "encoder")
    backbone, encoder = backbone_at_hand(place / "pictures"), encoder_at_hand(place / "pictures")
    assert (backbone.name, encoder.name) == ("resnet101.tv_in1k", "tiny")
    assert backbone.why == "of timm, in the cache; also there: vit_small.x"


def test_a_model_of_images_and_texts_describes_the_names_too(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = image_text(place / "tiny")
    shutil.rmtree(place / "pictures" / "encoder")
    backbone = f"clip:{model.relative_to(place)}"
    for digit in range(8):
        old = place / "pictures" / f"digit {digit}"
        if digit < len(NAMES):
            old.rename(place / "pictures" / NAMES[digit].replace(" ", "_"))
        else:
            shutil.rmtree(old)
    assert main(["train", "pictures", "--backbone", backbone, "--classes", "okapi,zebra", *QUICK]) == 0
    assert f"{backbone} (of the model that makes the features): 7 sentences" in capsys.readouterr().err
    origin = json.loads((place / "pictures" / "text.origin.json").read_text())
    assert origin["encoder"] == f"clip:{model}"
    with np.load(place / "pictures" / "features.npz") as table:
        assert origin["encoder_sha256"] == json.loads(str(table["backbone"]))["sha256"]


def test_the_same_from_python(place: Path) -> None:
    other = place / "other"
    shutil.copytree(place / "pictures", other)
    command = ["train", "pictures", "--classes", "digit 8,digit 9", *LOOKS, *QUICK, "--out", "run"]
    assert main(command) == 0
    shutil.copy(place / "pictures" / "features.npz", other)
    model = gsmflow.train(other, classes=["digit 8", "digit 9"], method="lda", out=place / "python")
    assert metrics(place / "python") == metrics(place / "run")
    assert model.unseen_classes_.tolist() == ["digit 8", "digit 9"]
    with pytest.raises(ValueError, match="is no folder of pictures"):
        gsmflow.train("digits", classes=["zebra"])


def test_too_few_classes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for digit in range(3, 8):
        shutil.rmtree(place / "pictures" / f"digit {digit}")
    command = ["train", "pictures", *LOOKS, *QUICK]
    assert main(command) == 2
    assert "only 3 classes have pictures to learn from" in capsys.readouterr().err
    assert not (place / "pictures" / "features.npz").exists()
    assert main([*command, "--protocol", "last"]) == 0


def test_data_counts_pictures_before_and_reads_tables_after(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "pictures" / "digit 8").mkdir()
    (place / "pictures" / "classes.txt").write_text("digit 9\n")
    assert main(["data", "pictures", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pictures_of"] == {
        f"digit {d}": len(list((place / "pictures" / f"digit {d}").iterdir())) for d in range(8)
    }
    assert told["pictures"] == sum(told["pictures_of"].values())
    assert told["classes_without_pictures"] == ["digit 8", "digit 9"]
    assert main(["data", "pictures"]) == 0
    shown = capsys.readouterr().out
    assert f"pictures: {told['pictures']} pictures of 8 classes" in shown
    assert "without pictures, so unseen: digit 8, digit 9" in shown
    assert main(["train", "pictures", *LOOKS, *QUICK]) == 0
    capsys.readouterr()
    assert main(["data", "pictures", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["notes"]["semantics"] == "text.csv: 16 dimensions"
    assert sorted(told["classes"]["unseen"]) == ["digit 8", "digit 9"]


def test_a_name_with_a_comma_is_one_class_and_said_to_be(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "pictures", "--classes", "digit 8", *LOOKS, *QUICK, "--out", "run"]) == 0
    capsys.readouterr()
    assert main(["add-class", "run", "--name", "digit 9,a drawing", "--out", "v2"]) == 0
    assert "'digit 9,a drawing' is one class; several are given by --from" in capsys.readouterr().err


def test_classes_without_a_sentence_are_described_by_their_names(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that describes only what has no pictures, as people write it; the command shown makes the same table."""
    (place / "said.csv").write_text("name;text\ndigit 8;a drawing of the digit 8\n", encoding="utf-8")
    assert main(["train", "pictures", "--classes", "said.csv", *LOOKS, *QUICK, "--out", "run"]) == 0
    said = capsys.readouterr().err
    assert "sentences of said.csv for 1 of 9 classes, and the names of the others" in said
    assert "8 classes to learn from, 1 without: digit 8" in said
    assert main(["train", "pictures", "--classes", "said.csv", *QUICK, "--out", "again"]) == 0
    assert "text.csv (there already)" in capsys.readouterr().err
    encode = open_encoder("pictures/encoder", torch.device("cpu"))
    names, vectors, _ = read_classes(place / "pictures" / "text.csv")
    assert names == ("digit 8", *(f"digit {d}" for d in range(8)))
    (sentence,) = encode(["a drawing of the digit 8"])
    assert vectors[0] == pytest.approx(sentence / np.linalg.norm(sentence), abs=1e-5)
    units = encode([each.replace("{}", "digit 3") for each in TEMPLATES])
    mean = (units / np.linalg.norm(units, axis=1, keepdims=True)).mean(axis=0)
    assert vectors[names.index("digit 3")] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    table = (place / "pictures" / "text.csv").read_bytes()
    (place / "pictures" / "text.csv").unlink()
    (line,) = [line for line in said.splitlines() if line.startswith("  gsmflow describe")]
    assert main(shlex.split(line)[1:]) == 0
    assert (place / "pictures" / "text.csv").read_bytes() == table
    assert main(["add-class", "run", "--name", "digit 9", "--out", "v2"]) == 0
    (place / "said.csv").write_text("name;text\nDigit8;a drawing of the digit 8\ndigit 33;a three\n")
    capsys.readouterr()
    (place / "pictures" / "digit 8").mkdir()
    assert main(["train", "pictures", "--classes", "said.csv", *QUICK, "--out", "other"]) == 2
    assert (
        "1 class has no row in said.csv: 'digit 8' (there is 'Digit8'); write them alike"
        in capsys.readouterr().err
    )
