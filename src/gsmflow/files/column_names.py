"""Usual names of columns: labels, splits, paths, and columns that number or date the rows."""

from __future__ import annotations

import re

INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
PATHS = (
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
ROLES = {
    "label": ("label", "labels", "class", "class_name", "classname", "target", "y"),
    "split": ("split", "splits", "subset", "partition"),
    "name": ("name", "names", *PATHS),
}
UNNAMED = re.compile(r"unnamed: \d+(_level_\d+)?|__index_level_\d+__")
NUMBERS_OF = {
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
RUNNING = {
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
TIMES = {
    *("time", "timestamp", "time_stamp", "date", "datetime", "t", "ts", "epoch", "unix_time", "unixtime"),
    *("created", "created_at"),
}
DATES = {
    "date",
    "datetime",
    "timestamp",
    "time_stamp",
    "unix_time",
    "unixtime",
    "created",
    "created_at",
    "datum",
}
TIME_WORDS = {"time", "timestamp", "date", "datetime", "datum", "created", "captured", "recorded"}
DIVIDING = {
    "is_train",
    "is_test",
    "is_val",
    "in_train",
    "in_test",
    "train",
    "test",
    "fold",
    "folds",
    "cv_fold",
    "kfold",
}


def role_of(column: str) -> str | None:
    """The role ``label``, ``split`` or ``name`` if a column has one of its usual names, in any case; None otherwise.

    >>> role_of("Label"), role_of("file name"), role_of("f0")
    ('label', 'name', None)
    """
    word = called(column)
    return next((role for role, names in ROLES.items() if word in names), None)


def is_path(column: str) -> bool:
    """Whether a column holds paths of images, by its name."""
    return called(column) in PATHS


def called(column: str) -> str:
    """A column name in the form in which names are compared: lower case, ``_`` for spaces and ``-``, nothing invisible.

    >>> called(" Image-ID ")
    'image_id'
    """
    return re.sub(r"[\s-]+", "_", column.translate(INVISIBLE).strip().casefold())
