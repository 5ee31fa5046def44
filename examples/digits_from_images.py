"""From a folder of images to labels, with nothing to download: `python examples/digits_from_images.py [FOLDER]`.

Real handwritten digits are written out as PNG files, nine of the ten digits for training; the tenth is only
described, by the segments of a calculator's display. The backbone is a small network that is trained here to tell
the nine digits apart and exported to TorchScript: what a pretrained ResNet or ViT is for photographs. Everything
after that is what one types for one's own images.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

SIDE = 32  # pixels
UNSEEN = 8  # described, never shown
SEGMENTS = {  # top, upper right, lower right, bottom, lower left, upper left, middle
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


def gsmflow(*arguments: str | Path) -> None:
    """Run a command as one would type it, and show it."""
    command = ["gsmflow", *map(str, arguments)]
    print("\n$", " ".join(command), flush=True)
    subprocess.run([sys.executable, "-m", *command], check=True)


def write_images(folder: Path) -> None:
    """mine/images/DIGIT/*.png for training, new/DIGIT/*.png for later; the unseen digit is among the latter only."""
    data: Any = load_digits()
    for index, (pixels, digit) in enumerate(zip(data.images, data.target, strict=True)):
        later = digit == UNSEEN or index % 5 == 0
        file = folder / ("new" if later else "mine/images") / str(digit) / f"{index:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((pixels * 255 / 16).astype(np.uint8))
        image.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file)


def write_descriptions(file: Path) -> None:
    """One line a digit, the unseen one among them."""
    columns = ("top", "upper right", "lower right", "bottom", "lower left", "upper left", "middle")
    rows = [",".join((str(digit), *code)) for digit, code in SEGMENTS.items()]
    file.write_text("\n".join((",".join(("name", *columns)), *rows)) + "\n", encoding="utf-8")


def train_backbone(images: Path, file: Path) -> None:
    """A small convolutional network that tells the digits in `images` apart, kept without its last layer."""
    torch.manual_seed(0)
    files = sorted(images.glob("*/*.png"))
    digits = sorted({each.parent.name for each in files})
    labels = torch.tensor([digits.index(each.parent.name) for each in files])
    pixels = np.stack([np.asarray(Image.open(each).convert("RGB"), np.float32) for each in files])
    pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    backbone = nn.Sequential(
        nn.Conv2d(3, 16, 4, stride=4),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 8 * 8, 64),
        nn.ReLU(),
    )
    classifier = nn.Linear(64, len(digits))
    optimizer = torch.optim.Adam([*backbone.parameters(), *classifier.parameters()], lr=2e-3)
    for _ in range(8):
        for some in torch.randperm(len(labels)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(classifier(backbone(pictures[some])), labels[some]).backward()
            optimizer.step()
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning):  # newer torch would rather see another format
            warnings.simplefilter("ignore", kind)
        torch.jit.script(backbone.eval()).save(str(file))


def ask_the_service(run: Path, images: list[Path]) -> None:
    """Start `gsmflow serve`, send it images as any program would, and stop it."""
    command = ["gsmflow", "serve", str(run), "--port", "0"]
    print("\n$", " ".join(command), flush=True)
    with subprocess.Popen(
        [sys.executable, "-u", "-m", *command], stdout=subprocess.PIPE, text=True
    ) as service:
        try:
            assert service.stdout
            said = service.stdout.readline()
            print(said, end="")
            address = next(word for word in said.split() if word.startswith("http"))
            wait_until_ready(f"{address}/health")
            for image in images:
                answer = httpx.post(
                    f"{address}/v1/predict/image",
                    files={"image": (image.name, image.read_bytes())},
                    timeout=30,
                ).raise_for_status()
                ranked = answer.json()["predictions"][0]["classes"]
                said = ", ".join(f"{each['name']} {each['probability']:.0%}" for each in ranked)
                print(f"{image.parent.name}/{image.name}: {said}")
        finally:
            service.terminate()
    print(f"the service stopped with exit code {service.returncode}")
    if service.returncode:
        sys.exit(1)


def wait_until_ready(address: str, seconds: float = 60) -> None:
    """Until the service answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            if httpx.get(address).is_success:
                return
        except httpx.TransportError:
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


def main(folder: Path) -> None:
    """All of it, in `folder`."""
    mine, run = folder / "mine", folder / "run"
    write_images(folder)
    write_descriptions(folder / "digits.csv")
    train_backbone(mine / "images", folder / "backbone.pt")

    gsmflow("describe", folder / "digits.csv", "--scaling", "none", "-o", mine / "classes.csv")
    looks = ("--size", str(SIDE), "--crop", "1", "--normalize", "none")
    gsmflow(
        "extract", mine / "images", "--backbone", folder / "backbone.pt", *looks, "-o", mine / "features.npz"
    )
    gsmflow("train", mine, "--set", "epochs=30", "--set", "selection.problems=1", "--out", run)
    gsmflow("predict", run, folder / "new", "--unsure", "0.5", "-o", folder / "labels.csv")

    labels = pl.read_csv(folder / "labels.csv", schema_overrides={"class": pl.String})
    true = labels["sample"].str.split("/").list.first()
    right = labels["class"] == true
    unseen, sure = true == str(UNSEEN), ~labels["unsure"]
    print(f"\nseen digits: {right.filter(~unseen).mean():.0%} right")
    print(f"{UNSEEN}, which was never shown: {right.filter(unseen).mean():.0%} right; guessing: 10%")
    print(f"of the {sure.mean():.0%} that it is sure of: {right.filter(sure).mean():.0%} right")

    # A class that turns up later: the letter H as the display shows it. A 4 looks much like it.
    gsmflow("add-class", run, "--name", "H", "--attributes", ",".join("0110111"), "--out", folder / "run-v2")
    ask_the_service(folder / "run-v2", sorted((folder / "new" / str(UNSEEN)).iterdir())[:3])


if __name__ == "__main__":
    if any(argument.startswith("-") for argument in sys.argv[1:]):
        sys.exit(__doc__)
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
