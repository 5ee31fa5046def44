"""Which layout a folder has, and loading it accordingly."""

from __future__ import annotations

from os.path import isdir  # unlike Path.is_dir, False where a folder may not be looked into
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.data.problem import Problem
from gsmflow.sources import presplit, table, xlsa17
from gsmflow.sources.folder import file_names

_LOOKED_FOR = (
    "looked for res101.mat and att_splits.mat (xlsa17), data.mat and label.mat (pre-split), and "
    "features.npz, features.csv or features.parquet with classes.csv (a table)"
)


def find(data_root: Path, name: str) -> Path | None:
    """The folder of a named data set under `data_root`, whatever the case of its letters."""
    if not isdir(data_root):
        return None
    alike = [n for n in file_names(data_root) if n.lower() == name.lower() and isdir(data_root / n)]
    return data_root / (name if name in alike else alike[0]) if alike else None


def layouts(names: list[str]) -> list[str]:
    """The layouts that a folder with these files has: usually one, none if it is no data set."""
    found = []
    if f"{xlsa17.FEATURES}.mat" in names or any(name.endswith("_splits.mat") for name in names):
        found.append("xlsa17")
    halves = sum(name in names for name in (presplit.DATA, presplit.LABEL))
    if halves == 2 or (halves == 1 and not found):  # one half, to say that the other is missing
        found.append("presplit")
    if table.is_table(names):
        found.append("table")
    return found


def load_folder(
    folder: Path, name: str, *, features: str | None = None, semantics: str | None = None, seed: int = 0
) -> Problem:
    """Load the data set in a folder, in whichever layout it is.

    `features` and `semantics` choose among the files of the folder; pre-split data go by the name "data".

    Raises
    ------
    InputError
        The folder cannot be read, has no layout or several, or its loader refuses it.
    """
    names = file_names(folder)
    found = layouts(names)
    if not found:
        raise InputError(f"{folder}: no data set; {_LOOKED_FOR}; found {listed(names)}")
    if len(found) > 1:
        found = [layout for layout in found if features in (None, *_feature_names(folder, layout))] or found
    if len(found) > 1:
        options = [f"--features {f}" for layout in found for f in _feature_names(folder, layout)]
        raise InputError(
            f"{folder}: holds {' and '.join(found)} files; choose with {listed(options)}, or move one kind "
            "elsewhere"
        )
    if found == ["xlsa17"]:
        return xlsa17.load(folder, name, features=features, semantics=semantics)
    if found == ["table"]:
        return table.load(folder, name, features=features, semantics=semantics, seed=seed)
    if features not in (None, presplit.FEATURES) or semantics is not None:
        raise InputError(
            f"{folder}: pre-split data have one set of features and semantics; leave out --features and "
            "--semantics"
        )
    return presplit.load(folder, name)


def _feature_names(folder: Path, layout: str) -> tuple[str, ...]:
    """What ``--features`` can name in a folder of this layout."""
    if layout == "xlsa17":
        return xlsa17.feature_files(folder)
    return (presplit.FEATURES,) if layout == "presplit" else table.feature_files(folder)
