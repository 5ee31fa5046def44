"""`gsmflow extract`: what the features are, what survives a kill, and what is refused or left out."""

from __future__ import annotations

import csv
import json
import os
import signal
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from gsmflow.cli import main
from gsmflow.files.atomic import lock
from gsmflow.files.rows import read_rows
from gsmflow.images import extraction, shards
from gsmflow.images.backbone import BackboneSpec
from gsmflow.images.extraction import extract, features_of
from gsmflow.images.listing import list_labelled
from gsmflow.images.opening import open_backbone
from gsmflow.images.preprocessing import NORMALIZATIONS, Preprocessing
from gsmflow.images.reading import UnreadableImage, read_image
from gsmflow.sources.table import load
from support.pictures import SIDE, digits, mean_colour_model, patches_model, torchscript_model
from support.processes import Command

CPU = torch.device("cpu")
WHOLE = ("--size", str(SIDE), "--crop", "1")


def spec(model: Path) -> BackboneSpec:
    return BackboneSpec.of(str(model), preprocessing={"size": SIDE, "crop": 1.0})


def bomb(file: Path, side: int = 30_000) -> None:
    """A PNG of a few bytes that says it has 900 million pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))


def test_features_are_what_the_model_says_about_each_image(tmp_path: Path) -> None:
    """The model averages each channel, so that the features follow from the pixels."""
    rng = np.random.default_rng(0)
    for index in range(7):
        file = tmp_path / "images" / ("train", "test")[index % 2] / "ant" / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)).save(file)
    model = mean_colour_model(tmp_path / "model.onnx")
    out = tmp_path / "features.npz"
    arguments = ["extract", str(tmp_path / "images"), "--backbone", str(model), *WHOLE, "--batch-size", "3"]
    assert main([*arguments, "-o", str(out)]) == 0
    rows = read_rows(out)
    assert rows.labels == ("ant",) * 7
    assert rows.split == ("test",) * 3 + ("train",) * 4
    mean, std = NORMALIZATIONS["imagenet"]
    for name, feature in zip(rows.names or (), rows.features, strict=True):
        pixels = np.asarray(Image.open(tmp_path / "images" / name), float) / 255
        assert feature == pytest.approx((pixels.mean(axis=(0, 1)) - mean) / std, abs=1e-5)
    assert rows.backbone is not None
    assert rows.backbone["preprocessing"] == {
        "size": SIDE,
        "crop": 1.0,
        "interpolation": "bicubic",
        "normalization": "imagenet",
    }
    assert not (tmp_path / "features.npz.parts").exists()


def test_a_model_of_one_picture_at_a_time_gives_the_same(tmp_path: Path) -> None:
    files = digits(tmp_path / "images", 11)
    listing = list_labelled(tmp_path / "images")
    any_number, single = (
        features_of(
            open_backbone(spec(mean_colour_model(tmp_path / f"{batch}.onnx", batch)), CPU), listing
        ).features
        for batch in ("n", 1)
    )
    assert len(files) == len(single)
    assert np.allclose(any_number, single, atol=1e-6)


def test_torchscript_feature_maps_are_averaged(tmp_path: Path) -> None:
    digits(tmp_path / "images", 5)
    model = torchscript_model(tmp_path / "model.pt")
    listing = list_labelled(tmp_path / "images")
    backbone = open_backbone(spec(model), CPU)
    features = features_of(backbone, listing).features
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(3, 5, 4)
    pictures = np.stack([backbone.prepare(read_image(listing.root / name)) for name in listing.names])
    with torch.no_grad():
        assert np.allclose(features, layer(torch.from_numpy(pictures)).mean(dim=(2, 3)).numpy(), atol=1e-5)


def test_killed_and_resumed_it_writes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Really killed, in the middle; the shards that were done are not made again."""
    digits(tmp_path / "images", 1500)
    (tmp_path / "images" / "digit 3" / "broken.png").write_bytes(b"nothing")
    model = patches_model(tmp_path / "model.onnx")
    command = ["extract", "images", "--backbone", "model.onnx", *WHOLE, "-o", "killed.npz"]
    process = Command(*command, cwd=tmp_path)
    parts = tmp_path / "killed.npz.parts"
    deadline = time.monotonic() + 60
    while len(list(parts.glob("[!.]*"))) < 3 and process.returncode is None and time.monotonic() < deadline:
        time.sleep(0.001)
    assert process.returncode is None, "it ended before it was killed"
    process.send(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed.npz").exists()
    done = len(list(parts.glob("[!.]*.safetensors")))
    assert done >= 3
    listing, backbone = list_labelled(tmp_path / "images"), open_backbone(spec(model), CPU)
    computed: list[int] = []
    original = shards.computed

    def counted(*arguments):  # type: ignore[no-untyped-def]
        computed.append(1)
        return original(*arguments)

    monkeypatch.setattr(shards, "computed", counted)
    damaged = sorted(parts.glob("[!.]*.safetensors"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-7])  # as a power cut may leave it
    extract(backbone, listing, tmp_path / "killed.npz")
    assert len(computed) == 12 - (done - 1)
    extract(backbone, listing, tmp_path / "whole.npz")
    assert (tmp_path / "killed.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert not parts.exists()


def test_images_that_cannot_be_read_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = digits(tmp_path / "images", 30)
    folder = good[0].parent
    Image.effect_noise((64, 64), 90).convert("RGB").save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:900])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.gif").write_text("hello")
    (folder / "postscript.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    bomb(folder / "bomb.png")
    bomb(folder / "half a bomb.png", 10_000)
    Image.new("L", (3000, 2)).save(folder / "thread.png")
    Image.new("F", (9, 9)).save(folder / "float.tiff")
    (folder / "folder.png").mkdir()
    (folder / "notes.txt").write_text("no image")
    out = tmp_path / "made" / "features.npz"
    model = mean_colour_model(tmp_path / "model.onnx")
    arguments = ["extract", str(tmp_path / "images"), "--backbone", str(model), *WHOLE, "-o", str(out)]
    assert main([*arguments, "--json"]) == 3
    printed, said = capsys.readouterr()
    with open(tmp_path / "made" / "features.unreadable.csv", encoding="utf-8") as file:
        listed = {row["path"].partition("/")[2]: row["reason"] for row in csv.DictReader(file)}
    names = (
        "bomb.png",
        "cut.jpg",
        "empty.png",
        "float.tiff",
        "half a bomb.png",
        "postscript.png",
        "text.gif",
    )
    assert sorted(listed) == sorted([*names, "thread.png"])
    assert "million pixels" in listed["bomb.png"]
    assert "million pixels" in listed["half a bomb.png"]
    assert "truncated" in listed["cut.jpg"]
    assert "left out" in said
    assert "features.unreadable.csv" in said
    assert "notes.txt" in said
    assert len(json.loads(printed)["unreadable"]) == 8
    assert len(read_rows(out).features) == 30
    assert main(arguments) == 3  # there already, and still not silent
    assert "left out" in capsys.readouterr().err
    for name in listed:
        (folder / name).unlink()
    out.unlink()
    assert main(arguments) == 0
    assert not (tmp_path / "made" / "features.unreadable.csv").exists()


def test_an_image_that_can_be_read_by_now_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that was away for a moment: the file did not change, only now it can be opened."""
    files = digits(tmp_path / "images", 20)
    backbone = open_backbone(spec(mean_colour_model(tmp_path / "model.onnx")), CPU)
    listing = list_labelled(tmp_path / "images")

    def away(path: Path) -> Image.Image:
        if path == files[4]:
            raise UnreadableImage("the disk is away")
        return read_image(path)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shards, "read_image", away)
        patch.setattr(extraction, "write_table", killed)
        with pytest.raises(KeyboardInterrupt):
            extract(backbone, listing, tmp_path / "f.npz")
    extracted = extract(backbone, listing, tmp_path / "f.npz")
    assert extracted.unreadable == ()
    assert extracted.shape[0] == len(read_rows(tmp_path / "f.npz").features) == 20


def test_pictures_are_read_as_a_person_sees_them(tmp_path: Path) -> None:
    turned = Image.new("RGB", (4, 2), "black")
    turned.putpixel((0, 0), (255, 255, 255))
    orientation = Image.Exif()
    orientation[0x0112] = 6  # to be turned by a quarter, clockwise
    turned.save(tmp_path / "turned.png", exif=orientation)
    upright = np.asarray(read_image(tmp_path / "turned.png"))
    assert upright.shape == (4, 2, 3)
    assert upright[0, 1].tolist() == [255, 255, 255]
    clear = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    clear.putpixel((0, 0), (200, 0, 0, 255))
    clear.save(tmp_path / "clear.png")
    seen = np.asarray(read_image(tmp_path / "clear.png"))
    assert seen[0, 0].tolist() == [200, 0, 0]
    assert seen[1, 1].tolist() == [255, 255, 255]
    Image.fromarray(np.array([[0, 256, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert np.asarray(read_image(tmp_path / "deep.png"))[0, :, 0].tolist() == [0, 1, 255]
    Image.new("P", (2, 2)).save(tmp_path / "palette.gif")
    assert read_image(tmp_path / "palette.gif").mode == "RGB"


@pytest.mark.parametrize("size", [(91, 57), (57, 91), (40, 40), (200, 33), (31, 30)])
@pytest.mark.parametrize(("crop", "interpolation"), [(0.875, "bicubic"), (1.0, "bilinear")])
def test_preprocessing_is_timms_own(size: tuple[int, int], crop: float, interpolation: str) -> None:
    timm = pytest.importorskip("timm")
    ours = Preprocessing(size=33, crop=crop, interpolation=interpolation)
    mean, std = NORMALIZATIONS["imagenet"]
    theirs = timm.data.create_transform(
        33, is_training=False, crop_pct=crop, interpolation=interpolation, mean=mean, std=std
    )
    image = Image.effect_noise(size, 80).convert("RGB")
    assert np.allclose(ours(image), theirs(image).numpy(), atol=1e-6)


@pytest.mark.parametrize("size", [(96, 64), (64, 96), (40, 40)])
@pytest.mark.parametrize("crop", [0.875, 1.0])
def test_preprocessing_is_that_of_clips_own_library(size: tuple[int, int], crop: float) -> None:
    from transformers import CLIPImageProcessorPil

    ours = Preprocessing(size=28, crop=crop, normalization="clip")
    theirs = CLIPImageProcessorPil(
        size={"shortest_edge": int(28 / crop)}, crop_size={"height": 28, "width": 28}, resample=3
    )
    image = Image.effect_noise(size, 80).convert("RGB")
    expected = np.asarray(theirs(image, return_tensors="np")["pixel_values"][0])
    assert np.allclose(ours(image), expected, atol=1e-5)


def test_timm_backbones_are_remembered_and_opened_again(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    digits(tmp_path / "images", 6)
    torch.manual_seed(5)
    model = timm.create_model("resnet10t", pretrained=False).eval()
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    backbone = open_backbone(BackboneSpec.of("resnet10t", weights=str(tmp_path / "weights.safetensors")), CPU)
    listing = list_labelled(tmp_path / "images")
    extracted = extract(backbone, listing, tmp_path / "f.npz", batch_size=6)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    pictures = torch.stack([transform(Image.open(listing.root / n).convert("RGB")) for n in listing.names])
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(pictures), pre_logits=True)
    assert extracted.shape == expected.shape
    assert np.allclose(read_rows(tmp_path / "f.npz").features, expected.numpy(), atol=1e-5)
    rows = read_rows(tmp_path / "f.npz")
    assert rows.backbone is not None
    again = BackboneSpec.from_dict(rows.backbone, "f.npz")
    assert open_backbone(again, CPU).spec.same_as(backbone.spec)
    other = timm.create_model("resnet10t", pretrained=False).state_dict()
    save_file(other, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="not the backbone that the features were made with"):
        open_backbone(again, CPU)


def test_weights_that_cannot_be_obtained_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("timm")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    digits(tmp_path / "images", 3)
    assert main(["extract", str(tmp_path / "images"), "--backbone", "resnet101", "-o", "x.npz"]) == 2
    said = capsys.readouterr().err
    assert "timm/resnet101.a1h_in1k/resolve/main/model.safetensors" in said
    assert "--weights model.safetensors" in said


def test_weights_that_were_never_published_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("timm")
    digits(tmp_path / "images", 2)
    command = ["extract", str(tmp_path / "images"), "--backbone", "resnet101.tv_in2k"]
    assert main([*command, "-o", str(tmp_path / "f.npz")]) == 2
    said = capsys.readouterr().err
    assert "no published weights 'tv_in2k'" in said
    assert "resnet101.tv_in1k" in said


def test_random_timm_weights_are_the_same_every_time(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    wanted = BackboneSpec.of("resnet10t", weights="random")
    assert open_backbone(wanted, CPU).spec == open_backbone(wanted, CPU).spec


def test_a_csv_of_paths(tmp_path: Path) -> None:
    digits(tmp_path / "pool", 4)
    rows = [file.relative_to(tmp_path).as_posix() for file in sorted((tmp_path / "pool").rglob("*.png"))]
    lines = [f"{row},{name},train" for row, name in zip(rows, "abab", strict=True)]
    (tmp_path / "list.csv").write_text("path,label,split\n" + "\n".join(lines) + "\npool/gone.png,a,test\n")
    model = mean_colour_model(tmp_path / "model.onnx")
    out = tmp_path / "f.npz"
    arguments = ["--backbone", str(model), *WHOLE, "-o", str(out)]
    assert main(["extract", str(tmp_path / "list.csv"), *arguments]) == 3
    assert read_rows(out).labels == tuple("abab")
    assert "no such file" in (tmp_path / "f.unreadable.csv").read_text()
    (tmp_path / "classes.csv").write_text("name,x\na,1\nb,2\nc,3\n")
    (tmp_path / "features.npz").write_bytes(out.read_bytes())
    problem = load(tmp_path, "mine")
    assert problem.backbone == read_rows(out).backbone
    assert len(problem.train) == 4


REFUSED = {
    "a path out of the folder": ("path,label\n../outside.png,a\n", "--root"),
    "an absolute path": ("path,label\n/etc/passwd.png,a\n", "leads out of"),
    "a Windows path out": ("path,label\n..\\outside.png,a\n", "leads out of"),
    "a link out": ("path,label\nlink.png,a\n", "leads out of"),
    "the same image twice": ("path,label\nin.png,a\n./in.png,b\n", "line 2"),
    "no label": ("path\nin.png\n", "'label'"),
    "no path": ("thing,label\nin.png,a\n", "'path'"),
    "no image": ("path,label\nlist.csv,a\n", "no image by its ending"),
    "another split": ("path,label,split\nin.png,a,extra\n", "'extra'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_lists_that_are_refused(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (9, 9)).save(tmp_path / "outside.png")
    inside = tmp_path / "inside"
    inside.mkdir()
    Image.new("L", (9, 9)).save(inside / "in.png")
    (inside / "link.png").symlink_to(tmp_path / "outside.png")
    content, expected = REFUSED[case]
    (inside / "list.csv").write_text(content)
    model = mean_colour_model(tmp_path / "model.onnx")
    command = ["extract", str(inside / "list.csv"), "--backbone", str(model), "-o", str(tmp_path / "f.npz")]
    assert main(command) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    assert "list.csv" in said
    assert expected in said
    assert not (tmp_path / "f.npz").exists()


@pytest.mark.parametrize("parts", [("",), ("train", "test")])
def test_classes_without_an_image_are_named(
    parts: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty folder, and one whose only image is broken: to the run both are unseen classes."""
    for part in parts:
        images = tmp_path / "images" / part
        digits(images, 4)
        (images / "zebra").mkdir()
        (images / "okapi").mkdir()
        (images / "okapi" / "1.png").write_bytes(b"nothing")
        (images / ".hidden").mkdir()
    (tmp_path / "images" / parts[0] / "digit 0" / "notes.txt").write_text("not an image")
    model = mean_colour_model(tmp_path / "model.onnx")
    command = ["extract", str(tmp_path / "images"), "--backbone", str(model), *WHOLE, "--json"]
    for _ in range(2):  # made, and there already
        assert main([*command, "-o", str(tmp_path / "f.npz")]) == 3
        told = capsys.readouterr()
        assert "without an image that can be read, so unseen: okapi, zebra\n" in told.err
        assert "passed over 1 file that is no image: " in told.err
        assert json.loads(told.out)["classes"] == 4


def test_folders_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no images in it"):
        list_labelled(tmp_path / "empty")
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        list_labelled(tmp_path / "nowhere")
    digits(tmp_path / "images", 3)
    Image.new("L", (9, 9)).save(tmp_path / "images" / "loose.png")
    with pytest.raises(ValueError, match=r"loose\.png: lies in no class folder"):
        list_labelled(tmp_path / "images")
    (tmp_path / "images" / "loose.png").rename(tmp_path / "loose.png")
    (tmp_path / "images" / "digit 0" / "link.png").symlink_to(tmp_path / "loose.png")
    with pytest.raises(ValueError, match="leads out of"):
        list_labelled(tmp_path / "images")
    (tmp_path / "images" / "digit 0" / "link.png").unlink()
    (tmp_path / "images" / "loop").symlink_to(tmp_path / "images")
    with pytest.raises(ValueError, match="link to a folder"):
        list_labelled(tmp_path / "images")


class Program:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


def test_no_backbone_is_ever_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    digits(tmp_path / "images", 3)
    for name in ("model.pt", "model.pth", "model.onnx", "weights.bin"):
        torch.save({"weight": Program()}, tmp_path / name)
    for wanted in (
        ["--backbone", "model.pt"],
        ["--backbone", "model.pth"],
        ["--backbone", "model.onnx"],
        ["--backbone", "resnet101", "--weights", "weights.bin"],
    ):
        assert main(["extract", "images", *wanted, "-o", "f.npz"]) == 2
        assert wanted[-1] in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_requests_that_do_not_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digits(tmp_path / "images", 3)
    model = str(mean_colour_model(tmp_path / "model.onnx"))
    for wanted, expected in (
        (["--backbone", model, "--size", "64"], f"extract with --size {SIDE}"),
        (["--backbone", model, *WHOLE, "--output", "z"], "no output 'z'"),
        (["--backbone", model, *WHOLE, "--weights", "w.safetensors"], "weights of its own"),
        (["--backbone", model, *WHOLE, "--normalize", "imagnet"], "expected one of imagenet"),
        (["--backbone", "w.safetensors"], "--backbone resnet101 --weights w.safetensors"),
        (["--backbone", "resnet101", "--size", "9"], "leave out --size"),
        (["--backbone", str(tmp_path / "gone.onnx")], "no such file"),
    ):
        assert main(["extract", str(tmp_path / "images"), *wanted, "-o", str(tmp_path / "f.npz")]) == 2
        assert expected in capsys.readouterr().err


def test_features_that_are_not_finite_name_the_image(tmp_path: Path) -> None:
    digits(tmp_path / "images", 3)
    backbone = open_backbone(spec(mean_colour_model(tmp_path / "model.onnx", scale=np.inf)), CPU)
    with pytest.raises(ValueError, match=r"\.png: the backbone gives features that are not finite"):
        extract(backbone, list_labelled(tmp_path / "images"), tmp_path / "f.npz")


def test_a_table_that_is_there_is_kept(tmp_path: Path) -> None:
    files = digits(tmp_path / "images", 9)
    out = tmp_path / "f.npz"
    backbone = open_backbone(spec(mean_colour_model(tmp_path / "model.onnx")), CPU)
    first = extract(backbone, list_labelled(tmp_path / "images"), out)
    before = out.read_bytes()
    again = extract(backbone, list_labelled(tmp_path / "images"), out)
    assert first == again
    other = open_backbone(spec(patches_model(tmp_path / "other.onnx")), CPU)
    with pytest.raises(ValueError, match="another backbone"):
        extract(other, list_labelled(tmp_path / "images"), out)
    files[0].unlink()
    with pytest.raises(ValueError, match="other images"):
        extract(backbone, list_labelled(tmp_path / "images"), out)
    assert out.read_bytes() == before


def test_the_model_is_run_by_onnxruntime(tmp_path: Path) -> None:
    """The same numbers as a session of its own gives for the prepared pictures."""
    digits(tmp_path / "images", 10)
    model = patches_model(tmp_path / "model.onnx")
    backbone, listing = open_backbone(spec(model), CPU), list_labelled(tmp_path / "images")
    table = features_of(backbone, listing)
    pictures = np.stack([backbone.prepare(read_image(listing.root / name)) for name in listing.names])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert np.allclose(table.features, np.asarray(session.run(None, {"x": pictures})[0]), atol=1e-6)


def test_the_table_is_what_numpy_would_write(tmp_path: Path) -> None:
    digits(tmp_path / "images", 300)
    model = patches_model(tmp_path / "model.onnx")
    backbone, listing = open_backbone(spec(model), CPU), list_labelled(tmp_path / "images")
    assert extract(backbone, listing, tmp_path / "f.npz").shape == (300, 128)
    described = np.array(json.dumps(backbone.spec.to_dict()))
    arrays = {"names": np.array(listing.names), "labels": np.array(listing.labels), "backbone": described}
    np.savez(tmp_path / "g.npz", features=features_of(backbone, listing).features, **arrays)
    assert (tmp_path / "f.npz").read_bytes() == (tmp_path / "g.npz").read_bytes()


def test_of_two_attempts_at_once_the_second_is_refused(tmp_path: Path) -> None:
    digits(tmp_path / "images", 5)
    backbone = open_backbone(spec(mean_colour_model(tmp_path / "model.onnx")), CPU)
    listing = list_labelled(tmp_path / "images")
    (tmp_path / ".f.npz.1.tmp").write_text("left by a kill")
    (tmp_path / "f.npz.parts").mkdir()
    with lock(tmp_path / "f.npz.parts"), pytest.raises(ValueError, match="another process is writing there"):
        extract(backbone, listing, tmp_path / "f.npz")
    assert (tmp_path / ".f.npz.1.tmp").exists()  # it may be the other's
    extract(backbone, listing, tmp_path / "f.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.npz", "images", "model.onnx"]
