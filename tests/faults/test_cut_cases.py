"""Every file of the cases that strangers sent, cut at fifty places: read as far as it goes, or refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gsmflow.base.errors import InputError
from gsmflow.files.checksums import check
from gsmflow.files.class_table import read_class_table
from gsmflow.files.columns import read_table
from gsmflow.files.rows import read_rows
from gsmflow.images.reading import UnreadableImage, read_image
from gsmflow.semantics.description_table import read_described
from gsmflow.sources.matfile import MatFile
from support.cases import CASES, files_of

CUTS = 50


def attempt(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - what is asserted of an error that may not come
    except UnreadableImage as error:
        assert "\n" not in str(error)  # noqa: PT017
    return None


def cut(content: bytes) -> list[bytes]:
    return [content[:end] for end in np.linspace(0, len(content), CUTS + 1, dtype=int)[:-1]]


@pytest.mark.parametrize("case", CASES)
def test_every_file_cut_at_fifty_places(case: Callable[[Path], None], tmp_path: Path) -> None:
    for file in files_of(case, tmp_path / "brackets [v2]")[:8]:
        content = file.read_bytes()
        whole = read_table(file) if file.suffix in (".csv", ".parquet") else None
        for piece in cut(content):
            file.write_bytes(piece)
            if whole is not None:
                _as_far_as_it_goes(attempt(lambda file=file: read_table(file)), whole)
                if file.suffix == ".csv":
                    attempt(lambda file=file: read_class_table(file))
                    attempt(lambda file=file: read_described(file))
                attempt(lambda file=file: read_rows(file))
            elif file.suffix == ".png":
                attempt(lambda file=file: read_image(file))
            elif file.suffix == ".mat":
                names = ("att",) if "att" in file.name else ("features", "labels")
                attempt(lambda file=file, names=names: [MatFile(file).matrix(name) for name in names])
            elif file.suffix == ".txt":
                attempt(lambda file=file: check(file.with_name("features.csv")))
        file.write_bytes(content)


def _as_far_as_it_goes(read: Any, whole: Any) -> None:
    """The first rows of the whole table; the last cell may have lost its end."""
    if read is None:
        return
    rows, there = read.frame.rows(), whole.frame.rows()
    assert read.columns[:-1] == whole.columns[: len(read.columns) - 1]
    assert rows[:-1] == [row[: len(read.columns)] for row in there[: len(rows) - 1]]
    assert rows[-1][:-1] == there[len(rows) - 1][: len(read.columns) - 1]
    assert str(there[len(rows) - 1][len(read.columns) - 1]).startswith(str(rows[-1][-1]))
