"""A file that is not there is answered with the one that may be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from gsmflow.base.errors import InputError
from gsmflow.files.guard import first_bytes
from gsmflow.files.missing import no_such, similar, unreadable


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("features.csv", "names.txt", "a.csv", "network.onnx", ".names.csv"):
        (tmp_path / name).touch()
    (tmp_path / "Meine Bilder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "what", "meant"),
    [
        ("feature.csv", "file", "features.csv"),
        ("Features.CSV", "file", "features.csv"),
        ("names.csv", "file", "names.txt"),  # the same name, of another kind; hidden files are not meant
        ("netwrk.onnx", "file", "network.onnx"),
        ("meine bilder", "folder", "Meine Bilder"),
        ("Meine Bildr", "file or folder", "Meine Bilder"),
        ("Meine Bildr", "file", None),
        ("feature", "folder", None),
        ("b.csv", "file", None),  # .csv alone is no likeness
        ("x/y.csv", "file", None),
    ],
)
def test_what_may_be_meant(place: Path, name: str, what: str, meant: str | None) -> None:
    expected = None if meant is None else str(place / meant)
    assert similar(place / name, what) == expected
    assert no_such(place / name, what) == f"no such {what}" + (
        f"; did you mean '{expected}'?" if meant else ""
    )


def test_it_is_named_as_the_path_was_given(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert similar("feature.csv") == "features.csv"
    assert similar("") is None
    assert similar("\0") is None


def test_what_is_there_and_cannot_be_read(place: Path) -> None:
    with pytest.raises(InputError, match=r"no such file; did you mean '.*features\.csv'\?$"):
        first_bytes(place / "feature.csv", 4)
    error = unreadable("x", PermissionError(13, "Permission denied"), "folder")
    assert str(error) == "x: cannot be read as a folder (Permission denied)"
    hinted = InputError("x: did you mean 'y'?", remedy="write z")
    assert str(hinted) == "x: did you mean 'y'? Otherwise write z"
