"""What is refused leaves nothing behind, so that the second try is the first again."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.files.atomic import folder_for, held
from gsmflow.runs.folder import read_config
from support.pictures import digits, mean_colour_model
from support.recipes import PROBLEM


def everything(folder: Path) -> list[Path]:
    """All that is in a folder."""
    return sorted(folder.rglob("*"))


def test_a_refused_training_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Negative features have no logarithm: that is found when the transform is fitted, after the run has begun."""
    run = tmp_path / "a" / "b" / "run"
    wrong = ["train", PROBLEM, "--method", "lda", "--set", "features.log=on", "--out", str(run)]
    for _ in range(2):
        assert main(wrong) == 2
        assert "features.log cannot be used" in capsys.readouterr().err
        assert everything(tmp_path) == []
    assert main([*wrong[:4], "--out", str(run)]) == 0
    assert read_config(run)["run"]["method"] == "lda"
    capsys.readouterr()


def test_what_was_there_before_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    before = everything(tmp_path)
    assert main(["train", PROBLEM, "--set", "features.log=on", "--out", str(tmp_path / "run")]) == 2
    assert everything(tmp_path) == before
    capsys.readouterr()


def test_the_folder_of_another_process_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def other(ready: object, over: object) -> None:
        with held(folder):
            (folder / "history.jsonl").write_text("{}\n")
            ready.set()  # type: ignore[attr-defined]
            over.wait(30)  # type: ignore[attr-defined]

    context = multiprocessing.get_context("fork")
    ready, over = context.Event(), context.Event()
    process = context.Process(target=other, args=(ready, over))
    process.start()
    assert ready.wait(30)
    with pytest.raises(InputError, match="another process"), held(folder):
        pytest.fail("held twice")
    assert (folder / "history.jsonl").exists()
    over.set()
    process.join(30)
    assert process.exitcode == 0


def test_what_is_worth_keeping_is_kept(tmp_path: Path) -> None:
    def full() -> None:
        with held(tmp_path / "run", worth=lambda: True):
            (tmp_path / "run" / "checkpoint").write_text("x")
            raise InputError("the disk is full")

    with pytest.raises(InputError):
        full()
    assert (tmp_path / "run" / "checkpoint").exists()


def test_a_folder_for_a_file_goes_with_the_refusal(tmp_path: Path) -> None:
    def refused(file: Path, beside: str = "") -> None:
        with folder_for(file):
            assert file.parent.is_dir()
            if beside:
                (file.parent / beside).write_text("of another program")
            raise InputError("no")

    with pytest.raises(InputError):
        refused(tmp_path / "a" / "b" / "file")
    assert everything(tmp_path) == []
    with pytest.raises(InputError):
        refused(tmp_path / "a" / "file", "other")
    assert (tmp_path / "a" / "other").exists()


def test_refused_studies_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = str(tmp_path / "study")
    for arguments in (
        ["bench", "digits", "nosuch", "--methods", "lda", "--out", here],
        ["ablate", PROBLEM, "--set", "blocks=0", "--out", here],
        [
            "tune",
            PROBLEM,
            "--method",
            "lda",
            "--vary",
            "nosuch=1:2",
            "--storage",
            f"{here}/log",
            "--out",
            f"{here}/x.toml",
        ],
        ["tune", PROBLEM, "--method", "eszsl", "--trust-validation", "no", "--storage", f"{here}/log"],
    ):
        assert main(arguments) == 2, arguments
        assert everything(tmp_path) == [], arguments
    capsys.readouterr()


def test_pictures_of_which_none_can_be_read_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images" / "ant").mkdir(parents=True)
    (tmp_path / "images" / "ant" / "1.png").write_bytes(b"no picture")
    model = mean_colour_model(tmp_path / "model.onnx")
    before = everything(tmp_path)
    out = tmp_path / "new" / "features.npz"
    assert (
        main(["extract", str(tmp_path / "images"), "--backbone", str(model), "--size", "32", "-o", str(out)])
        == 2
    )
    assert "none of the 1 images can be read" in capsys.readouterr().err
    assert everything(tmp_path) == before


def test_an_option_that_is_set_is_not_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    place = ["--storage", str(tmp_path / "log"), "--out", str(tmp_path / "tuned.toml")]
    base = ["tune", PROBLEM, "--method", "gsmflow", "--set", "epochs=1", "--set", "gsmflow.blocks=2"]
    sizes = ["--set", "hidden=8", "--set", "global_semantic=8", "--set", "head.epochs=1"]
    sizes += [
        "--set",
        "gsmflow.least_steps=0",
        "--set",
        "head.synthetic_per_class=20",
        "--set",
        "selection.problems=1",
    ]
    assert main([*base, *sizes, "--trials", "2", *place, "--json"]) == 0
    printed = capsys.readouterr()
    assert (
        "not searched, because --set fixes them: gsmflow.epochs, gsmflow.blocks, gsmflow.hidden"
        in printed.err
    )
    searched = json.loads(printed.out)["parameters"]
    assert searched
    assert not {"gsmflow.epochs", "gsmflow.blocks", "gsmflow.hidden"} & set(searched)
    assert "blocks = 2" in (tmp_path / "tuned.toml").read_text()


INTERRUPTED = """
import os, signal, sys
from gsmflow.cli import main
from gsmflow.files import tensors
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background commands ignore it
write = tensors.write_tensors
def write_and_stop(*args, **named):
    write(*args, **named)
    os.kill(os.getpid(), signal.SIGINT)
tensors.write_tensors = write_and_stop
sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupted_extraction_says_how_to_continue(tmp_path: Path) -> None:
    digits(tmp_path / "images", 400)
    model = mean_colour_model(tmp_path / "model.onnx")
    words = [
        "extract",
        str(tmp_path / "images"),
        "--backbone",
        str(model),
        "--size",
        "32",
        "--batch-size",
        "1",
    ]
    stopped = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *words, "-o", str(tmp_path / "features.npz")],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    said = stopped.stderr
    assert stopped.returncode == 130, said
    assert any((tmp_path / "features.npz.parts").glob("*.safetensors"))
    assert f"what is done is stored beside {tmp_path / 'features.npz'}; the same command continues" in said
    assert main([*words, "-o", str(tmp_path / "features.npz")]) == 0
    assert np.load(tmp_path / "features.npz")["features"].shape[0] == 400
