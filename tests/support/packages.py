"""Packages of others, as `pip install --target` leaves them: a module, and what says that it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(folder: Path, package: str, module: str, gives: Mapping[str, Mapping[str, str]]) -> Path:
    """Put a package of one module into a folder for the search path, and return that folder.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    package : str
        Name of the package and, with _ for -, of its module.
    module : str
        The module's source.
    gives : Mapping[str, Mapping[str, str]]
        Entry points: group to name to place.
    """
    information = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / f"{package.replace('-', '_')}.py").write_text(module)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = []
    for group, places in gives.items():
        lines += [f"[{group}]", *(f"{name} = {place}" for name, place in places.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
