"""A person's own data: features with labels, and a table that describes the classes.

A folder with ``features.npz``, ``features.csv`` or ``features.parquet`` and ``classes.csv``::

    features.csv   label,split,f0,f1,...     one row a sample; split (train or test) may be left out
    features.npz   features (N, D), labels (N,) texts, and if wanted split (N,), ids (N,)
    classes.csv    name,attribute,...        one row a class

Classes without training rows are the unseen ones.
"""

from __future__ import annotations

import difflib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gsmflow.errors import InputError
from gsmflow.problem import Problem

if TYPE_CHECKING:
    import polars

_FEATURE_FILES = ("features.npz", "features.csv", "features.parquet")
_LARGEST = 64 << 30  # bytes an .npz may unpack to
_HELD_OUT = 0.2  # of each seen class, where no test split is given

Labels = NDArray[np.str_]


def looks_like(folder: Path) -> bool:
    """Whether the folder holds this layout, or a part of it."""
    return any((folder / name).exists() for name in (*_FEATURE_FILES, "classes.csv"))


def load(folder: Path, *, seed: int = 0) -> Problem:
    """Read a folder of a person's own data.

    seed: draws the test split (a fifth of each seen class) where the features have no split.

    Raises
    ------
    InputError: a file is missing or malformed; the message names file, row and column.
    """
    files = [folder / name for name in _FEATURE_FILES if (folder / name).exists()]
    if len(files) != 1:
        found = "several of them are there" if files else "none is there"
        raise InputError(f"{folder}: expected one of {', '.join(_FEATURE_FILES)}, but {found}")
    classes_file = folder / "classes.csv"
    names, semantics = read_classes(classes_file)
    features, labels, split, _ = _read(files[0])
    if labels is None:
        raise InputError(f"{files[0]}: no labels; every sample needs the name of its class")
    position = {name: index for index, name in enumerate(names)}
    unknown = np.flatnonzero(~np.isin(labels, names))
    if unknown.size:
        label = str(labels[unknown[0]])
        near = difflib.get_close_matches(label, names, 1)
        hint = f"did you mean '{near[0]}'?" if near else "add a row for it"
        raise InputError(
            f"{files[0]}: sample {unknown[0] + 1} has label '{label}', which {classes_file} does not "
            f"describe; {hint}"
        )
    codes = np.array([position[str(label)] for label in labels.tolist()], dtype=np.int64)
    train, test = _parts(files[0], split, codes, seed)
    is_seen = np.isin(codes[test], codes[train])
    return Problem(
        name=folder.resolve().name,
        features=features,
        labels=codes,
        semantics=semantics,
        classes=tuple(names),
        train=train,
        test_seen=test[is_seen],
        test_unseen=test[~is_seen],
        origins={
            "features": str(files[0]),
            "labels": f"{files[0]}: label",
            "semantics": str(classes_file),
            "classes": f"{classes_file}: name",
            **dict.fromkeys(("train", "test_seen", "test_unseen"), f"{files[0]}: split"),
        },
        notes={
            "split": "given"
            if split is not None
            else f"drawn: {_HELD_OUT:.0%} of each seen class, seed {seed}"
        },
    )


def read_features(path: Path) -> tuple[NDArray[np.float32], Labels | None, Labels | None]:
    """Features (N, D), and labels (N,) and ids (N,) where the file has them; for prediction.

    Raises
    ------
    InputError: the file is missing or malformed.
    """
    features, labels, _, ids = _read(path)
    if 0 in features.shape:
        raise InputError(f"{path}: no samples or no feature columns")
    broken = np.argwhere(~np.isfinite(features))
    if len(broken):
        row, column = broken[0]
        raise InputError(
            f"{path}: sample {row + 1}, feature {column + 1} is {features[row, column]}, not finite"
        )
    return features, labels, ids


