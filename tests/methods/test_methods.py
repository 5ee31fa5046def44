"""What every method says about itself, and that the page of methods is whole and in order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gsmflow.methods import find_method, method_names

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", method_names())
def test_a_method_says_what_it_is(name: str) -> None:
    method = find_method(name)
    assert re.search(r"\b(19|20)\d\d\b|arXiv", method.citation)
    assert method.kind
    assert method.speed
    assert method.when
    assert all(field.metadata["help"] for field in method.options.__dataclass_fields__.values())  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", method_names())
def test_a_rival_is_another_method_in_closed_form(name: str) -> None:
    rival = find_method(find_method(name).rival)
    assert rival.name != name
    assert rival.direct
    assert "tried" in rival.options.__dataclass_fields__  # type: ignore[attr-defined]


def test_the_page_of_methods_lists_and_describes_them_all_in_order() -> None:
    text = (ROOT / "docs/methods.md").read_text()
    table, sections = re.findall(r"^\| `([\w-]+)` \| ", text, re.M), re.findall(r"^### ([\w-]+)$", text, re.M)
    assert table == sections
    assert sorted(table) == sorted(method_names())
