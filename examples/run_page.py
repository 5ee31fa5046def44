"""Run the code blocks of a Markdown page in order, as a reader would, in a folder of their own.

    python examples/run_page.py docs/tutorial.md

Blocks marked ``bash`` and ``python`` are run; the first that fails ends it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, code) of every block that can be run."""
    return re.findall(
        r"^```(bash|python)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def main(page: Path) -> int:
    """Exit code of the first block that fails, else 0."""
    runnable = blocks(page)
    with tempfile.TemporaryDirectory() as folder:
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
