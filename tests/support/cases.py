"""Thirteen small folders as strangers send them, one for each way in which data were once read wrongly.

Each is a function that writes its files into an empty folder; the right values of most are asserted where their
reader is tested. Here they are material for tests that damage files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from support import strangers
from support.folders import xlsa17
from support.matlab import with_objects

X = strangers.values()


def _put(folder: Path, features: str | None = None, classes: str | None = None) -> None:
    """Write both tables."""
    (folder / "features.csv").write_bytes((strangers.features(X) if features is None else features).encode())
    (folder / "classes.csv").write_bytes((strangers.classes() if classes is None else classes).encode())


def backslash_quotes(folder: Path) -> None:
    """Names with an inch mark, escaped by a backslash."""
    lines = strangers.classes().splitlines(keepends=True)
    for line, name in ((-3, "disc 12"), (-1, "disc 7")):
        lines[line] = f'"{name}\\""' + lines[line][lines[line].index(",") :]
    _put(folder, classes="".join(lines))


def column_order(folder: Path) -> None:
    """Beside the data, their columns in another order and under another name."""
    _put(folder)
    (folder / "reversed.csv").write_text(strangers.written(strangers.NAMES[::-1], X[:, ::-1].tolist()))
    renamed = ["id" if name == "f3" else name for name in strangers.NAMES]
    (folder / "renamed.csv").write_text(strangers.written(renamed, X.tolist()))


def index_column(folder: Path) -> None:
    """The index of a data frame, and the number of each label."""
    extra = {"Unnamed: 0": range(len(X)), "label_id": strangers.LABELS.tolist()}
    _put(folder, strangers.features(X, extra))


def parquet_beside(folder: Path) -> None:
    """New samples as Parquet beside the data."""
    _put(folder)
    pl.DataFrame(X, schema=strangers.NAMES).write_parquet(folder / "new.parquet")


def split_folders(folder: Path) -> None:
    """Pictures in folders train, val and test."""
    rng = np.random.default_rng(7)
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        for label in ("horse", "tiger", "bear", "wolf"):
            place = folder / "images" / part / label
            place.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{i}.png")


def units(folder: Path) -> None:
    """Semantics in other units."""
    _put(folder, classes=strangers.classes(vectors=strangers.ATTRIBUTES * 0.01))
    (folder / "hundred.csv").write_text(strangers.classes(vectors=strangers.ATTRIBUTES * 100))


def large_offset(folder: Path) -> None:
    """Columns near 1.7e9."""
    _put(folder, strangers.features(X + 1.7e9))


def cr_lines(folder: Path) -> None:
    """Lines that end in CR alone."""
    _put(folder, strangers.features(X).replace("\n", "\r"), strangers.classes().replace("\n", "\r"))


def checksums(folder: Path) -> None:
    """Four lists of checksums, each in a form of its own."""
    _put(folder)
    digest = hashlib.sha256((folder / "features.csv").read_bytes()).hexdigest()
    lines = f"{digest}  ./features.csv\nSHA256 (features.csv) = {digest}\n{digest.upper()} *features.csv\n"
    (folder / "checksums.txt").write_text(lines, encoding="utf-16")


def normal_forms(folder: Path) -> None:
    """Names in Unicode's decomposed form and a no-break space; the labels in the composed form."""
    features = strangers.features(X).replace("class 0,", "l\u00f6we,").replace("class 1,", "class\u00a01,")
    _put(folder, features, strangers.classes(["lo\u0308we", *strangers.CLASSES[1:]]))


def headers(folder: Path) -> None:
    """A line for a spreadsheet program, a comment, and other names for usual columns."""
    extra = {"filename": [f"{i}.jpg" for i in range(len(X))]}
    _put(
        folder, "sep=,\n" + strangers.features(X, extra, label="Label"), "# classes\n\n" + strangers.classes()
    )


def near_twins(folder: Path) -> None:
    """Two classes described nearly alike."""
    vectors = strangers.ATTRIBUTES.copy()
    vectors[11] = vectors[10] + 1e-3
    _put(folder, classes=strangers.classes(vectors=vectors))


def mat_with_objects(folder: Path) -> None:
    """MATLAB files that also hold objects."""
    folder.rmdir()
    xlsa17(folder)
    with_objects(folder / "att_splits.mat", packed=True)


CASES: tuple[Callable[[Path], None], ...] = (
    backslash_quotes,
    column_order,
    index_column,
    parquet_beside,
    split_folders,
    units,
    large_offset,
    cr_lines,
    checksums,
    normal_forms,
    headers,
    near_twins,
    mat_with_objects,
)


def files_of(case: Callable[[Path], None], folder: Path) -> list[Path]:
    """Write a case into a folder, which is made, and name its files."""
    folder.mkdir()
    case(folder)
    return sorted(file for file in folder.rglob("*") if file.is_file())
