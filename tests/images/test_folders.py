"""Folders of pictures as tools and people lay them out: parts, classes and mere places."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gsmflow.base.errors import InputError
from gsmflow.images.folders import part_of
from gsmflow.images.listing import list_labelled
from gsmflow.images.reading import UnreadableImage, read_image


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"listed, not read")
    return path


def classes(folder: Path, *names: str) -> None:
    for name in names or ("bear", "wolf"):
        for index in range(2):
            picture(folder / name / f"{index}.png")


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        *(("train2017", "train"), ("val2017", "val"), ("test_images", "test"), ("Train Set", "train")),
        *(("testset", "test"), ("train1", "train"), ("seg_train", "train"), ("test_unseen", "test")),
        *(("trains", None), ("train station", None), ("test tube", None), ("2017", None), ("images", None)),
    ],
)
def test_parts_with_words_and_numbers_beside_them(folder: str, part: str | None) -> None:
    assert part_of(folder) == part


@pytest.mark.parametrize(
    ("train", "test"), [("train_images", "test_images"), ("Train Set", "Test Set"), ("train2017", "val2017")]
)
def test_such_folders_are_parts(train: str, test: str, tmp_path: Path) -> None:
    classes(tmp_path / train)
    classes(tmp_path / test)
    listing = list_labelled(tmp_path)
    assert Counter(listing.labels) == {"bear": 4, "wolf": 4}
    assert Counter(listing.split) == {"train": 4, "val" if "val" in test else "test": 4}


def test_trains_are_a_class_where_folders_hold_images_alone(tmp_path: Path) -> None:
    classes(tmp_path, "train 1", "plane")
    assert set(list_labelled(tmp_path).labels or ()) == {"train 1", "plane"}


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (
            ["images/bear", "images/wolf"],
            "holds one folder of images, images, with folders in it (bear, wolf)",
        ),
        (["archive/train/bear", "archive/test/bear"], "if those are the classes, name"),
        (["images/train", "images/val"], "holds one folder of images, images"),
        (["train/images", "valid/images"], "its folders (images) are named as places, not as classes"),
        (["images", "masks"], "its folders (images, masks) are named as places"),
        (["seg_train/seg_train/bear", "seg_test/seg_test/bear"], "named as places"),
    ],
)
def test_places_are_no_classes(folders: list[str], said: str, tmp_path: Path) -> None:
    for folder in folders:
        picture(tmp_path / folder / "1.jpg")
    with pytest.raises(InputError) as refused:
        list_labelled(tmp_path)
    assert said in str(refused.value)


def test_folders_in_class_folders_are_told(tmp_path: Path) -> None:
    for inner in ("mammal/bear", "mammal/wolf", "bird/owl"):
        picture(tmp_path / inner / "1.jpg")
    listing = list_labelled(tmp_path)
    assert set(listing.labels or ()) == {"mammal", "bird"}
    assert (
        "the classes are the folders bird, mammal; the folders in them (bear, owl, wolf) are not"
        in listing.remark
    )


def test_kinds_that_are_not_read_are_no_files_beside(tmp_path: Path) -> None:
    classes(tmp_path)
    picture(tmp_path / "okapi" / "IMG_1.HEIC")
    picture(tmp_path / "okapi" / "IMG_1.MOV")
    picture(tmp_path / "bear" / "0.DNG")  # the camera wrote 0.png, too
    picture(tmp_path / "bear" / "scan.jfif")
    listing = list_labelled(tmp_path)
    assert Counter(listing.labels) == {"bear": 3, "wolf": 2, "okapi": 1}
    assert set(listing.passed_over) == {"bear/0.DNG", "okapi/IMG_1.MOV"}
    assert listing.empty == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99),
            "HEIC, which is not read; save it as JPEG or PNG",
        ),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif" + bytes(99), "AVIF, which is not read"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp41" + bytes(99), "a video, which is not read"),
        (b"<!DOCTYPE html><html>404", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"", "the file is empty"),
        (b"something", "not an image, or of a format that is not read"),
    ],
)
def test_why_a_file_is_no_picture(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(content)
    with pytest.raises(UnreadableImage, match=reason):
        read_image(tmp_path / "1.jpg")


def test_twelve_bits_in_sixteen(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 1200).reshape(30, 40).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "whole.png")
    assert np.array_equal(np.asarray(read_image(tmp_path / "whole.png"))[:, :, 0], values >> 8)
    Image.fromarray(values >> 4).save(tmp_path / "twelve.png")
    with pytest.raises(UnreadableImage, match="16 bits a pixel, yet no value above 4095"):
        read_image(tmp_path / "twelve.png")


def test_a_list_with_numbers_and_names_of_classes(tmp_path: Path) -> None:
    classes(tmp_path)
    (tmp_path / "list.csv").write_text("path,label,class\nbear/0.png,0,bear\nwolf/0.png,1,wolf\n")
    assert list_labelled(tmp_path / "list.csv").labels == ("bear", "wolf")
    (tmp_path / "list.csv").write_text("path,label\nbear/0.png,0\nwolf/0.png,1\n")
    assert list_labelled(tmp_path / "list.csv").labels == ("0", "1")
