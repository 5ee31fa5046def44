"""A step of a larger command, as a command of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """A command that can be repeated.

    Parameters
    ----------
    command : str
        Its name.
    argument : str
        What it works on.
    options : Mapping[str, str | Path | tuple[str, ...]]
        Its options by their names in Python. Several values repeat an option; an empty value leaves it out.
    """

    command: str
    argument: str
    options: Mapping[str, str | Path | tuple[str, ...]]
