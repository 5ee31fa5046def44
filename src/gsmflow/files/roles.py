"""What the columns of a table of features are: labels, splits and names, an index, or features."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gsmflow.base.errors import InputError
from gsmflow.files.columns import Table, as_numbers
from gsmflow.files.names import matched

KEEP = "feature:"  # before the name of a column that is a feature whatever it looks like
_PATHS = (
    "filename",
    "file_name",
    "file",
    "path",
    "filepath",
    "file_path",
    "image",
    "img",
    "image_path",
    "image_name",
)
_ROLES = {
    "label": ("label", "labels", "class", "class_name", "classname", "target", "y"),
    "split": ("split", "splits", "subset", "partition"),
    "name": ("name", "names", *_PATHS),
}
_UNNAMED = re.compile(r"unnamed: \d+(_level_\d+)?|__index_level_\d+__")
_NUMBERS_OF = {
    *(
        "id",
        "ids",
        "uid",
        "uuid",
        "guid",
        "row_id",
        "sample_id",
        "image_id",
        "img_id",
        "item_id",
        "object_id",
    ),
    *("record_id", "label_id", "class_id", "target_id", "y_id", "label_idx", "class_idx", "label_index"),
    *("class_index", "label_num", "class_num", "label_no", "class_no"),
}
_RUNNING = {
    *("index", "idx", "level_0", "row", "rows", "row_nr", "row_index", "row_number", "rownum", "rownames"),
    *(
        "row_names",
        "no",
        "nr",
        "num",
        "number",
        "#",
        "n",
        "i",
        "count",
        "counter",
        "serial",
        "seq",
        "order",
        "line",
    ),
}
_TIMES = {
    *("time", "timestamp", "time_stamp", "date", "datetime", "t", "ts", "epoch", "unix_time", "unixtime"),
    *("created", "created_at"),
}


@dataclass(frozen=True)
class Roles:
    """The columns of a table, each in its place.

    Parameters
    ----------
    said : dict[str, str]
        ``label``, ``split`` and ``name``, where there is such a column, and what it is called in the file.
    features : dict[str, str]
        Names of the features in their order, and what each column is called in the file.
    left_out : dict[str, str]
        Columns that are no features, and why.
    """

    said: dict[str, str]
    features: dict[str, str]
    left_out: dict[str, str]

    @property
    def note(self) -> str:
        """Which columns were left out, and how to keep them; empty where none was."""
        return left_out_note(self.left_out)


def left_out_note(left_out: Mapping[str, str]) -> str:
    """Which columns were left out and why, and how to keep them; empty where none was."""
    if not left_out:
        return ""
    told = ", ".join(f"'{column}' ({reason})" for column, reason in left_out.items())
    return f"{told}; to keep a column, put {KEEP} before its name: '{KEEP}{next(iter(left_out))}'"


def indices(table: Table, wanted: Collection[str] = ()) -> dict[str, str]:
    """Columns that number or date the rows, and why that is thought of each; none of those wanted."""
    reasons = {column: _index(table, column, None) for column in table.columns}
    return {
        column: reason
        for column, reason in reasons.items()
        if reason and column not in wanted and not column.startswith(KEEP)
    }


def roles_of(table: Table, wanted: Sequence[str] | None = None) -> Roles:
    """Sort the columns of a table.

    Parameters
    ----------
    table : Table
        The table.
    wanted : Sequence[str] | None
        Names of the features that a run was trained on: then they are the features, in this order.

    Raises
    ------
    InputError
        Two columns may be the label; or the table lacks a wanted feature, or has others.
    """
    kept = {_plain(column): column for column in table.columns if column.startswith(KEEP)}
    said = _said(table, set(wanted or ()) | set(kept.values()))
    features: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for column in table.columns:
        if column in said.values():
            continue
        name = _plain(column)
        reason = (
            ""
            if column in kept.values() or name in (wanted or ())
            else _why_left_out(table, column, wanted, said)
        )
        if reason:
            left_out[column] = reason
        else:
            if name in features:
                raise InputError(f"{table.path}: two features are named '{name}'; rename or remove one")
            features[name] = column
    if wanted is not None:
        features = matched(str(table.path), features, wanted, left_out)
    return Roles(said, features, left_out)


def role_of(column: str) -> str | None:
    """``label``, ``split`` or ``name`` where a column goes by one of its usual names, in any case; else None.

    >>> role_of("Label"), role_of("file name"), role_of("f0")
    ('label', 'name', None)
    """
    called = _called(column)
    return next((role for role, names in _ROLES.items() if called in names), None)


def is_path(column: str) -> bool:
    """Whether a column holds paths of images, by its name."""
    return _called(column) in _PATHS


def _called(column: str) -> str:
    return re.sub(r"[\s-]+", "_", column.strip().casefold())


def _plain(column: str) -> str:
    return column.removeprefix(KEEP).strip()


def _said(table: Table, not_these: set[str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for role, names in _ROLES.items():
        columns = [c for c in table.columns if c not in not_these and _called(c) in names]
        if not columns:
            continue
        ranked = sorted(columns, key=lambda c: (c != role, _called(c) != role, names.index(_called(c))))
        if role == "label" and len(columns) > 1 and _called(ranked[0]) != "label":
            raise InputError(
                f"{table.path}: {' and '.join(map(repr, columns))} may both be the class of each row; name "
                "the one that is 'label'"
            )
        said[role] = ranked[0]
    return said


def _why_left_out(table: Table, column: str, wanted: Sequence[str] | None, said: Mapping[str, str]) -> str:
    """Why a column is no feature; empty where it is one."""
    role = role_of(column)
    if _called(column) == "y" and "label" in said and wanted is None:
        label = table.frame[said["label"]]
        pairs = table.frame.select(said["label"], column).n_unique()
        if pairs > label.n_unique():  # a coordinate: a label in numbers would have one value a class
            return ""
    return f"another column says the {role}" if role else _index(table, column, wanted)


def _index(table: Table, column: str, wanted: Sequence[str] | None) -> str:
    """Why a column is one that numbers or dates the rows; empty where it is not."""
    import polars as pl

    called = _called(column)
    if _UNNAMED.fullmatch(column.strip().casefold()):
        return "an index without a name"
    if called in _NUMBERS_OF:
        return "numbers the rows or classes"
    dtype = table.frame[column].dtype
    if dtype.is_temporal():
        return f"a time stamp of type {dtype}"
    if called not in _RUNNING | _TIMES:
        return ""
    if wanted is not None:
        return "by its name an index or a time"
    if dtype != pl.String and not dtype.is_numeric():
        return ""
    values = as_numbers(table, column)
    if called in _TIMES and np.isnan(values).all():
        return "time stamps"
    steps = np.diff(values)
    if len(steps) and steps[0] != 0 and np.ptp(steps) <= 1e-9 * abs(steps[0]):
        return "a running number" if called in _RUNNING else "a time stamp that runs on evenly"
    return ""


def of_listing(table: Table) -> dict[str, str]:
    """Columns ``path``, ``label`` and ``split`` of a list of images, under their usual names in any case."""
    paths = [column for column in table.columns if is_path(column)]
    best = next((column for column in paths if column == "path"), paths[0] if paths else None)
    said = {role: column for role, column in _said(table, set(paths)).items() if role != "name"}
    return said | ({"path": best} if best else {})
