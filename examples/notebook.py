"""A Markdown page as a Jupyter notebook: `python examples/notebook.py docs/tutorial.md examples/tutorial.ipynb`.

Text becomes text, blocks marked ``python`` become cells, and blocks marked ``bash`` become cells of bash. Links to
other pages lead to them from the folder of the notebook. It is made from the page alone, so that the two cannot
differ: a test compares them, and `run_page.py` runs either.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```\n?", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def cells(page: Path, folder: Path) -> list[dict[str, Any]]:
    """The cells of a notebook in `folder` that says what the page says."""
    text = page.read_text(encoding="utf-8")
    back = Path(os.path.relpath(page.parent, folder)).as_posix()
    written: list[dict[str, Any]] = []

    def add(kind: str, content: str) -> None:
        source = content.strip("\n")
        if source:
            code = {"execution_count": None, "outputs": []} if kind == "code" else {}
            lines = source.splitlines(keepends=True)
            written.append(
                {"cell_type": kind, "id": f"cell-{len(written)}", "metadata": {}, "source": lines} | code
            )

    end = 0
    for block in _BLOCK.finditer(text):
        add("markdown", _LINK.sub(rf"]({back}/\1", text[end : block.start()]))
        add("code", block[2] if block[1] == "python" else f"%%bash\n{block[2]}")
        end = block.end()
    add("markdown", _LINK.sub(rf"]({back}/\1", text[end:]))
    return written


def notebook(page: Path, folder: Path) -> str:
    """The content of the notebook, of version 4.5 of the format."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {
        "cells": cells(page, folder),
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(notebook(source, target.parent), encoding="utf-8")
