"""The documentation lists what there is, with the defaults there are."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from gsmflow.base.options import Options
from gsmflow.data.feature_options import FeatureOptions
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.reward_options import RewardOptions
from gsmflow.methods import find_method, method_names
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.recipes.preset import preset_names
from gsmflow.recipes.selection import SelectionOptions

DOCS = Path(__file__).parents[2] / "docs"


def rows(cls: type[Options]) -> list[str]:
    """One line of a Markdown table for every option."""
    lines = []
    for field in fields(cls):  # type: ignore[arg-type]
        value = (
            {True: "on", False: "off"}[field.default] if isinstance(field.default, bool) else field.default
        )
        lines.append(f"| `{cls.table}.{field.name}` | {value} | {field.metadata['help']} |")
    return lines


@pytest.mark.parametrize(
    "cls", [FeatureOptions, GSMFlowOptions, HeadOptions, SelectionOptions, RewardOptions]
)
def test_every_option_is_documented_with_its_default(cls: type[Options]) -> None:
    documented = (DOCS / "presets.md").read_text().splitlines()
    missing = [row for row in rows(cls) if row not in documented]
    assert not missing, "put these lines into docs/presets.md:\n" + "\n".join(missing)


def test_every_preset_is_documented() -> None:
    text = (DOCS / "presets.md").read_text()
    assert [name for name in preset_names() if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", method_names())
def test_every_method_is_described_with_its_options(name: str) -> None:
    method, text = find_method(name), (DOCS / "methods.md").read_text()
    assert f"| `{name}` | " in text
    assert method.citation in text
    shared = (
        {field.name for field in fields(GSMFlowOptions)} if method.inherits or name == "gsmflow" else set()
    )
    own = [row for row in rows(method.options) if row.split("`")[1].partition(".")[2] not in shared]
    missing = [row for row in own if row not in text.splitlines()]
    assert not missing, "put these lines into docs/methods.md:\n" + "\n".join(missing)


def test_uv_run_pytest_finds_what_the_tests_need() -> None:
    """`uv run` installs the group dev, and no extra."""
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())
    assert project["dependency-groups"]["dev"] == ["gsmflow[test]"]
    assert "test" in project["project"]["optional-dependencies"]
