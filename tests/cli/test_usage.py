"""What is typed wrong: one line that says what was meant, whatever the command."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

import gsmflow.cli
from gsmflow.cli import cli, main
from gsmflow.cli.saying import wrapped

RUN = "the folder of a run, such as runs/digits-gsmflow-validated-seed0; `gsmflow runs` lists them"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            ["add-class", "r", "okapi"],
            "add-class: 'okapi' is too much; write: gsmflow add-class RUN --name okapi",
        ),
        (["add-class", "r", "snow", "leopard"], "write: gsmflow add-class RUN --name 'snow leopard'"),
        (["train", "p", "zebra"], "'zebra' is too much; write: gsmflow train PROBLEM --classes zebra,okapi"),
        (
            ["predict", "r", "new", "x.csv"],
            "'x.csv' is too much; write: gsmflow predict RUN NEW -o labels.csv",
        ),
        (["evaluate", "r", "a", "b"], "'b' is too much; write: gsmflow evaluate [OPTIONS] RUN [DATA]"),
        (["predict"], f"predict: RUN is missing: {RUN}; write: gsmflow predict [OPTIONS] RUN NEW"),
        (["predict", "r"], "predict: NEW is missing: what to label: a folder of pictures"),
        (
            ["data", "get"],
            "data get: NAME is missing: a published data set, such as CUB; write: gsmflow data get ",
        ),
        (["extract", "p"], "extract: --backbone is missing: a model such as resnet101"),
        (["zero-shot", "clip:x"], "zero-shot: --classes is missing: the classes: names such as zebra,okapi"),
        (["train", "p", "--sead", "1"], "train: there is no option --sead; did you mean --seed?"),
        (["train", "p", "--out"], "train: --out needs a value"),
        (["predict", "r", "n", "--json=3"], "predict: --json takes no value"),
        (["train", "p", "--seed", "x"], "train: --seed: 'x' is not a whole number from 0 to 2147483647"),
        (["bench", "digits", "--jobs", "0"], "bench: --jobs: '0' is not a whole number of 1 or more"),
        (["tune", "digits", "--seconds", "0"], "tune: --seconds: '0.0' is not a number above 0"),
        (["predict", "r", "n", "--unsure", "2"], "predict: --unsure: '2.0' is not a number from 0 to 1"),
        (["train", "p", "--protocol", "valid"], "--protocol: 'valid' is not one of validated, last, oracle"),
        (["--nope"], "there is no option --nope"),
        (["trian", "digits"], "No such command 'trian'. Did you mean 'train'?"),
    ],
)
def test_one_line_with_the_remedy(typed: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(typed) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith(f"gsmflow: {said}" if said.startswith(typed[0]) else "gsmflow: ")
    assert said in err


COMMANDS = [name for name, command in cli.commands.items() if not command.hidden]


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_command_takes_is_said_if_nothing_is_given(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    taken = cli.commands[name].params
    needed = [each for each in taken if isinstance(each, click.Argument) and each.required]
    code = main(name.split())
    if needed:
        (line,) = capsys.readouterr().err.splitlines()
        first = needed[0].make_metavar(click.Context(cli.commands[name])).strip(".")
        assert code == 2
        assert line.startswith(f"gsmflow: {name}: {first} is missing: ")
        assert f"; write: gsmflow {name} [OPTIONS] {first}" in line


def test_sentences_are_wrapped_between_words_in_a_terminal() -> None:
    """Everything for a person goes through `say`, which does that; click would break words."""
    for file in Path(gsmflow.cli.__file__).parent.rglob("*.py"):
        if file.name not in ("saying.py", "__init__.py"):
            assert ", err=True" not in file.read_text(encoding="utf-8"), file
    text = "2.1 seconds, most lost: purple ring -66.7, green ring -50.0, new version in runs/a-long-name-v2"
    lines = wrapped(text, 40).splitlines()
    assert " ".join(lines) == text
    assert all(len(line) <= 40 for line in lines)


def test_a_run_that_is_named_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.toml").touch()
    (run / "metrics.json").touch()
    for command in ("predict", "evaluate"):
        assert main([command, "photos", str(run)]) == 2
        expected = f"gsmflow: {run}: is a run, which is named first: `gsmflow {command} {run} photos`\n"
        assert capsys.readouterr().err == expected


def test_a_folder_that_is_written_otherwise_and_one_of_pictures_without_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("zebra", "okapi"):
        (tmp_path / "my pictures" / name).mkdir(parents=True)
        for index in range(5):
            (tmp_path / "my pictures" / name / f"{index}.png").touch()
    for typed in (["train", "My Picture"], ["data", "my pictures "], ["bench", "mypictures"]):
        assert main(typed) == 2
        expected = (
            f"gsmflow: '{typed[1]}' is neither a known name nor a folder; did you mean 'my pictures'?\n"
        )
        assert capsys.readouterr().err == expected
    for command in ("train", "data"):
        assert main([command, "my pictures/zebra"]) == 2
        assert capsys.readouterr().err == (
            "gsmflow: my pictures/zebra: has pictures (0.png, 1.png, 2.png) and no class folders; put the pictures of "
            "each class into a folder named after it; if it is the folder of one class, name the one around it: my "
            "pictures\n"
        )
