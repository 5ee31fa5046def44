"""Which columns are features: all but labels, splits and names in any case, and but what numbers the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gsmflow.base.errors import InputError
from gsmflow.files.class_table import read_class_table, read_classes
from gsmflow.files.rows import read_rows

VALUES = {"f0": [0.5, 1.5, 0.25], "f1": [1.0, 1.25, 3.0]}


def table(path: Path, columns: dict[str, list]) -> Path:
    frame = pl.DataFrame(columns)
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("label", ["label", "Label", "CLASS", "target", "y", "class name"])
@pytest.mark.parametrize(
    ("split", "name"), [("split", "name"), ("Split", "FileName"), ("SUBSET", "image path")]
)
def test_labels_splits_and_names_in_any_case(
    ending: str, label: str, split: str, name: str, tmp_path: Path
) -> None:
    said = {label: ["a", "b", "a"], split: ["train", "test", "train"], name: ["1.jpg", "2.jpg", "3.jpg"]}
    rows = read_rows(table(tmp_path / f"t.{ending}", {**said, **VALUES}))
    assert (rows.labels, rows.split, rows.names) == tuple(map(tuple, said.values()))
    assert rows.columns == ("f0", "f1")
    assert rows.features.tolist() == [[0.5, 1.0], [1.5, 1.25], [0.25, 3.0]]
    assert rows.note == ""


def test_a_coordinate_named_y_is_a_feature_and_a_label_in_numbers_is_not(tmp_path: Path) -> None:
    said = {"label": ["a", "b", "a"], **VALUES}
    coordinates = read_rows(table(tmp_path / "xy.csv", {"x": [0.5, 1.5, 2.0], "y": [3.0, 1.0, 2.5], **said}))
    assert coordinates.columns == ("x", "y", "f0", "f1")
    assert coordinates.features[:, 1].tolist() == [3.0, 1.0, 2.5]
    codes = read_rows(table(tmp_path / "codes.csv", {"y": [0, 1, 0], **said}))
    assert codes.columns == ("f0", "f1")
    assert "'y' (another column says the label)" in codes.note


@pytest.mark.parametrize(
    "column",
    [
        {"": [7, 3, 9]},
        {"Unnamed: 0": [0, 1, 2]},
        {"__index_level_0__": [5, 1, 7]},
        {"id": [17, 4, 5]},
        {"label_id": [1, 0, 1]},
        {"Image-ID": ["a1", "b7", "c"]},
        {"index": [1, 2, 3]},
        {"row number": [10, 20, 30]},
        {"timestamp": [1.7e9, 1.7e9 + 5, 1.7e9 + 10]},
        {"Date": ["2024-01-01", "2024-01-03", "2024-02-01"]},
    ],
)
def test_what_numbers_or_dates_the_rows_is_no_feature(column: dict[str, list], tmp_path: Path) -> None:
    rows = read_rows(table(tmp_path / "t.csv", {**column, "label": ["a", "b", "a"], **VALUES}))
    (name,) = column
    assert rows.columns == ("f0", "f1")
    assert f"'{name or 'Unnamed: 0'}' (" in rows.note
    assert "put feature: before its name" in rows.note


@pytest.mark.parametrize(
    "column", [{"index": [3, 1, 2]}, {"time": [0.5, 0.7, 3.1]}, {"f2": [0, 1, 2]}, {"count": [4, 4, 4]}]
)
def test_what_only_sounds_like_it_is_a_feature(column: dict[str, list], tmp_path: Path) -> None:
    rows = read_rows(table(tmp_path / "t.csv", {"label": ["a", "b", "a"], **VALUES, **column}))
    assert rows.columns == ("f0", "f1", *column)
    assert rows.note == ""


def test_a_column_can_be_kept(tmp_path: Path) -> None:
    rows = read_rows(table(tmp_path / "t.csv", {"label": ["a", "b", "a"], "feature:id": [3, 1, 2], **VALUES}))
    assert rows.columns == ("id", "f0", "f1")
    again = read_rows(table(tmp_path / "u.csv", {**VALUES, "id": [3, 1, 2]}), rows.columns)
    assert np.array_equal(again.features, rows.features)


def test_the_index_of_a_data_frame(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"label": ["a", "b", "a"], **VALUES}, index=[10, 12, 15])
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv")
    for ending in ("parquet", "csv"):
        rows = read_rows(tmp_path / f"t.{ending}")
        assert rows.columns == ("f0", "f1")
        assert "an index without a name" in rows.note


def test_features_are_looked_up_by_name(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", {"f1": VALUES["f1"], "id": [1, 5, 2], "f0": VALUES["f0"]})
    assert read_rows(path, ("f0", "f1")).features.tolist() == [[0.5, 1.0], [1.5, 1.25], [0.25, 3.0]]
    with pytest.raises(
        InputError, match=r"t\.csv: lacks the feature column f2 and has id, unlike the data the run"
    ):
        read_rows(path, ("f0", "f1", "f2"))
    with pytest.raises(InputError, match=r"t\.csv: has f1, id, unlike"):
        read_rows(path, ("f0",))


def test_two_columns_that_may_be_the_label(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", {"class": ["a", "b", "a"], "y": ["c", "d", "c"], **VALUES})
    with pytest.raises(InputError, match="'class' and 'y' may both be the class of each row"):
        read_rows(path)
    rows = read_rows(table(tmp_path / "u.csv", {"Label": ["a", "b", "a"], "target": [0, 1, 0], **VALUES}))
    assert rows.labels == ("a", "b", "a")
    assert rows.columns == ("f0", "f1")
    assert "'target' (another column says the label)" in rows.note


def test_a_column_of_texts_is_named(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", {"label": ["a", "b", "a"], "colour": ["red", "blue", "red"], **VALUES})
    with pytest.raises(
        InputError, match=r"line 2, column 'colour' is 'red'.* remove the column, or name it label"
    ):
        read_rows(path)


def test_an_index_in_the_table_of_classes(tmp_path: Path) -> None:
    columns = {"": [0, 1, 2], "Name": ["a", "b", "c"], "class_id": [4, 2, 9], "legs": [4.0, 2.0, 6.0]}
    path = table(tmp_path / "classes.csv", columns)
    given = read_class_table(path)
    assert (given.names, given.dimensions) == (("a", "b", "c"), ("legs",))
    assert given.semantics.tolist() == [[4.0], [2.0], [6.0]]
    assert "'Unnamed: 0' (an index without a name), 'class_id' (" in given.note
    assert read_class_table(path, ("class_id",)).dimensions == ("class_id", "legs")
    written = table(tmp_path / "semantics.csv", {"name": ["a", "b"], "id": [1, 2], "legs": [4.0, 2.0]})
    assert read_classes(written)[2] == ("id", "legs")  # a run's own table is read whole
