"""Versions of packages and of this program that made a run."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def installed(package: str) -> str:
    """The version of a package that is installed; ``unknown`` where it is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def git_commit() -> str:
    """The commit of the checkout this package is imported from, with ``+changes``; empty outside one."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        if not git("ls-files", __file__):
            return ""
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""
