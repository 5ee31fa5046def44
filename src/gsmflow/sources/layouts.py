"""Which layout a folder has, and loading it accordingly."""

from __future__ import annotations

from os.path import isdir  # False for a folder without permission to read it, unlike Path.is_dir
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.data.problem import Problem
from gsmflow.sources.file_names import file_names
from gsmflow.sources.joining import NamedSemantics, check_same_samples, joined, parts_of
from gsmflow.sources.source import SOURCES, Layout, layouts_of


def find(data_root: Path, name: str) -> Path | None:
    """The folder of a named data set under `data_root`, in upper or lower case."""
    if not isdir(data_root):
        return None
    alike = [n for n in file_names(data_root) if n.lower() == name.lower() and isdir(data_root / n)]
    return data_root / (name if name in alike else alike[0]) if alike else None


def _by_choice(folder: Path, features: str | None) -> list[Layout]:
    """The layouts that have features of that name in a folder: there the user says which files are meant."""
    known = [each for each in SOURCES.each() if isinstance(each, Layout)]
    return [layout for layout in known if features is not None and features in layout.features(folder)]


def _what_to_do(folder: Path, names: list[str]) -> str:
    """What to do with a folder without a data set, by what is in it."""
    files = [folder / name for name in names if name.endswith((".csv", ".parquet", ".npz", ".npy"))]
    tables = [file.stem for file in sorted(files, key=lambda file: -file.stat().st_size)]
    if len(tables) > 1:
        return (
            "call the table of features features and that of the classes classes, with their endings, or name them, "
            f"such as `features` {tables[0]} `semantics` {tables[1]}"
        )
    pictured = any(isdir(folder / name) for name in names)
    return "pictures become one by `gsmflow train`, which extracts and describes them" if pictured else ""


def load_folder(
    folder: Path, name: str, *, features: str | None = None, semantics: str | None = None, seed: int = 0
) -> Problem:
    """Load the data set in a folder of any layout.

    `features` and `semantics` choose among the files of the folder; pre-split data have the name "data". Several
    `semantics`, with commas between them, are joined.

    Raises
    ------
    InputError
        The folder cannot be read, has no known layout or several, or the loader of its layout refuses it.
    """
    names = file_names(folder)
    layouts = layouts_of(names) or _by_choice(folder, features)
    if not layouts:
        known = [f"{each.files} ({each.name})" for each in SOURCES.each() if isinstance(each, Layout)]
        if "config.toml" in names and "metrics.json" in names:
            raise InputError(
                f"{folder}: is a run, not data; `gsmflow evaluate`, `predict`, `report` and `serve` take runs"
            )
        raise InputError(
            f"{folder}: no data set; looked for {'; '.join(known)}; found {listed(names)}",
            remedy=_what_to_do(folder, names),
        )
    if len(layouts) > 1:
        layouts = [each for each in layouts if features in (None, *each.features(folder))] or layouts
    if len(layouts) > 1:
        choices = [f"`features` {each}" for layout in layouts for each in layout.features(folder)]
        raise InputError(
            f"{folder}: holds {' and '.join(each.name for each in layouts)} files",
            remedy=f"choose with {listed(choices)}, or move one kind elsewhere",
        )
    layout, parts = layouts[0], parts_of(semantics)
    if not parts:
        return layout.load(folder, name, features=features, semantics=semantics, seed=seed)
    first = layout.load(folder, name, features=features, semantics=parts[0], seed=seed)
    tables = [NamedSemantics.of(first, parts[0])]
    for part in parts[1:]:
        if layout.semantics is not None:
            tables.append(layout.semantics(folder, part))
            continue
        other = layout.load(folder, name, features=features, semantics=part, seed=seed)
        check_same_samples(first, other)
        tables.append(NamedSemantics.of(other, part))
    return joined(first, tables)
