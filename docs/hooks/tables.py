"""Cells of tables stay whole: a number is not parted from its ± interval. A hook of mkdocs."""

from __future__ import annotations

import re
from typing import Any

_INTERVAL = re.compile(r"(?<=\d) ± (?=\d)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with no-break spaces around ± in its tables."""
    return re.sub(r"^\|.*$", lambda row: _INTERVAL.sub("\u00a0±\u00a0", row[0]), markdown, flags=re.MULTILINE)
