"""What the columns of a table of features are: labels, splits and names, an index, or features."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.files.column_names import (
    DATES,
    DIVIDING,
    INVISIBLE,
    NUMBERS_OF,
    ROLES,
    RUNNING,
    TIME_WORDS,
    TIMES,
    UNNAMED,
    called,
    is_path,
    role_of,
)
from gsmflow.files.column_values import (
    ROWS,
    has_dates,
    is_code,
    is_dated,
    is_empty,
    is_text,
    numbers_classes,
    runs_on,
)
from gsmflow.files.columns import Table, as_numbers
from gsmflow.files.feature_names import matched

_FOLDS = 20  # most different values of a column that divides the rows into parts
KEEP = "feature:"  # prefix of a column name that makes the column a feature, whatever it looks like


@dataclass(frozen=True)
class Roles:
    """The columns of a table, sorted by their roles.

    Parameters
    ----------
    said : dict[str, str]
        Those of ``label``, ``split`` and ``name`` that have a column, and its name in the file.
    features : dict[str, str]
        Names of the features in their order, and the name of each column in the file.
    left_out : dict[str, str]
        Columns that are not features, and why.
    """

    said: dict[str, str]
    features: dict[str, str]
    left_out: dict[str, str]

    @property
    def note(self) -> str:
        """Which columns were left out, and how to keep them; empty if none was."""
        return left_out_note(self.left_out)


def left_out_note(left_out: Mapping[str, str]) -> str:
    """Which columns were left out and why, and how to keep them; empty if none was."""
    if not left_out:
        return ""
    told = ", ".join(f"'{column}' ({reason})" for column, reason in left_out.items())
    return f"{told}; to keep a column, put {KEEP} before its name: '{KEEP}{next(iter(left_out))}'"


def naming(table: Table) -> str:
    """The column that names the classes of a table: any column called ``name``, in any case, or a first column of texts
    without a name, as data frames write their index.

    Raises
    ------
    InputError
        There is none; the message says which column may be meant.
    """
    by_name = [column for column in table.columns if called(column) == "name"]
    if by_name:
        return by_name[0]
    first = table.columns[0]
    unnamed = first in table.index or UNNAMED.fullmatch(first.strip().casefold())
    of_texts = unnamed and is_text(table, first) and not is_empty(table, first)
    if of_texts and np.isnan(as_numbers(table, first)).all():
        return first
    meant = next((column for column in table.columns if role_of(column) in ("label", "name")), None)
    if meant is None and is_text(table, first) and np.isnan(as_numbers(table, first)).all():
        meant = first
    remedy = f"rename '{meant}' to 'name' if it is that" if meant else "name the classes in one"
    raise InputError(
        f"{table.path}: no column 'name' (found {listed(table.columns)}); {remedy}; a table has one row a class and "
        "one column a semantic dimension"
    )


def indices(table: Table, wanted: Collection[str] = ()) -> dict[str, str]:
    """Columns that seem to number or date the rows, and why; never a wanted column."""
    reasons = {column: _index(table, column, None) or _no_number(table, column) for column in table.columns}
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
        Names of the features that a run was trained on; if given, these are the features, in this order.

    Raises
    ------
    InputError
        Two columns may be the label; or the table lacks a wanted feature, or has other features.
    """
    to_keep = {_plain(column): column for column in table.columns if column.startswith(KEEP)}
    said = _said(table, set(wanted or ()) | set(to_keep.values()))
    features: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for column in table.columns:
        if column in said.values():
            continue
        name = _plain(column)
        reason = (
            ""
            if column in to_keep.values() or name in (wanted or ())
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


def refuse_shuffled(table: Table) -> None:
    """Refuse a table whose index numbers all of its rows, but not in order: the data beside it are in that order.

    Raises
    ------
    InputError
        The rows are out of order; the message names the first one.
    """
    for column in table.columns:
        if not (UNNAMED.fullmatch(column.strip().casefold()) or called(column) in RUNNING):
            continue
        if not (is_text(table, column) or table.frame[column].dtype.is_integer()):
            continue
        values = as_numbers(table, column)
        ordered = np.sort(values)
        numbers_all = ordered[0] in (0, 1) and np.array_equal(ordered, ordered[0] + np.arange(len(values)))
        if numbers_all and not np.array_equal(values, ordered):
            row = int(np.flatnonzero(values != ordered)[0])
            raise InputError(
                f"{table.path}: {table.place(row)} has {int(values[row])} in column '{column}', where rows in order "
                f"have {int(ordered[row])}; sort the rows as those of the features, or remove the column"
            )


def _plain(column: str) -> str:
    return column.translate(INVISIBLE).removeprefix(KEEP).strip()


def _said(table: Table, not_these: set[str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for role, names in ROLES.items():
        columns = [c for c in table.columns if c not in not_these and called(c) in names]
        if not columns:
            continue
        ranked = sorted(columns, key=lambda c: (c != role, called(c) != role, names.index(called(c))))
        if role == "label" and len(columns) > 1 and called(ranked[0]) != "label":
            raise InputError(
                f"{table.path}: {' and '.join(map(repr, columns))} may both be the class of each row; name "
                "the one that is 'label'"
            )
        said[role] = ranked[0]
    return said


def _why_left_out(table: Table, column: str, wanted: Sequence[str] | None, said: Mapping[str, str]) -> str:
    """Why a column is not a feature; empty if it is."""
    role = role_of(column)
    if called(column) == "y" and "label" in said and wanted is None:
        label = table.frame[said["label"]]
        pairs = table.frame.select(said["label"], column).n_unique()
        if pairs > label.n_unique():  # a coordinate: a numeric label would have one value for each class
            return ""
    if role:
        return f"another column says the {role}"
    return _index(table, column, wanted) or _by_values(table, column, said, surplus=wanted is not None)


def _no_number(table: Table, column: str) -> str:
    """Why a column is not meant as numbers; empty if it may be."""
    if is_empty(table, column):
        return "empty"
    if is_dated(table, column):
        return "dates or times"
    return "codes that begin with zeros" if is_code(table, column) else ""


def _by_values(table: Table, column: str, said: Mapping[str, str], *, surplus: bool) -> str:
    """Why the values of a column show that it is not a feature; empty if they do not show that.

    A `surplus` column is one that a run was not trained on; for it a few rows are enough.
    """
    if reason := _no_number(table, column):
        return reason
    word = called(column)
    if word in DIVIDING and table.frame[column].n_unique() <= _FOLDS:
        return "divides the rows; a column split with train and test does so"
    if set(word.split("_")) & TIME_WORDS and runs_on(
        table, column, evenly=False, least=2 if surplus else ROWS
    ):
        return "a time that runs on"
    if runs_on(table, column, evenly=True, least=2 if surplus else ROWS):
        return "a running number"
    if "label" in said and numbers_classes(table, column, said["label"], all_of_them=not surplus):
        return "numbers the classes, one number each"
    return ""


def _index(table: Table, column: str, wanted: Sequence[str] | None) -> str:
    """Why a column numbers or dates the rows; empty if it does not."""
    import polars as pl

    word = called(column)
    if UNNAMED.fullmatch(column.strip().casefold()):
        return "empty" if is_empty(table, column) else "an index without a name"
    if column in table.index:
        return "the index of a data frame"
    if word in NUMBERS_OF:
        return "numbers the rows or classes"
    dtype = table.frame[column].dtype
    if dtype.is_temporal():
        return "dates or times"
    of_times = word in TIMES or bool(set(word.split("_")) & TIME_WORDS)
    if word not in RUNNING and not of_times:
        return ""
    if wanted is not None and word in RUNNING | TIMES:
        return "by its name an index or a time"
    if dtype != pl.String and not dtype.is_numeric():
        return ""
    if word in DATES:
        return "time stamps"
    values = as_numbers(table, column)
    if of_times and np.isnan(values).all() and has_dates(table, column):
        return "time stamps"
    if wanted is not None or word not in RUNNING | TIMES:
        return ""
    steps = np.diff(values)
    if len(steps) and steps[0] != 0 and np.ptp(steps) <= 1e-9 * abs(steps[0]):
        return "a running number" if word in RUNNING else "a time stamp that runs on evenly"
    return ""


def of_listing(table: Table) -> dict[str, str]:
    """The columns ``path``, ``label`` and ``split`` of a list of images, found by their usual names in any case.

    If the column ``label`` numbers the classes and another column names them, the names are the labels.
    """
    paths = [column for column in table.columns if is_path(column)]
    best = next((column for column in paths if column == "path"), paths[0] if paths else None)
    said = {role: column for role, column in _said(table, set(paths)).items() if role != "name"}
    if "label" in said and not _of_words(table, said["label"]):
        words = [c for c in table.columns if role_of(c) == "label" and _of_words(table, c)]
        said["label"] = words[0] if len(words) == 1 else said["label"]
    return said | ({"path": best} if best else {})


def _of_words(table: Table, column: str) -> bool:
    """Whether no cell of a column of texts is a number."""
    return is_text(table, column) and bool(np.isnan(as_numbers(table, column)).all())