def read_classes(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Class names and their semantics (C, A) from a CSV whose first column is ``name``.

    Raises
    ------
    InputError: the file is missing or malformed.
    """
    columns, rows = _read_text_table(path)
    if columns[0] != "name":
        raise InputError(
            f"{path}: first column is '{columns[0]}', expected 'name', then one column an attribute"
        )
    if len(columns) < 2:
        raise InputError(f"{path}: no attribute columns after 'name'")
    names = [str(value).strip() for value in rows["name"].to_list()]
    for index, name in enumerate(names):
        if not name or name == "None":
            raise InputError(f"{path}: row {index + 2} has no class name")
        if name in names[:index]:
            raise InputError(f"{path}: row {index + 2} describes class '{name}' a second time")
    return names, _numeric(path, rows, columns[1:])


def _parts(
    path: Path, split: Labels | None, codes: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Train and test indices: as given, or a fifth of each class drawn, at least one sample staying."""
    if split is not None:
        odd = np.flatnonzero(~np.isin(split, ("train", "test")))
        if odd.size:
            raise InputError(
                f"{path}: split of sample {odd[0] + 1} is '{split[odd[0]]}', expected 'train' or 'test'"
            )
        return np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    rng = np.random.default_rng([seed, 0x7AB1E])
    test = []
    for code in np.unique(codes):
        members = rng.permutation(np.flatnonzero(codes == code))
        test.append(members[: min(len(members) - 1, max(1, round(len(members) * _HELD_OUT)))])
    chosen = np.sort(np.concatenate(test)) if test else np.zeros(0, np.int64)
    return np.setdiff1d(np.arange(len(codes)), chosen), chosen


def _read(path: Path) -> tuple[NDArray[np.float32], Labels | None, Labels | None, Labels | None]:
    """Features, labels, split and ids of a feature file of any kind."""
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix not in (".csv", ".parquet"):
        raise InputError(f"{path}: expected a file ending in .npz, .csv or .parquet")
    columns, rows = _read_text_table(path)
    texts = {
        name: np.array([str(v) for v in rows[name].to_list()], dtype=np.str_) if name in columns else None
        for name in ("label", "split", "id")
    }
    for name, values in texts.items():
        missing = np.flatnonzero(rows[name].is_null().to_numpy()) if values is not None else np.zeros(0)
        if missing.size:
            raise InputError(f"{path}: row {int(missing[0]) + 2} has an empty {name}")
    features = _numeric(path, rows, [c for c in columns if c not in texts])
    return features, texts["label"], texts["split"], texts["id"]


def _read_npz(path: Path) -> tuple[NDArray[np.float32], Labels | None, Labels | None, Labels | None]:
    _openable(path)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > _LARGEST:
            raise InputError(
                f"{path}: unpacks to {size / 2**30:.0f} GiB, more than the {_LARGEST >> 30} allowed"
            )
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive)
            if "features" not in names:
                raise InputError(f"{path}: no array 'features' (there: {', '.join(names) or 'none'})")
            arrays = {n: archive[n] for n in ("features", "labels", "split", "ids") if n in names}
    except InputError:
        raise
    except Exception as error:  # numpy and zipfile raise many kinds on damaged files
        if "allow_pickle" in str(error) or "pickle" in str(error).lower():
            raise InputError(
                f"{path}: holds pickled objects, which are not loaded; save plain number and text arrays"
            ) from None
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{path}: not a readable .npz file ({reason})") from None
    features = arrays.pop("features")
    if features.ndim != 2 or features.dtype.kind not in "fiub":
        raise InputError(
            f"{path}: features have shape {features.shape} and type {features.dtype}, expected numbers "
            "(samples, dimensions)"
        )
    texts: dict[str, Labels | None] = {"labels": None, "split": None, "ids": None}
    for name, values in arrays.items():
        if values.shape != (len(features),):
            raise InputError(
                f"{path}: {name} have shape {values.shape}, expected ({len(features)},) as the features"
            )
        if values.dtype.kind not in "UiuS":
            raise InputError(f"{path}: {name} are of type {values.dtype}, expected texts")
        texts[name] = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values.astype(np.str_)
    with np.errstate(over="ignore"):
        return features.astype(np.float32), texts["labels"], texts["split"], texts["ids"]


def _openable(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file")
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _read_text_table(path: Path) -> tuple[list[str], polars.DataFrame]:
    """Column names and rows; CSV cells as texts, so that a bad one can be named later."""
    import polars as pl

    _openable(path)
    try:
        parquet = path.suffix == ".parquet"
        table = pl.read_parquet(path) if parquet else pl.read_csv(path, infer_schema=False)
    except pl.exceptions.NoDataError:
        raise InputError(f"{path}: is empty; the first line must name the columns") from None
    except BaseException as error:  # polars' panics are no Exceptions
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{path}: not a readable {path.suffix[1:]} table ({reason})") from None
    if not table.height:
        raise InputError(f"{path}: has column names but no rows")
    for column in table.columns:
        # polars renames the second of two equal names.
        original, mark, _ = column.rpartition("_duplicated_")
        if mark and original in table.columns:
            raise InputError(f"{path}: two columns are named '{original}'")
    return table.columns, table


def _numeric(path: Path, rows: polars.DataFrame, columns: list[str]) -> NDArray[np.float32]:
    """The columns as float32 (rows, columns); a cell that is no finite number is named by row and column."""
    import polars as pl

    out = np.empty((rows.height, len(columns)), np.float32)
    for index, column in enumerate(columns):
        series = rows[column]
        text = series.dtype == pl.String
        cast = (series.str.strip_chars() if text else series).cast(pl.Float64, strict=False)
        values = cast.to_numpy()
        with np.errstate(over="ignore", invalid="ignore"):
            out[:, index] = values
        bad = np.flatnonzero(cast.is_null().to_numpy() | ~np.isfinite(out[:, index]))
        if bad.size:
            row = int(bad[0])
            shown = "empty" if series[row] in (None, "") else f"'{series[row]}'"
            raise InputError(
                f"{path}: row {row + 2 if text else row + 1}, column '{column}' is {shown}, "
                "expected a finite number"
            )
    return out
