"""The notebook of the tutorial says what its page says, and running it is running the page."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def example(name: str) -> ModuleType:
    """A script of examples/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_notebook_is_the_page() -> None:
    """Where this fails: python examples/notebook.py docs/tutorial.md examples/tutorial.ipynb."""
    folder = ROOT / "examples"
    notebook = example("notebook").notebook(ROOT / "docs" / "tutorial.md", folder)
    assert (folder / "tutorial.ipynb").read_text(encoding="utf-8") == notebook


def test_it_has_every_block_and_links_that_lead_somewhere() -> None:
    blocks = example("run_page").blocks
    page, notebook = ROOT / "docs" / "tutorial.md", ROOT / "examples" / "tutorial.ipynb"
    assert [code.strip() for _, code in blocks(notebook)] == [code.strip() for _, code in blocks(page)]
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    texts = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    links = [part.split(")")[0].split("#")[0] for part in texts.split("](")[1:]]
    inner = [link for link in links if link and not link.startswith("http")]
    assert inner
    assert all((notebook.parent / link).exists() for link in inner), inner


def test_cells_share_what_they_define_and_the_first_that_fails_ends_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n```python\nx = 3\n```\nText.\n```bash\necho in bash > file\n```\n"
        "```python\nprint(x, open('file').read())\n```\n"
    )
    notebook = tmp_path / "page.ipynb"
    notebook.write_text(example("notebook").notebook(page, tmp_path))
    assert example("run_page").main(notebook) == 0
    assert "3 in bash" in capfd.readouterr().out
    page.write_text("```bash\nfalse\n```\n```python\nprint('not reached')\n```\n")
    notebook.write_text(example("notebook").notebook(page, tmp_path))
    assert example("run_page").main(notebook) != 0
    assert "not reached" not in capfd.readouterr().out
    assert "examples" not in sys.modules
