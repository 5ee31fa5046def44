"""What can be chosen by name: built in, registered, of other packages, and packages that are broken."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from gsmflow.base.errors import InputError
from gsmflow.base.registry import Registry
from support.packages import install

SOURCE = Path(__file__).parents[2] / "src/gsmflow"


def registry(group: str) -> Registry[Any]:
    """Of numbers, one of them built in, and nothing imported for it before it is asked for."""

    def complaint(name: str, value: Any) -> str:
        return "" if isinstance(value, float) else f"is a {type(value).__name__}, expected a number"

    return Registry("number", group, {"pi": "math:pi"}, complaint)


def others(
    folder: Path, patch: pytest.MonkeyPatch, group: str, package: str, module: str, **gives: str
) -> None:
    patch.syspath_prepend(str(install(folder / package, package, module, {group: gives})))
    patch.delitem(sys.modules, package.replace("-", "_"), raising=False)


def test_a_package_gives_by_name_and_is_imported_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others(tmp_path, monkeypatch, "test.one", "two-pi", "TAU = 6.28", tau="two_pi:TAU")
    numbers = registry("test.one")
    assert numbers.names() == ["pi", "tau"]
    assert "two_pi" not in sys.modules
    assert numbers.find("tau") == 6.28
    assert list(numbers.each()) == [numbers.find("pi"), 6.28]
    with pytest.raises(InputError, match=r"^--number: no number 'tua'; did you mean 'tau'\?$"):
        numbers.find("tua", "--number")


def test_a_broken_package_is_named_in_one_line_and_stops_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = "import no_such_module_anywhere"
    others(tmp_path, monkeypatch, "test.broken", "broken-one", module, e="broken_one:E")
    others(tmp_path, monkeypatch, "test.broken", "exits", "raise SystemExit(3)", x="exits:X")
    others(tmp_path, monkeypatch, "test.broken", "wrong", "W = 'text'", w="wrong:W", tau="wrong:T")
    others(tmp_path, monkeypatch, "test.broken", "whole", "G = 9.81", g="whole:G")
    numbers = registry("test.broken")
    assert numbers.find("g") == 9.81
    assert caplog.records == []  # nobody asked for the others
    assert list(numbers.each()) == list(numbers.each()) == [numbers.find("pi"), 9.81]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 4  # once each
    assert all(line.startswith("gsmflow: number") and "\n" not in line for line in told)
    for words in (
        "'e' of package broken-one 1.0: cannot be loaded from broken_one:E (ModuleNotFoundError",
        "'x' of package exits 1.0",
        "'w' of package wrong 1.0: wrong:W is a str, expected a number",
        "'tau' of package wrong 1.0: cannot be loaded from wrong:T (AttributeError",
    ):
        assert sum(words in line for line in told) == 1, words
    with pytest.raises(InputError, match=r"package broken-one 1\.0.*mend or uninstall"):
        numbers.find("e")


def test_a_package_cannot_take_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    others(tmp_path, monkeypatch, "test.taken", "a-first", "A = 1.5", half="a_first:A")
    others(tmp_path, monkeypatch, "test.taken", "b-later", "B = 2.5", half="b_later:B", pi="b_later:B")
    numbers = registry("test.taken")
    assert numbers.find("pi") == pytest.approx(3.14159, abs=1e-5)
    assert numbers.find("half") == 1.5
    assert [record.getMessage() for record in caplog.records] == [
        "gsmflow: package b-later 1.0: its number 'half' has the name of one of package a-first 1.0; it is left out",
        "gsmflow: package b-later 1.0: its number 'pi' has the name of one of gsmflow; it is left out",
    ]
    assert caplog.records[0].levelno == logging.WARNING
    with pytest.raises(InputError, match=r"'half': is of package a-first 1\.0 already"):
        numbers.register("half", 0.5)


def test_a_program_registers_and_replaces_its_own() -> None:
    numbers = registry("test.none")
    numbers.register("e", 2.0)
    numbers.register("e", 2.7)
    assert numbers.names() == ["pi", "e"]
    assert numbers.find("e") == 2.7
    for name, value, words in (
        ("pi", 3.0, "'pi': is of gsmflow already"),
        ("f", 1, "'f': is a int, expected a number"),
        ("a/b", 1.0, "name of other characters"),
        ("", 1.0, "name of other characters"),
    ):
        with pytest.raises(InputError, match=words):
            numbers.register(name, value)


def test_there_is_one_did_you_mean() -> None:
    using = [path for path in SOURCE.rglob("*.py") if "difflib" in path.read_text()]
    assert [path.name for path in using] == ["suggest.py"]
