"""Refusals and lists answer at once: nothing that takes long to load is loaded before it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = ("torch", "scipy", "sklearn", "optuna", "ray", "onnxruntime", "matplotlib", "transformers")
PROGRAM = """
import json, sys
from gsmflow.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, [name for name in {slow!r} if name in sys.modules]]), file=sys.stderr)
"""

REFUSED = {
    "train: problem": ["train", "nosuch"],
    "train: method": ["train", "digits", "--method", "nosuch"],
    "train: preset": ["train", "digits", "--preset", "nosuch"],
    "train: option": ["train", "digits", "--set", "gsmflow.blcks=3"],
    "train: value": ["train", "synthetic", "--set", "gsmflow.blocks=0"],
    "train: device": ["train", "digits", "--device", "gpu"],
    "train: seeds": ["train", "digits", "--seeds", "a"],
    "train: out": ["train", "synthetic", "--out", "run"],
    "train: features": ["train", "synthetic", "--features", "other"],
    "train: backbone": ["train", "table", "--backbone", "weights.pth"],
    "train: table": ["train", "table"],
    "train: names": ["train", "digits", "--classes", "zebra"],
    "train: pictures": ["train", "pictures", "--encoder", "./nosuch"],
    "train: no backbone": ["train", "pictures"],
    "train: no encoder": ["train", "pictures", "--backbone", "model.onnx", "--classes", "fox,owl"],
    "train: template": ["train", "pictures", "--template", "a photo"],
    "train: classes": ["train", "pictures", "--classes", "few.csv", "--backbone", "model.onnx"],
    "bench: problem": ["bench", "nosuch"],
    "bench: method": ["bench", "digits", "--methods", "lda,nosuch"],
    "bench: against": ["bench", "digits", "--against", "nosuch"],
    "ablate: problem": ["ablate", "nosuch"],
    "ablate: option": ["ablate", "synthetic", "--set", "nosuch=1"],
    "tune: problem": ["tune", "nosuch"],
    "tune: vary": ["tune", "synthetic", "--vary", "gsmflow.blocks"],
    "tune: option": ["tune", "synthetic", "--vary", "nosuch=1:2"],
    "extract: images": ["extract", "nosuch", "--backbone", "resnet101"],
    "extract: backbone": ["extract", "table", "--backbone", "weights.pth"],
    "extract: device": ["extract", "table", "--backbone", "resnet101", "--device", "tpu"],
    "describe: file": ["describe", "nosuch.csv"],
    "describe: nothing": ["describe"],
    "describe: names": ["describe", "--classes", "zebra,zebra"],
    "describe: no encoder": ["describe", "--classes", "zebra,okapi"],
    "describe: encoder": ["describe", "classes.csv", "--encoder", "./nosuch"],
    "predict: run": ["predict", "nosuch", "new.csv"],
    "predict: new": ["predict", "run", "nosuch.csv"],
    "predict: out": ["predict", "run", "new.csv", "--out", "labels.txt"],
    "evaluate: run": ["evaluate", "nosuch"],
    "add-class: run": ["add-class", "nosuch", "--name", "a", "--attributes", "1"],
    "report: run": ["report", "nosuch"],
    "report: embedding": ["report", "run", "--embedding", "mds"],
    "serve: run": ["serve", "nosuch"],
    "export: run": ["export", "nosuch"],
    "import: file": ["import", "nosuch.tar", "synthetic"],
    "train: nowhere to write": ["train", "digits", "--out", "new.csv/run"],
    "tune: nowhere to write": ["tune", "digits", "--out", "new.csv/preset.toml"],
    "extract: nowhere to write": [
        "extract",
        "pictures",
        "--backbone",
        "model.onnx",
        "--out",
        "new.csv/x.npz",
    ],
    "describe: nowhere to write": ["describe", "classes.csv", "--out", "new.csv/x.csv"],
    "report: nowhere to write": ["report", "run", "--out", "new.csv/page.html"],
    "report: nowhere for figures": ["report", "run", "--figures", "new.csv/figures"],
    "export: nowhere to write": ["export", "run", "--out", "new.csv/x.onnx"],
    "serve: encoder": ["serve", "run", "--encoder", "./nosuch"],
    "runs: folder": ["runs", "nosuch"],
    "a command": ["trian"],
}
ANSWERED = {
    "help": ["--help"],
    "help of train": ["train", "--help"],
    "version": ["--version"],
    "methods": ["methods"],
    "methods, one": ["methods", "gsmflow"],
    "describe": ["describe", "classes.csv", "--out", "semantics.csv"],
    "runs": ["runs", "."],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with something that looks like a run, a table without classes, and descriptions of classes."""
    place = tmp_path_factory.mktemp("at-once")
    (place / "run").mkdir()
    (place / "run" / "config.toml").write_text('[run]\nproblem = "synthetic"\nmethod = "lda"\nseed = 0\n')
    (place / "run" / "metrics.json").write_text("{}")
    (place / "table" / "images" / "ant").mkdir(parents=True)
    (place / "table" / "features.csv").write_text("label,a,b\nant,1,2\nbee,2,1\n")
    (place / "classes.csv").write_text("name,legs,wings\nant,6,0\nbee,6,1\nfox,4,2\n")
    for name in ("ant", "bee", "cow", "dog"):
        (place / "pictures" / name).mkdir(parents=True)
        (place / "pictures" / name / "1.png").write_bytes(b"?")
    (place / "model.onnx").write_bytes(b"?")
    (place / "few.csv").write_text("name,a,b\nant,1,2\nbee,2,1\n")
    (place / "new.csv").write_text("a,b\n1,2\n")
    return place


def answer(place: Path, arguments: list[str]) -> tuple[int, list[str], str]:
    """Exit code, what was loaded, and what was said."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(slow=SLOW), *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "HF_HOME": str(place.parent / "cache"), "HF_HUB_OFFLINE": "1"},
    )
    *said, last = done.stderr.splitlines()
    code, loaded = json.loads(last)
    return code, loaded, "\n".join(said) + done.stdout


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_loads_nothing_slow_and_leaves_nothing(arguments: list[str], place: Path) -> None:
    before = sorted(place.rglob("*"))
    code, loaded, said = answer(place, arguments)
    assert (code, loaded) == (2, []), said
    assert said.startswith("gsmflow: ")
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("arguments", ANSWERED.values(), ids=ANSWERED)
def test_lists_load_nothing_slow(arguments: list[str], place: Path) -> None:
    code, loaded, said = answer(place, arguments)
    assert (code, loaded) == (0, []), said


def test_known_data_are_listed_without_torch(place: Path) -> None:
    code, loaded, said = answer(place, ["data"])
    assert code == 0, said
    assert "torch" not in loaded
