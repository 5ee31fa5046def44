"""Run the code of a Markdown page or of a notebook in order, as a reader would, in a folder of its own.

    python examples/run_page.py docs/tutorial.md
    python examples/run_page.py examples/tutorial.ipynb

Of a page, blocks marked ``bash`` and ``python`` are run, each in a process of its own; of a notebook all cells, those
of Python in one process, as Jupyter does. The first that fails ends it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_CELLS = """
import json, subprocess, sys
space = {"__name__": "__main__"}
for number, (language, code) in enumerate(json.loads(sys.argv[1]), start=1):
    print(f"-- cell {number}", flush=True)
    if language == "bash":
        subprocess.run(["bash", "-euc", code], check=True)
    else:
        exec(compile(code, f"cell {number}", "exec"), space)
"""


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, code) of every block of a page, or cell of a notebook, that can be run."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return re.findall(r"^```(bash|python)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    codes = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    start = "%%bash\n"
    return [("bash", c.removeprefix(start)) if c.startswith(start) else ("python", c) for c in codes]


def main(page: Path) -> int:
    """Exit code of the first block that fails, else 0."""
    runnable = blocks(page)
    with tempfile.TemporaryDirectory() as folder:
        if page.suffix == ".ipynb":
            done = subprocess.run(
                [sys.executable, "-c", _CELLS, json.dumps(runnable)], cwd=folder, check=False
            )
            return done.returncode if runnable else 1
        for number, (language, code) in enumerate(runnable, start=1):
            print(f"-- {page.name}, block {number} of {len(runnable)}", flush=True)
            command = ["bash", "-euc", code] if language == "bash" else [sys.executable, "-c", code]
            done = subprocess.run(command, cwd=folder, check=False)
            if done.returncode:
                print(f"{page}: block {number} failed:\n{code}", file=sys.stderr)
                return done.returncode
    return 0 if runnable else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
