"""Groups of options, completion, and help in the terminal."""

from __future__ import annotations

import dataclasses
import inspect
import os
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete

from gsmflow.cli import cli, main
from gsmflow.cli.grouping import flags_of


def test_commands_have_few_parameters() -> None:
    for name, command in cli.commands.items():
        assert command.callback
        given = inspect.signature(command.callback).parameters
        assert len(given) <= (6 if name == "train" else 10), name


def test_a_group_arrives_as_one_object() -> None:
    from gsmflow.cli.options import BackboneOptions, WorkerOptions

    for group in (BackboneOptions, WorkerOptions):
        assert dataclasses.is_dataclass(group)
    assert flags_of(cli.commands["extract"])["normalization"] == "--normalize"
    assert flags_of(cli.commands["train"])["overrides"] == "--set"
    assert flags_of(None) == {}


def test_help_has_whole_sentences_in_the_order_of_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert "..." not in said.split("Options:")[1].split("What there is")[1]
    shown = [name for name, command in cli.commands.items() if not command.hidden]
    places = [said.index(f"\n  {name} ") for name in cli.list_commands(click.Context(cli)) if name in shown]
    assert places == sorted(places)
    assert len(places) == len(shown)
    assert all(len(line) <= 80 for line in said.splitlines())


@pytest.mark.parametrize(
    ("words", "start", "expected"),
    [
        ([], "ex", {"extract", "export"}),
        (["train", "--method"], "cv", {"cvae"}),
        (["train", "--preset"], "AWA2", {"AWA2"}),
        (["data"], "dig", {"digits"}),
    ],
)
def test_completion_knows_names(words: list[str], start: str, expected: set[str]) -> None:
    completion = BashComplete(cli, {}, "gsmflow", "_GSMFLOW_COMPLETE")
    assert {each.value for each in completion.get_completions(words, start)} == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_once(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    if shell != "fish":
        (tmp_path / f".{shell}rc").write_text("alias x=y")
    assert main(["--install-completion"]) == 0
    assert f"completion for {shell} is in" in capsys.readouterr().out
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["--install-completion", shell]) == 0
    assert "was installed before" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
    if shell != "fish":
        lines = (tmp_path / f".{shell}rc").read_text().splitlines()
        assert lines[0] == "alias x=y"
        assert len(lines) == 2


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--install-completion", "csh"]) == 2
    assert "name one of bash, fish, zsh" in capsys.readouterr().err
    assert "_GSMFLOW_COMPLETE" not in os.environ
