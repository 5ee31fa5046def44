"""What programs write in other formats than CSV comes back value for value, or is refused in one line.

A few hundred files of chance each; GSMFLOW_FUZZ=20000 tries so many of each.
"""

from __future__ import annotations

import csv
import io
import os
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from gsmflow.base.errors import InputError
from gsmflow.files.class_names import clash, normal
from gsmflow.files.class_table import read_class_table
from gsmflow.files.rows import read_rows
from gsmflow.images.listing import list_labelled
from gsmflow.semantics.description_table import read_described
from gsmflow.sources.matfile import MatFile

TIMES = max(1, int(os.environ.get("GSMFLOW_FUZZ", "0")))
COUNT = max(80, TIMES)
LETTERS = [
    "a",
    "B",
    "é",
    "e\u0301",
    "獅",
    "ль",
    " ",
    "\u00a0",
    "_",
    "-",
    "+",
    "'",
    '"',
    ",",
    ";",
    "#",
    ".",
    "1",
    "[",
    "*",
]
KINDS = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")


def name(rng: random.Random, suffix: str) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(rng.randrange(1, 6))) + suffix


def numbers(rng: random.Random, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of a kind: ordinary, huge, tiny, far from zero; sometimes one that is none."""
    draw = np.random.default_rng(rng.randrange(2**32))
    if kind == "?":
        return draw.random(shape) < 0.5
    if kind[0] in "iu":
        info = np.iinfo(kind)
        top = rng.choice([5, 100, info.max, min(info.max, 2**53)])
        return draw.integers(max(info.min, -top), top, shape, dtype=kind, endpoint=True)
    values = draw.normal(size=shape) * 10.0 ** draw.integers(-30, 30, shape)
    if rng.random() < 0.3:
        values += rng.choice([1.7e9, -1e6, 1e15])
    if rng.random() < 0.1:
        values.reshape(-1)[draw.integers(values.size)] = rng.choice([np.nan, np.inf, -np.inf, 1e300])
    with np.errstate(over="ignore"):
        return values.astype(kind)


def usable(values: np.ndarray) -> bool:
    """Whether all are finite in float32."""
    return bool((np.abs(values.astype(np.float64)) <= np.finfo(np.float32).max).all())


def held(values: np.ndarray) -> bool:
    """Whether float64 holds all of them to the last digit."""
    return values.dtype.kind not in "iu" or all(int(float(v)) == int(v) for v in values.reshape(-1))


def read_or_refused(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - what is asserted of an error that may not come
        return None


def test_parquet(tmp_path: Path) -> None:
    rng = random.Random(f"parquet {TIMES}")
    path, was_read = tmp_path / "t.parquet", 0
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    for _ in range(COUNT):
        count = rng.randrange(1, 8)  # of fewer rows than eight no column is taken for a running number
        features = {
            name(rng, f"{d}x"): numbers(rng, rng.choice(KINDS), (count,)) for d in range(rng.randrange(1, 5))
        }
        labels = [name(rng, "l") for _ in range(count)]
        columns: list[tuple[str, Any]] = [("label", labels), *features.items()]
        rng.shuffle(columns)
        as_texts = rng.random() < 0.2
        written = {
            c: [repr(v.item()) for v in values] if as_texts and c != "label" else values
            for c, values in columns
        }
        if rng.random() < 0.5:
            frame = pl.DataFrame({c: pl.Series(c, values) for c, values in written.items()})
            lacks = None
            if rng.random() < 0.2:
                lacks = rng.choice(list(features))
                frame = frame.with_columns(
                    pl.when(pl.int_range(count) == 0).then(None).otherwise(pl.col(lacks)).alias(lacks)
                )
            frame.write_parquet(path, compression=rng.choice(["zstd", "snappy", "gzip", "uncompressed"]))
        else:
            lacks, data = None, pandas.DataFrame(written)
            if rng.random() < 0.3:
                data.index = pandas.Index(rng.sample(range(count), count), name=rng.choice([None, "key"]))
            data.to_parquet(path, index=rng.choice([None, True]))
        rows = read_or_refused(lambda: read_rows(path))
        right = lacks is None and all(map(usable, features.values())) and all(map(held, features.values()))
        if rows is None:
            assert not right, pl.read_parquet(path)
            continue
        assert rows.labels == tuple(labels)
        feature_columns = {c: v for c, v in features.items() if c.strip() in rows.columns}
        assert tuple(c.strip() for c, _ in columns if c in feature_columns) == rows.columns
        # A column without any value says nothing.
        valueless = {c for c, v in features.items() if np.isnan(v.astype(np.float64)).all()}
        assert set(features) - set(feature_columns) <= valueless | ({lacks} if count == 1 else set()), (
            rows.note
        )
        for index, column in enumerate(c for c, _ in columns if c in feature_columns):
            assert np.array_equal(
                rows.features[:, index].astype(np.float64), features[column].astype(np.float64)
            )
        was_read += 1
    assert was_read > COUNT / 4


def test_npz(tmp_path: Path) -> None:
    rng = random.Random(f"npz {TIMES}")
    path, was_read = tmp_path / "t.npz", 0
    for _ in range(COUNT):
        shape = (rng.randrange(1, 7), rng.randrange(1, 6))
        features = numbers(rng, rng.choice([*KINDS, "f2"]), shape)
        stored = features.astype(features.dtype.newbyteorder(rng.choice("<>")))
        stored = np.asfortranarray(stored) if rng.random() < 0.3 else stored
        texts = [name(rng, "l") for _ in range(shape[0])]
        labels = np.array(texts)
        if rng.random() < 0.3:
            texts = [str(rng.randrange(300)) for _ in texts]
            labels = np.array(texts).astype(rng.choice(["i4", "u2", "i8"]))
        elif rng.random() < 0.2:
            labels = np.array([text.encode() for text in texts])
        rng.choice([np.savez, np.savez_compressed])(path, features=stored, labels=labels, other=np.zeros(3))
        rows = read_or_refused(lambda: read_rows(path))
        if rows is None:
            assert not usable(features) or not all(text.strip() for text in texts)
            continue
        assert rows.labels == tuple(texts)
        assert np.array_equal(rows.features, features)
        was_read += 1
    assert was_read > COUNT / 2


def test_matlab(tmp_path: Path) -> None:
    rng = random.Random(f"matlab {TIMES}")
    path, was_read = tmp_path / "t.mat", 0
    h5py = pytest.importorskip("h5py")

    def v73(stored: dict[str, Any]) -> None:
        with h5py.File(path, "w") as file:
            for key, value in stored.items():
                if key == "names":
                    texts = [
                        np.frombuffer(text.encode("utf-16-le"), "<u2")[:, None] for text in value.ravel()
                    ]
                    references = [file.create_dataset(f"#refs#/{i}", data=t).ref for i, t in enumerate(texts)]
                    file.create_dataset(key, (1, len(references)), dtype=h5py.ref_dtype)[0] = references
                    file[key].attrs["MATLAB_class"] = np.bytes_("cell")
                elif hasattr(value, "indptr"):
                    group = file.create_group(key)
                    group.attrs["MATLAB_sparse"] = np.uint64(value.shape[0])
                    group.attrs["MATLAB_class"] = np.bytes_("double")
                    group["data"], group["ir"], group["jc"] = value.data, value.indices, value.indptr
                else:
                    file.create_dataset(key, data=value.T).attrs["MATLAB_class"] = np.bytes_(
                        {"f4": "single", "f8": "double", "b1": "logical"}.get(value.dtype.str[1:], "double")
                    )

    for _ in range(COUNT):
        shape = (rng.randrange(1, 6), rng.randrange(1, 6))
        exact = numbers(rng, rng.choice(KINDS), shape)
        sparse = exact.dtype.kind == "f" and usable(exact) and rng.random() < 0.3
        values = (
            np.where(np.random.default_rng(rng.randrange(99)).random(shape) < 0.5, exact, 0)
            if sparse
            else exact
        )
        whole = np.array([rng.randrange(1, 200) for _ in range(shape[1])])
        texts = [name(rng, "l") for _ in range(shape[1])]
        column = whole.astype(rng.choice(["u1", "u2", "f8", "i4"]))
        cells = np.empty((shape[1], 1), object)
        cells[:, 0] = texts
        stored: dict[str, Any] = {
            "att": csc_matrix(values.astype(float)) if sparse else values,
            "labels": column[:, None] if rng.random() < 0.5 else column[None],
            "names": cells,
        }
        if rng.random() < 0.5:
            v73(stored)
        else:
            savemat(path, stored, do_compression=rng.random() < 0.5, oned_as=rng.choice(["row", "column"]))
        mat = read_or_refused(lambda: MatFile(path))
        assert mat is not None
        assert mat.one_based("labels", None, "classes").tolist() == (whole - 1).tolist()
        assert mat.texts("names") == tuple(text.strip() for text in texts)
        read = mat.exact("att")
        assert np.array_equal(read.astype(np.float64), values.astype(np.float64), equal_nan=True)
        with np.errstate(over="ignore"):
            assert np.array_equal(mat.matrix("att"), values.astype(np.float32), equal_nan=True)
        was_read += 1
    assert was_read == COUNT


def test_class_tables(tmp_path: Path) -> None:
    rng = random.Random(f"classes {TIMES}")
    path, was_read = tmp_path / "classes.csv", 0
    for _ in range(COUNT):
        count = rng.randrange(1, 7)
        names = [name(rng, "") for _ in range(count)]
        dimensions = [f"{name(rng, '')}{d}x".strip() for d in range(rng.randrange(1, 5))]
        values = np.stack([numbers(rng, "f8", (count,)) for _ in dimensions], axis=1)
        decimal = rng.choice([".", ","])
        place = rng.choice([0, 0, len(dimensions)])  # of the names
        header = [*dimensions[:place], rng.choice(["name", "Name", "NAME "]), *dimensions[place:]]
        body = [
            [
                *(row := [repr(v).replace(".", decimal) for v in values[c].tolist()])[:place],
                names[c],
                *row[place:],
            ]
            for c in range(count)
        ]
        out = io.StringIO()
        quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        separator = ";" if decimal == "," else rng.choice(",\t")
        csv.writer(
            out, delimiter=separator, lineterminator=rng.choice(["\n", "\r\n"]), quoting=quoting
        ).writerows([header, *body])
        path.write_bytes(out.getvalue().encode(rng.choice(["utf-8", "utf-8-sig", "utf-16"])))
        table = read_or_refused(lambda: read_class_table(path))
        described = read_or_refused(lambda: read_described(path))
        if table is None:
            continue
        assert usable(values)
        assert clash(names) is None
        assert table.names == tuple(map(normal, names))
        assert table.dimensions == tuple(dimensions)
        assert np.array_equal(table.semantics, values)
        assert described is not None
        assert described.names == table.names
        assert described.attributes is not None
        assert np.array_equal(described.attributes, values)
        was_read += 1
    assert was_read > COUNT / 4


def test_lists_of_images(tmp_path: Path) -> None:
    rng = random.Random(f"images {TIMES}")
    path, was_read = tmp_path / "list.csv", 0
    for _ in range(COUNT):
        count = rng.randrange(1, 6)
        folders = [name(rng, "d").strip() for _ in range(count)]
        paths = [
            f"{folder}/{index}{rng.choice(['.jpg', '.PNG', '.jpeg'])}" for index, folder in enumerate(folders)
        ]
        labels = [name(rng, "l") for _ in range(count)]
        split = [rng.choice(["train", "Test", "val", "TRAINING"]) for _ in range(count)]
        backslashes = rng.random() < 0.3
        given = [each.replace("/", "\\") if backslashes else each for each in paths]
        columns = [
            (rng.choice(["path", "Image", "file name"]), given),
            (rng.choice(["label", "Class"]), labels),
        ]
        columns += [("split", split)] if rng.random() < 0.5 else []
        columns += [("id", [str(i) for i in range(count)])] if rng.random() < 0.3 else []
        rng.shuffle(columns)
        out = io.StringIO()
        csv.writer(out, delimiter=rng.choice(",;\t"), lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
            [[header for header, _ in columns], *zip(*(cells for _, cells in columns), strict=True)]
        )
        path.write_text(out.getvalue(), encoding="utf-8", newline="")
        listing = read_or_refused(lambda: list_labelled(path))
        if listing is None:
            continue
        assert listing.names == tuple(paths)
        assert listing.labels == tuple(map(normal, labels))
        if any(header == "split" for header, _ in columns):
            parts = {"train": "train", "test": "test", "val": "val", "training": "train"}
            assert listing.split == tuple(parts[each.casefold()] for each in split)
        else:
            assert listing.split is None
        was_read += 1
    assert was_read > COUNT / 4


def test_composed_and_decomposed_names_are_the_same() -> None:
    assert normal("e\u0301") == unicodedata.normalize("NFC", "e\u0301") == "é"
