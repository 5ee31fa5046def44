"""Which folders are classes, which are parts of the data, and which are neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from gsmflow.base.errors import InputError
from gsmflow.images.listing import list_any, list_labelled

CLASSES = ("bear", "horse", "tiger", "wolf")


def images(folder: Path, *names: str) -> Path:
    """Files that are images by their ending, which is all that is looked at here."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    "parts",
    [
        {"train": "train", "val": "val", "test": "test"},
        {"Train": "train", "Val": "val", "Test": "test"},
        {"TRAINING": "train", "validation": "val", "Testing": "test"},
        {"train": "train", "valid": "val"},
        {"train": "train", "dev": "val", "test": "test"},
        {"train": "train"},
        {"test": "test", "train": "train"},
    ],
)
def test_folders_of_parts_hold_parts(parts: dict[str, str], tmp_path: Path) -> None:
    names = sorted(f"{folder}/{label}/{i}.png" for folder in parts for label in CLASSES for i in range(3))
    listing = list_labelled(images(tmp_path, *names))
    assert listing.names == tuple(names)
    assert listing.labels == tuple(name.split("/")[1] for name in names)
    assert listing.split == tuple(parts[name.split("/")[0]] for name in names)
    assert listing.empty == ()


def test_a_class_of_trains(tmp_path: Path) -> None:
    listing = list_labelled(images(tmp_path, "bus/1.png", "train/1.png", "car/sports/1.png"))
    assert listing.labels == ("bus", "car", "train")
    assert listing.split is None


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("train/horse/1.png", "test/1.png"),
            r"test/1\.png: lies in no class folder; in the folder of a part",
        ),
        (("train/1.png", "test/1.png"), r"lies in no class folder; in the folder of a part \(test, train\)"),
        (("train/horse/1.png", "test/horse/1.png", "more/horse/1.png"), "but more beside it is no part"),
        (("train/horse/1.png", "more/1.png"), "train: holds folders, as a part of the data does, but more"),
    ],
)
def test_what_could_be_either_is_refused(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        list_labelled(images(tmp_path, *names))


JUNK = [
    "__MACOSX/horse/._1.png",
    "__MACOSX/horse/1.png",
    "@eaDir/horse/1.png",
    "horse/@eaDir/1.png/SYNOPHOTO_THUMB_M.png",
    ".ipynb_checkpoints/1-checkpoint.png",
    "horse/.thumbnails/1.png",
    "horse/Thumbnails/1.png",
    "#recycle/1.png",
    "$RECYCLE.BIN/1.png",
    "horse/._1.png",
    "horse/Thumbs.db",
    "horse/.DS_Store",
    "horse/desktop.ini",
]


@pytest.mark.parametrize("place", ["", "train/"])
def test_what_file_servers_and_archives_leave_behind_is_no_class_and_no_image(
    place: str, tmp_path: Path
) -> None:
    good = [f"{place}horse/1.png", f"{place}tiger/1.png"]
    images(tmp_path, *good, *(f"{place}{name}" for name in JUNK))
    images(tmp_path, *JUNK[:3])
    listing = list_labelled(tmp_path)
    assert listing.names == tuple(good)
    assert listing.labels == ("horse", "tiger")
    assert listing.passed_over == listing.empty == ()
    assert list_any(tmp_path).names == tuple(good)


def test_folder_names_have_one_normal_form(tmp_path: Path) -> None:
    listing = list_labelled(
        images(tmp_path, "train/lo\u0308we/1.png", "test/l\u00f6we/2.png", "test/polar\u00a0bear/1.png")
    )
    assert sorted(set(listing.labels or ())) == ["l\u00f6we", "polar bear"]


def test_parts_in_a_csv(tmp_path: Path) -> None:
    images(tmp_path, *(f"{i}.png" for i in range(4)))
    (tmp_path / "list.csv").write_text(
        "path,label,split\n0.png,a,Train\n1.png,b,valid\n2.png,a,test\n3.png,b,dev\n"
    )
    assert list_labelled(tmp_path / "list.csv").split == ("train", "val", "test", "val")
