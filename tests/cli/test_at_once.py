"""Refusals and lists answer at once: nothing that takes long to load is loaded before it is needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from support.pictures import patches_model

SLOW = (
    *("torch", "scipy", "sklearn", "pandas", "pyarrow", "optuna", "ray", "onnxruntime", "matplotlib"),
    *("transformers", "fastapi", "jinja2", "PIL", "h5py"),
)
PROGRAM = """
import contextlib, io, json, os, sys, tempfile
from gsmflow.cli import main

with contextlib.redirect_stderr(io.StringIO()):
    main(["train", "nosuch"])  # loads what all of them need; were something slow among that, it would show in each
for words in json.load(sys.stdin):
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as told:
        child = os.fork()  # so that none begins with what another has loaded
        if not child:
            for stream in (1, 2):
                os.dup2(said.fileno(), stream)
            code = main(words)
            sys.stdout.flush()
            sys.stderr.flush()
            json.dump([code, [name for name in {slow!r} if name in sys.modules]], told)
            told.flush()
            os._exit(0)
        os.waitpid(child, 0)
        for file in (said, told):
            file.seek(0)
        print(json.dumps([*json.loads(told.read() or "[null, []]"), said.read()]))
"""

REFUSED = {
    "train: problem": ["train", "nosuch"],
    "train: method": ["train", "digits", "--method", "nosuch"],
    "train: preset": ["train", "digits", "--preset", "nosuch"],
    "train: option": ["train", "digits", "--set", "gsmflow.blcks=3"],
    "train: value": ["train", "synthetic", "--set", "gsmflow.blocks=0"],
    "train: budget": ["train", "digits", "--method", "lda", "--budget", "60"],
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
    "train: weights": [
        "train",
        "pictures",
        "--backbone",
        "resnet101",
        "--weights",
        "w.pth",
        "--classes",
        "fox,owl",
    ],
    "train: semantics": ["train", "table", "--semantics", "nosuch"],
    "train: data root": ["train", "CUB", "--data-root", "nosuch"],
    "train: synthetic": ["train", "synthetic:n=a"],
    "bench: nothing": ["bench"],
    "bench: seeds": ["bench", "digits", "--seeds", "4-1"],
    "bench: option": ["bench", "digits", "--methods", "lda", "--set", "lda.nosuch=1"],
    "bench: preset": ["bench", "digits", "--preset", "nosuch"],
    "bench: device": ["bench", "digits", "--device", "tpu"],
    "bench: features": ["bench", "digits", "--features", "nosuch"],
    "bench: cluster": ["bench", "digits", "--on", "nosuch"],
    "bench: nowhere to write": ["bench", "digits", "--out", "new.csv/b"],
    "ablate: method": ["ablate", "synthetic", "--method", "nosuch"],
    "ablate: no parts": ["ablate", "synthetic", "--method", "lda"],
    "ablate: preset": ["ablate", "synthetic", "--preset", "nosuch"],
    "ablate: semantics": ["ablate", "synthetic", "--semantics", "nosuch"],
    "ablate: nowhere to write": ["ablate", "digits", "--out", "new.csv/b"],
    "tune: method": ["tune", "synthetic", "--method", "nosuch"],
    "tune: preset": ["tune", "synthetic", "--preset", "nosuch"],
    "tune: nothing to vary": ["tune", "synthetic", "--method", "eszsl"],
    "tune: features": ["tune", "digits", "--features", "nosuch"],
    "predict: device": ["predict", "real", "new.csv", "--device", "tpu"],
    "predict: width": ["predict", "real", "new.csv"],
    "predict: no backbone": ["predict", "real", "pictures"],
    "predict: backbone": ["predict", "real", "new.csv", "--backbone", "nosuch.onnx"],
    "evaluate: problem": ["evaluate", "real", "nosuch"],
    "evaluate: pictures, no backbone": ["evaluate", "real", "pictures"],
    "evaluate: one picture": ["evaluate", "real", "pictures/ant/1.png"],
    "evaluate: device": ["evaluate", "real", "--device", "tpu"],
    "evaluate: wide array": ["evaluate", "real", "wide.npz"],
    "evaluate: features": ["evaluate", "real", "synthetic", "--features", "other"],
    "add-class: nothing": ["add-class", "real"],
    "add-class: values": ["add-class", "real", "--name", "x", "--attributes", "1"],
    "add-class: known name": ["add-class", "real", "--name", "Class_0", "--attributes", "1,2,3,4"],
    "add-class: number": ["add-class", "real", "--name", "x", "--attributes", "a,b"],
    "add-class: table": ["add-class", "real", "--from", "nosuch.csv"],
    "add-class: text": ["add-class", "real", "--name", "x", "--text", "a horse"],
    "add-class: nowhere to write": [
        "add-class",
        "real",
        "--name",
        "x",
        "--attributes",
        "1",
        "--out",
        "new.csv/x",
    ],
    "export: images": ["export", "real", "--images"],
    "serve: port": ["serve", "real", "--port", "99999"],
    "serve: host": ["serve", "real", "--host", "no such host"],
    "serve: device": ["serve", "real", "--device", "tpu"],
    "serve: backbone": ["serve", "real", "--backbone", "nosuch.onnx"],
    "serve: weights": ["serve", "real", "--weights", "nosuch.safetensors"],
    "describe: columns": ["describe", "classes.csv", "--columns", "horns"],
    "describe: template": ["describe", "--classes", "zebra,okapi", "--template", "x"],
    "describe: device": ["describe", "classes.csv", "--device", "tpu"],
    "extract: size": ["extract", "pictures", "--backbone", "model.onnx", "--size", "0"],
    "extract: colours": ["extract", "pictures", "--backbone", "model.onnx", "--normalize", "nosuch"],
    "extract: weights": ["extract", "pictures", "--backbone", "resnet101", "--weights", "nosuch.pth"],
    "data: problem": ["data", "nosuch"],
    "data: features": ["data", "digits", "--features", "nosuch"],
    "data get: name": ["data", "get", "nosuch"],
    "data get: from": ["data", "get", "CUB", "--from", "nosuch"],
    "data get: checksum": ["data", "get", "CUB", "--from", "new.csv", "--sha256", "xy"],
    "data get: file": ["data", "get", "CUB", "--from", "new.csv"],
    "import: problem": ["import", "new.csv", "nosuch"],
    "import: preset": ["import", "new.csv", "synthetic", "--preset", "nosuch"],
    "import: option": ["import", "new.csv", "synthetic", "--set", "nosuch=1"],
    "import: no checkpoint": ["import", "new.csv", "synthetic"],
    "zero-shot: model": ["zero-shot", "nosuch", "--classes", "a,b"],
    "zero-shot: folder": ["zero-shot", "clip:./nosuch", "--classes", "a,b"],
    "zero-shot: classes": ["zero-shot", "clip:x/y", "--classes", "a"],
    "zero-shot: template": ["zero-shot", "clip:x/y", "--classes", "a,b", "--template", "photo"],
    "zero-shot: device": ["zero-shot", "clip:x/y", "--classes", "a,b", "--device", "tpu"],
    "zero-shot: nowhere to write": ["zero-shot", "clip:x/y", "--classes", "a,b", "--out", "new.csv/x"],
    "runs: sort": ["runs", ".", "--sort", "nosuch"],
    "methods: name": ["methods", "nosuch"],
}
BROKEN = ("head cut", "head of something else", "no head", "no classes")
REFUSED |= {
    f"{command}: {broken}": [command, broken, *more]
    for command, more in (
        *(
            ("export", ()),
            ("report", ()),
            ("serve", ("--port", "0")),
            ("evaluate", ()),
            ("predict", ("right.csv",)),
        ),
    )
    for broken in BROKEN
}
REFUSED |= {
    f"{command}: {broken}": [command, broken, *more]
    for command, more in (("report", ()), ("serve", ("--port", "0")))
    for broken in ("metrics", "configuration", "semantics")
}
REFUSED |= {
    "extract: unknown name": ["extract", "pictures", "--backbone", "resnet1001"],
    "extract: broken onnx": ["extract", "pictures", "--backbone", "model.onnx"],
    "extract: onnx of another size": ["extract", "pictures", "--backbone", "whole.onnx", "--size", "64"],
    "extract: broken torchscript": ["extract", "pictures", "--backbone", "script.pt"],
    "extract: broken weights": [
        "extract",
        "pictures",
        "--backbone",
        "resnet101",
        "--weights",
        "junk.safetensors",
    ],
    "extract: not in the cache": ["extract", "pictures", "--backbone", "clip:openai/nosuch"],
    "train: broken onnx": ["train", "pictures", "--backbone", "model.onnx", "--classes", "all.csv"],
    "train: unknown name": ["train", "pictures", "--backbone", "resnet1001", "--classes", "all.csv"],
    "predict: wide parquet": ["predict", "real", "wide.parquet"],
    "predict: wide store": ["predict", "real", "wide.npy"],
    "predict: wide array": ["predict", "real", "wide.npz"],
    "predict: wide doubles": ["predict", "real", "doubles.npy"],
    "evaluate: other width": ["evaluate", "real", "other"],
    "zero-shot: not in the cache": ["zero-shot", "clip:openai/nosuch", "--classes", "a,b"],
    "import: damaged archive": ["import", "zip.tar", "synthetic"],
    "import: damaged pickle": ["import", "pickle.tar", "synthetic"],
}
COMMANDS = sorted({name.partition(":")[0] for name in REFUSED} - {"a command"})
ANSWERED = {
    "help": ["--help"],
    **{f"help of {name}": [*name.split(), "--help"] for name in COMMANDS},
    "version": ["--version"],
    "methods": ["methods"],
    "methods, one": ["methods", "gsmflow"],
    "describe": ["describe", "classes.csv", "--out", "semantics.csv"],
    "runs": ["runs", "."],
    "data": ["data"],
    "data of pictures": ["data", "pictures"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, something that looks like one, a table without classes, and descriptions of classes."""
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
    (place / "all.csv").write_text("name,a,b\nant,1,2\nbee,2,1\ncow,1,1\ndog,2,2\nowl,3,1\n")
    (place / "right.csv").write_text(",".join("abcdefgh") + "\n" + "1," * 7 + "1\n")
    patches_model(place / "whole.onnx")
    (place / "script.pt").write_bytes(b"PK\3\4" + b"?" * 90)
    (place / "junk.safetensors").write_bytes(b"?" * 90)
    (place / "zip.tar").write_bytes(b"PK\3\4" + b"?" * 90)
    (place / "pickle.tar").write_bytes(b"\x80\x02" + b"?" * 90)
    wide = np.zeros((3, 99), np.float32)
    np.save(place / "wide.npy", wide)
    np.save(place / "doubles.npy", wide.astype(np.float64))
    np.savez(place / "wide.npz", features=wide)
    pl.DataFrame(wide).write_parquet(place / "wide.parquet")
    (place / "other").mkdir()
    shutil.copy(place / "classes.csv", place / "other")
    rows = "".join(f"{name},{i},{j}\n" for i in range(3) for j, name in enumerate(("ant", "bee")))
    (place / "other" / "features.csv").write_text("label,a,b\n" + rows)
    shutil.copytree(Path(__file__).parents[1] / "runs" / "old" / "linear", place / "real")
    head = (place / "real" / "head.safetensors").read_bytes()
    for name, file, content in (
        ("head cut", "head.safetensors", head[:-100]),
        ("head of something else", "head.safetensors", b"?" * len(head)),
        ("no head", "head.safetensors", None),
        ("no classes", "classes.json", None),
        ("metrics", "metrics.json", b"{"),
        ("configuration", "config.toml", b"[run"),
        ("semantics", "semantics.csv", b"name,a"),
    ):
        shutil.copytree(place / "real", place / name)
        if content is None:
            (place / name / file).unlink()
        else:
            (place / name / file).write_bytes(content)
    return place


Answers = dict[str, tuple[int, list[str], str]]


@pytest.fixture(scope="module")
def answers(place: Path) -> Answers:
    """Of every command: its exit code, what it loaded, and what it said."""
    before = sorted(place.rglob("*"))
    answers = answered(place, REFUSED)
    assert sorted(place.rglob("*")) == before  # what is refused leaves nothing
    return answers | answered(place, ANSWERED)


def answered(place: Path, commands: dict[str, list[str]]) -> Answers:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(slow=SLOW)],
        cwd=place,
        input=json.dumps([*commands.values()]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "HF_HOME": str(place.parent / "cache"), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(commands, map(json.loads, done.stdout.splitlines()), strict=True))


def test_every_command_is_among_them() -> None:
    from gsmflow.cli import cli

    assert set(COMMANDS) == {name for name, command in cli.commands.items() if not command.hidden}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_loads_nothing_slow(name: str, answers: Answers) -> None:
    code, loaded, said = answers[name]
    assert (code, loaded) == (2, []), said
    assert said.startswith("gsmflow: ")


@pytest.mark.parametrize("name", ANSWERED)
def test_lists_load_nothing_slow(name: str, answers: Answers) -> None:
    code, loaded, said = answers[name]
    assert (code, loaded) == (0, []), said
