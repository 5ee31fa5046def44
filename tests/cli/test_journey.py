"""The whole way from pictures and names to labels, in a real terminal of 80 columns, with real weights."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import polars as pl
import pytest

from support import shapes
from support.encoders import tiny_encoder
from support.pictures import SIDE, digits, patches_model
from support.real_models import imagenet_backbone, text_encoder
from support.terminal import COLUMNS, in_terminal

UNSEEN = ("red_star", "green_cross", "blue_triangle", "yellow_circle", "purple_square", "black_star")


def labels(file: Path) -> pl.DataFrame:
    """Predictions with the true class, which is the picture's folder."""
    table = pl.read_csv(file).with_columns(true=pl.col("sample").str.split("/").list.first())
    return table.with_columns(right=pl.col("true") == pl.col("class"), unseen=pl.col("true").is_in(UNSEEN))


@pytest.mark.slow
def test_from_pictures_and_names_to_labels(tmp_path: Path) -> None:
    """24 classes of 40 pictures, six more by name alone; two commands, no line of Python, nothing prepared."""
    seen = [name for name in shapes.names() if name not in UNSEEN]
    shapes.pictures(tmp_path / "pictures", seen, 40)
    shapes.pictures(tmp_path / "new", shapes.names(), 8, seed=1)
    imagenet_backbone(tmp_path / "pictures" / "efficientnet.onnx")
    shutil.copytree(text_encoder(), tmp_path / "pictures" / "encoder")
    begun = time.monotonic()
    command = ["train", "pictures", "--classes", ",".join(UNSEEN), "--normalize", "half", "--method", "lda"]
    code, screen = in_terminal(*command, cwd=tmp_path)
    assert code == 0, "\n".join(screen)
    assert any(
        line.startswith("pictures  pictures: 960 pictures, 24 classes to learn from") for line in screen
    )
    assert any("efficientnet.onnx (the model file there)" in line for line in screen)
    assert any("colours scaled as half (-1 to 1)" in line for line in screen)
    assert any("pictures/encoder (the encoder there): 7 sentences a class" in line for line in screen)
    # Three that it stands for, and three that are next
    assert sum(line.startswith("  gsmflow ") for line in screen) == 6
    run = "runs/pictures-lda-validated-seed0"
    assert f"  gsmflow predict {run} NEW_PICTURES -o labels.csv" in screen
    code, screen = in_terminal("predict", run, "new", "-o", "labels.csv", cwd=tmp_path)
    assert code == 0, "\n".join(screen)
    assert screen[-1] == "240 samples labelled, table in labels.csv"
    table = labels(tmp_path / "labels.csv")
    code, screen = in_terminal("evaluate", run, "new", cwd=tmp_path)
    assert code == 0, "\n".join(screen)
    assert any(line.startswith(f"{table['right'].sum()} of 240 right.") for line in screen)
    assert max(map(len, screen)) <= COLUMNS
    of_unseen = table.filter(pl.col("unseen"))["right"].mean()
    of_seen = table.filter(~pl.col("unseen"))["right"].mean()
    assert isinstance(of_unseen, float)
    assert isinstance(of_seen, float)
    assert of_unseen > 0.3  # 0.48 where it was written; guessing among 30 gives 0.03
    assert of_seen > 0.5  # 0.69
    print(f"{time.monotonic() - begun:.0f} seconds from pictures to labels")


def test_the_screen_of_one_command(tmp_path: Path) -> None:
    """No word is broken at the edge of the screen, and shown commands can be copied."""
    count = len(digits(tmp_path / "pictures", 120, leave_out=(9,)))
    patches_model(tmp_path / "pictures" / "model.onnx")
    tiny_encoder(tmp_path / "pictures", ["a", "photo", "of", "digit", *map(str, range(10))])
    looks = ["--size", str(SIDE), "--crop", "1"]
    code, screen = in_terminal(
        *("train", "pictures", "--classes", "digit 9", *looks, "--method", "lda"), cwd=tmp_path
    )
    assert code == 0, "\n".join(screen)
    whole = " ".join(" ".join(line.removesuffix("\\").split()) for line in screen)
    for text in (
        "9 classes to learn from, 1 without: digit 9",
        "32 x 32 pixels, colours scaled as imagenet (mean 0 and variance 1 over ImageNet)",
        "gsmflow extract pictures --backbone pictures/model.onnx --size 32 --crop 1.0 --out pictures/features.npz",
        "gsmflow describe pictures --classes 'digit 9' --encoder pictures/encoder --out pictures/text.csv",
        "gsmflow train pictures --method lda --semantics text",
    ):
        assert text in whole
    assert max(map(len, screen)) <= COLUMNS
    assert any(line.startswith("images ") and f"{count}/{count}" in line for line in screen)
