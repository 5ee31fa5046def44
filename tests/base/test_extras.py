"""What a message advises a user to install, by what the package was installed from."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from gsmflow.base import extras

ROOT = Path(__file__).parents[2]


class Installed:
    """A distribution as importlib.metadata gives it, with pip's record of where it is from."""

    def __init__(self, origin: dict[str, object] | None) -> None:
        self._text = None if origin is None else json.dumps(origin)

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self._text


@pytest.mark.parametrize(
    ("origin", "advice"),
    [
        (None, "pip install 'gsmflow[serve]'"),
        ({"url": "file:///a%20b/gsmflow", "dir_info": {}}, "pip install '/a b/gsmflow[serve]'"),
        ({"url": "file:///a/gsmflow", "dir_info": {"editable": True}}, "pip install -e '/a/gsmflow[serve]'"),
        (
            {"url": "file:///a/gsmflow-0.2.0.whl", "archive_info": {}},
            "pip install '/a/gsmflow-0.2.0.whl[serve]'",
        ),
        (
            {"url": "https://host/gsmflow.whl", "archive_info": {}},
            "pip install 'gsmflow[serve] @ https://host/gsmflow.whl'",
        ),
        (
            {"url": "https://host/gsmflow.git", "vcs_info": {"vcs": "git", "commit_id": "0"}},
            "pip install 'gsmflow[serve] @ git+https://host/gsmflow.git'",
        ),
    ],
)
def test_advice_names_what_was_installed(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, object] | None, advice: str
) -> None:
    monkeypatch.setattr(extras, "distribution", lambda name: Installed(origin))
    assert extras.installing("serve") == advice


def test_advice_for_sources_that_were_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise extras.PackageNotFoundError(name)

    monkeypatch.setattr(extras, "distribution", missing)
    assert extras.installing("serve") == f"pip install -e '{ROOT}[serve]'"


def test_every_extra_that_messages_name_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {
        line.split("installing('")[1].split("'")[0]
        for file in (ROOT / "src").rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if "installing('" in line
    }
    assert len(named) >= 8
    assert named <= set(project["optional-dependencies"])
