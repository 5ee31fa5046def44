"""Every malformed input: exit code 2, one clear line naming file and place, nothing half-written."""

from __future__ import annotations

import io
import pickle
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from support.folders import Arrays, table, xlsa17
from support.processes import Command, gsmflow
from support.recipes import ARGUMENTS, PROBLEM


def put(name: str, place: object, value: float) -> Callable[[Arrays], object]:
    """Overwrite entries of a variable."""
    return lambda arrays: arrays[name].__setitem__(place, value)


def change(name: str, function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], object]:
    """Replace a variable."""
    return lambda arrays: arrays.__setitem__(name, function(arrays[name]))


def remove(name: str) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.pop(name)


def damage(file: str, function: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        xlsa17(folder)
        (folder / file).write_bytes(function((folder / file).read_bytes()))

    return make


def after(make: Callable[[Path], object], spoil: Callable[[Path], object]) -> Callable[[Path], object]:
    """Make a valid folder, then spoil it."""
    return lambda folder: (make(folder), spoil(folder))


def pickled_npz(folder: Path) -> None:
    table(folder)
    (folder / "features.csv").unlink()
    np.savez(folder / "features.npz", features=np.zeros((3, 2)), labels=np.array(["ant", {}, None], object))


def pickle_as_npz(folder: Path) -> None:
    table(folder)
    (folder / "features.csv").unlink()
    (folder / "features.npz").write_bytes(pickle.dumps({"features": [1, 2]}))


def v73(folder: Path) -> None:
    xlsa17(folder)
    with h5py.File(folder / "res101.mat", "w") as file:
        file["labels"] = np.ones((1, 60))


MALFORMED: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "truncated .mat": (damage("res101.mat", lambda b: b[: len(b) // 2]), ("res101.mat",)),
    "empty .mat": (damage("att_splits.mat", lambda b: b""), ("att_splits.mat",)),
    "text as .mat": (damage("res101.mat", lambda b: b"hello " * 100), ("res101.mat",)),
    "pickle as .mat": (damage("res101.mat", lambda b: pickle.dumps([1] * 200)), ("res101.mat",)),
    "v7.3 garbage": (damage("res101.mat", lambda b: b"\x89HDF\r\n\x1a\n" + b"\0" * 900), ("res101.mat",)),
    "v7.3 without a key": (v73, ("res101.mat", "features")),
    "missing key": (lambda f: xlsa17(f, remove("labels")), ("res101.mat", "labels")),
    "missing split": (lambda f: xlsa17(f, splits=remove("trainval_loc")), ("att_splits.mat", "trainval_loc")),
    "NaN feature": (lambda f: xlsa17(f, put("features", (2, 7), np.nan)), ("res101.mat", "nan", "7", "2")),
    "infinite feature": (lambda f: xlsa17(f, put("features", (0, 59), np.inf)), ("res101.mat", "inf", "59")),
    "feature beyond float32": (lambda f: xlsa17(f, put("features", (0, 3), 1e300)), ("res101.mat", "3")),
    "complex features": (
        lambda f: xlsa17(f, change("features", lambda a: a + 1j)),
        ("res101.mat", "features"),
    ),
    "transposed features": (
        lambda f: xlsa17(f, change("features", np.transpose)),
        ("res101.mat", "features", "(60, 5)"),
    ),
    "label 0": (lambda f: xlsa17(f, put("labels", (4, 0), 0)), ("res101.mat", "labels")),
    "label beyond the classes": (
        lambda f: xlsa17(f, put("labels", (4, 0), 9)),
        ("res101.mat", "labels", "9"),
    ),
    "fractional label": (
        lambda f: xlsa17(f, change("labels", lambda a: a.astype(float) + 0.5)),
        ("res101.mat", "labels", "1.5"),
    ),
    "overlapping splits": (
        lambda f: xlsa17(f, splits=change("test_seen_loc", lambda a: np.vstack((a, [[1]])))),
        ("att_splits.mat", "test_seen_loc", "trainval_loc"),
    ),
    "repeated index": (
        lambda f: xlsa17(f, splits=change("trainval_loc", lambda a: np.vstack((a, a[:1])))),
        ("att_splits.mat", "trainval_loc", "twice"),
    ),
    "index beyond the samples": (
        lambda f: xlsa17(f, splits=put("test_unseen_loc", (0, 0), 61)),
        ("att_splits.mat", "test_unseen_loc", "61"),
    ),
    "index 0": (
        lambda f: xlsa17(f, splits=put("trainval_loc", (0, 0), 0)),
        ("att_splits.mat", "trainval_loc"),
    ),
    "unseen class in training": (
        lambda f: xlsa17(f, splits=change("trainval_loc", lambda a: np.vstack((a, [[60]])))),
        ("att_splits.mat", "trainval_loc"),
    ),
    "seen class without training samples": (
        lambda f: xlsa17(f, splits=change("trainval_loc", lambda a: a[8:])),
        ("att_splits.mat", "test_seen_loc"),
    ),
    "zero semantics": (
        lambda f: xlsa17(f, splits=put("att", (slice(None), 2), 0)),
        ("att_splits.mat", "zero"),
    ),
    "NaN semantics": (lambda f: xlsa17(f, splits=put("att", (1, 2), np.nan)), ("att_splits.mat", "nan")),
    "equal semantics": (
        lambda f: xlsa17(f, splits=change("att", lambda a: np.repeat(a[:, :1], 6, axis=1))),
        ("att_splits.mat", "att"),
    ),
    "too few semantics": (lambda f: xlsa17(f, splits=change("att", lambda a: a[:, :4])), ("att",)),
    "names missing": (
        lambda f: xlsa17(
            f, splits=lambda a: a.__setitem__("allclasses_names", np.array(["a", "b"], object)[:, None])
        ),
        ("att_splits.mat", "allclasses_names"),
    ),
    "nothing in the folder": (lambda f: f.mkdir(), ("no data set", "looked for res101.mat")),
    "no such folder": (lambda f: None, ("neither a known name", "nor a folder")),
    "a file instead of a folder": (lambda f: f.write_bytes(b"x"), ("folder",)),
    "res101.mat is a folder": (
        after(xlsa17, lambda f: ((f / "res101.mat").unlink(), (f / "res101.mat").mkdir())),
        ("res101.mat",),
    ),
    "no default features": (
        after(xlsa17, lambda f: (f / "res101.mat").rename(f / "vit.mat")),
        ("res101.mat", "--features vit"),
    ),
    "csv: bad cell": (
        lambda f: table(f, "label,f0\nant,1\nbee,two\n"),
        ("features.csv", "line 3", "f0", "two"),
    ),
    "csv: empty cell": (lambda f: table(f, "label,f0\nant,1\nbee,\n"), ("features.csv", "line 3", "f0")),
    "csv: infinite cell": (
        lambda f: table(f, "label,f0\nant,1\nbee,inf\n"),
        ("features.csv", "line 3", "f0"),
    ),
    "csv: ragged": (lambda f: table(f, "label,f0\nant,1\nbee,2,3\n"), ("features.csv",)),
    "csv: empty": (lambda f: table(f, ""), ("features.csv",)),
    "csv: only a header": (lambda f: table(f, "label,f0\n"), ("features.csv",)),
    "csv: no labels": (lambda f: table(f, "f0,f1\n1,2\n"), ("features.csv", "label")),
    "csv: not UTF-8": (lambda f: table(f, b"label,f0\n\xff\xfe\xff,1\n"), ("features.csv",)),
    "csv: unknown label": (
        lambda f: table(f, "label,f0\nant,1\nbeee,2\n"),
        ("features.csv", "'beee'", "'bee'"),
    ),
    "csv: unknown split": (
        lambda f: table(f, "label,split,f0\nant,train,1\nbee,trane,2\n"),
        ("features.csv", "trane"),
    ),
    "csv: twice the same column": (lambda f: table(f, "label,f0,f0\nant,1,2\n"), ("features.csv", "f0")),
    "classes: missing": (after(table, lambda f: (f / "classes.csv").unlink()), ("classes.csv",)),
    "classes: described twice": (
        lambda f: table(f, classes="name,legs\nant,6\nant,7\nbee,1\ncat,4\n"),
        ("classes.csv", "ant"),
    ),
    "classes: bad attribute": (
        lambda f: table(f, classes="name,legs\nant,6\nbee,many\ncat,4\n"),
        ("classes.csv", "legs", "many"),
    ),
    "classes: wrong first column": (
        lambda f: table(f, classes="legs,name\n6,ant\n"),
        ("classes.csv", "name"),
    ),
    "npz: pickled objects": (pickled_npz, ("features.npz", "pickle")),
    "npz: a pickle": (pickle_as_npz, ("features.npz",)),
}


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], *words: str) -> None:
    """Run the command and check how it says no."""
    code = main(arguments)
    printed = capsys.readouterr()
    assert code == 2, printed.err
    assert printed.out == ""
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1, printed.err
    assert lines[0].startswith("gsmflow: ")
    assert "Traceback" not in lines[0]
    for word in words:
        assert word in lines[0], f"{word!r} not in {lines[0]!r}"


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_data(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, words = MALFORMED[case]
    folder = tmp_path / "mine"
    make(folder)
    out = tmp_path / "run"
    refused(["train", str(folder), *ARGUMENTS, "--out", str(out)], capsys, *words)
    assert not out.exists()


def test_the_valid_twins_are_accepted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the malformed cases are made of is fine without the damage."""
    xlsa17(tmp_path / "a")
    table(tmp_path / "b")
    for name in ("a", "b"):
        command = [
            "train",
            str(tmp_path / name),
            *ARGUMENTS,
            "--set",
            "gsmflow.epochs=1",
            "--protocol",
            "last",
        ]
        assert main([*command, "--out", str(tmp_path / f"run-{name}")]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "gsmflow.blocks=0"], ("gsmflow.blocks = 0", "at least 1")),
        (["--set", "gsmflow.blocks=2.5"], ("gsmflow.blocks", "whole number")),
        (["--set", "gsmflow.learning_rate=nan"], ("learning_rate", "above 0")),
        (["--set", "gsmflow.learning_rate=-1", "--set", "head.epochs=0"], ("learning_rate",)),
        (["--set", "gsmflow.perturbation_dropout=1"], ("below 1",)),
        (["--set", "features.scaling=maxmin"], ("one of minmax",)),
        (["--set", "features.project=99"], ("features.project = 99", "at most")),
        (["--set", "gsmflow.blok=3"], ("did you mean gsmflow.blocks",)),
        (["--set", "hidden"], ("key=value",)),
        (["--preset", "digit"], ("did you mean 'digits'",)),
        (["--preset", "missing.toml"], ("missing.toml",)),
        (["--method", "gsmflo"], ("did you mean 'gsmflow'",)),
        (["--protocol", "best"], ("--protocol",)),
        (["--device", "tpu"], ("device 'tpu'",)),
        (["--device", "cuda:99"], ("cuda:99",)),
        (["--seed", "-1"], ("--seed",)),
        (["--seeds", "4-1"], ("--seeds 4-1",)),
        (["--seed", "1", "--seeds", "0-2"], ("--seed 1 and --seeds 0-2", "one of them")),
        (["--features", "vit"], ("--features",)),
        (["--nonsense"], ("--nonsense",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options(
    arguments: list[str], words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    refused(["train", PROBLEM, *ARGUMENTS, "--out", str(out), *arguments], capsys, *words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[gsmflow\n", ("not valid TOML",)),
        ("epochs = 3\n", ("stands outside any table",)),
        ("[gsmflow]\nblocks = true\n", ("gsmflow.blocks = True", "whole number")),
        ("[gsmflow]\nepoch = 3\n", ("unknown option 'gsmflow.epoch'", "'epochs'")),
        ("[gsmflo]\nepochs = 3\n", ("gsmflo",)),
        (b"\xff\xfe", ("not UTF-8",)),
    ],
)
def test_malformed_preset(
    text: str | bytes, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(["train", PROBLEM, "--preset", str(preset)], capsys, "mine.toml", *words)


def test_all_wrong_values_are_reported_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ["--set", "gsmflow.blocks=0", "--set", "gsmflow.epochs=x", "--set", "gsmflow.clamp=0"]
    complaints = ("with --set", "gsmflow.blocks = 0", "gsmflow.epochs = 'x'", "gsmflow.clamp")
    refused(["train", PROBLEM, *wrong], capsys, *complaints)


def test_missing_data_are_named_as_they_were_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "CUB", "--data-root", str(tmp_path), "--features", "vit", "--semantics", "text"]
    refused(command, capsys, f"{tmp_path / 'CUB'}", "put vit.mat and text_splits.mat there")


def test_an_unknown_name_lists_the_known_ones_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "no such data"]) == 2
    assert capsys.readouterr().err.count("AWA1") == 1


def test_out_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "taken"
    out.write_text("mine")
    refused(["train", PROBLEM, *ARGUMENTS, "--out", str(out)], capsys, "taken", "--out")
    assert out.read_text() == "mine"


def test_out_cannot_be_written_to(capsys: pytest.CaptureFixture[str]) -> None:
    """/proc lets nobody make a folder, not even root."""
    refused(
        ["train", PROBLEM, *ARGUMENTS, "--out", "/proc/gsmflow/run"], capsys, "/proc/gsmflow/run", "--out"
    )


def test_the_disk_is_full(tmp_path: Path) -> None:
    """A limit on the size of files fails writes as a full disk does; no temporary file is left behind."""
    command = ["train", PROBLEM, *ARGUMENTS, "--protocol", "last", "--out", "run"]
    done = gsmflow(*command, cwd=tmp_path, file_size=9000)
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert "safetensors: cannot be written" in last
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert not list((tmp_path / "run").rglob("*.tmp"))
    done = gsmflow(*command, "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A finished run."""
    folder = tmp_path / "finished"
    command = ["train", PROBLEM, *ARGUMENTS, "--set", "gsmflow.epochs=1", "--protocol", "last"]
    assert main([*command, "--out", str(folder)]) == 0
    capsys.readouterr()
    return folder


def as_bytes(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (
            "head.safetensors",
            as_bytes({"head.weight": torch.zeros(3)}),
            ("pickled checkpoints are not loaded",),
        ),
        ("head.safetensors", pickle.dumps({"a": 1}), ("pickled checkpoints are not loaded",)),
        ("head.safetensors", b"", ("not a readable safetensors file",)),
        ("head.safetensors", None, ("head.safetensors: no such file",)),
        ("classes.json", b"[1, 2", ("classes.json: not valid JSON",)),
        ("classes.json", b"[1, 2]", ("classes.json: expected",)),
        ("classes.json", b'[{"name": "a"}]', ("the files are of different runs",)),
        ("config.toml", b"[", ("config.toml: not valid TOML",)),
        ("metrics.json", None, ("unfinished run",)),
    ],
    ids=str,
)
def test_damaged_run_folder(
    file: str, content: bytes | None, words: tuple[str, ...], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is None:
        (run / file).unlink()
    else:
        (run / file).write_bytes(content)
        if not file.endswith(".safetensors"):
            refused(["evaluate", str(run)], capsys, f"{file}: does not match its checksum")
        (run / "checksums.txt").unlink()  # as in a run folder put together by hand
    refused(["evaluate", str(run)], capsys, *words)


LONG = ["train", PROBLEM, *ARGUMENTS, "--set", "gsmflow.epochs=500", "--out", "run"]


WAYS = {"in turn": ("--threads", "1"), "beside": ("--threads", "2")}
STATES = {
    "in turn": "checkpoint/state.safetensors",
    "beside": "checkpoint/validation/checkpoint/state.safetensors",
}


@pytest.fixture(scope="module", params=WAYS)
def interrupted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a run that was killed once it had a checkpoint, and how its trainings were done."""
    folder = tmp_path_factory.mktemp("interrupted")
    process = Command(*LONG, *WAYS[request.param], "--checkpoint-seconds", "0", cwd=folder)
    checkpoint = folder / "run" / STATES[request.param]
    # The first one may be written before anything is trained.
    while process.returncode is None and not (checkpoint.exists() and b"x_weight" in checkpoint.read_bytes()):
        time.sleep(0.005)
    process.send(signal.SIGKILL)
    process.wait()
    return folder / "run", request.param


@pytest.mark.parametrize("kind", ["pickle", "truncated", "other shape", "not a checkpoint"])
def test_damaged_checkpoint(
    kind: str,
    interrupted: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A run that was interrupted, and then its checkpoint is not what it was."""
    from safetensors.torch import load_file, save_file

    monkeypatch.chdir(tmp_path)
    folder, way = interrupted
    shutil.copytree(folder, "run")
    checkpoint = tmp_path / "run" / STATES[way]
    if kind == "pickle":
        checkpoint.write_bytes(as_bytes({"master": torch.zeros(2)}))
    elif kind == "truncated":
        checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    elif kind == "not a checkpoint":
        save_file({"a": torch.zeros(2)}, checkpoint)
    else:
        from safetensors import safe_open

        with safe_open(checkpoint, "pt") as opened:
            meta = opened.metadata()
        tensors = load_file(checkpoint)
        name = next(n for n in tensors if n.endswith("x_weight"))
        tensors[name] = torch.zeros(3, 3)
        save_file(tensors, checkpoint, metadata=meta)
    code = main([*LONG, *WAYS[way], "--resume"])
    printed = capsys.readouterr()
    assert code == 2, printed.err
    last = printed.err.strip().splitlines()[-1]
    assert "state.safetensors" in last
    assert "Traceback" not in printed.err
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_predict_and_evaluate_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(["evaluate", str(tmp_path / "nowhere")], capsys, "nowhere: no such run folder")
    refused(["evaluate", str(tmp_path)], capsys, "holds no run")
    refused(["predict", str(tmp_path), "x.npz"], capsys, "holds no run")


def test_predict_with_wrong_files(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(["predict", str(run), str(tmp_path / "no.npz")], capsys, "no.npz: no such file")
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, features=np.zeros((2, 3), np.float32))
    refused(["predict", str(run), str(wrong)], capsys, "3 feature dimensions", "trained on 10")
    np.savez(wrong, features=np.full((2, 10), np.nan, np.float32))
    refused(["predict", str(run), str(wrong)], capsys, "wrong.npz", "nan")
    np.savez(wrong, other=np.zeros(2))
    refused(["predict", str(run), str(wrong)], capsys, "wrong.npz", "features")
    good = tmp_path / "good.npz"
    np.savez(good, features=np.zeros((2, 10), np.float32))
    refused(["predict", str(run), str(good), "-o", "table.txt"], capsys, ".csv or .parquet")


def test_debug_shows_the_traceback() -> None:
    """The error is let through, and Python shows where it came from."""
    with pytest.raises(InputError, match="nowhere"):
        main(["train", "nowhere", "--debug"])
