"""Tables as spreadsheets, data frames, R, MATLAB and people write them: the right values, or one line that helps."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gsmflow import sources
from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.data.warnings import of_problem

NAMES = [f"c{c}" for c in range(8)]
LABELS = np.repeat(np.arange(6), 10)
RANDOM = np.random.default_rng(3)
SEMANTICS = RANDOM.random((8, 4)).round(3)
VALUES = (SEMANTICS[LABELS] @ RANDOM.normal(size=(4, 5)) + 0.3 * RANDOM.normal(size=(60, 5))).round(4)
HEADER = [f"f{d}" for d in range(5)]
Cells = list[list[str]]


def rows(
    number: Callable[[int, int], str] = lambda i, d: repr(float(VALUES[i, d])),
    label: Callable[[int], str] = lambda i: NAMES[LABELS[i]],
    **more: Callable[[int], Any],
) -> Cells:
    """The cells of features.csv, with further columns."""
    body = [
        [*(str(of(i)) for of in more.values()), label(i), *(number(i, d) for d in range(5))]
        for i in range(60)
    ]
    return [[*more, "label", *HEADER], *body]


def classes(
    number: Callable[[int, int], str] = lambda c, a: repr(float(SEMANTICS[c, a])),
    name: Callable[[int], str] = lambda c: NAMES[c],
    header: str = "name",
) -> Cells:
    """The cells of classes.csv."""
    return [
        [header, *(f"a{a}" for a in range(4))],
        *([name(c), *(number(c, a) for a in range(4))] for c in range(8)),
    ]


def text(cells: Cells, separator: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="\n").writerows(cells)
    return out.getvalue()


def read(folder: Path, features: Cells | str | None = None, described: Cells | str | None = None) -> Problem:
    for name, given, usual in (("features.csv", features, rows()), ("classes.csv", described, classes())):
        if given is None or given:
            content = given if isinstance(given, str) else text(given or usual)
            (folder / name).write_text(content, encoding="utf-8", newline="")
    return sources.load(str(folder), data_root=folder)


def same(problem: Problem, values: np.ndarray = VALUES, semantics: np.ndarray = SEMANTICS) -> None:
    """The values that were written, to the last bit of float32, and each row under its class."""
    offset = 0 if problem.offset is None else problem.offset
    assert np.array_equal(
        (problem.features + offset).astype(np.float32), np.asarray(values, np.float64).astype(np.float32)
    )
    assert np.array_equal(problem.semantics, semantics.astype(np.float32))
    assert [problem.classes[label] for label in problem.labels] == [NAMES[label] for label in LABELS]


def refused(folder: Path, *given: Any) -> str:
    with pytest.raises(InputError) as error:
        read(folder, *given)
    assert "\n" not in str(error.value)
    return str(error.value)


# -- cells ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        *(
            ("yes", "no"),
            ("ja", "nein"),
            ("TRUE", "FALSE"),
            ("True", "False"),
            ("Y", "N"),
            ("WAHR", "FALSCH"),
        ),
        *(("t", "f"), ("oui", "non"), ("sí", "no"), ("on", "off"), ("да", "нет")),
    ],
)
def test_yes_and_no_are_one_and_zero(yes: str, no: str, tmp_path: Path) -> None:
    has = (np.arange(8) * 7 % 3 > 0).astype(float)
    shows = (np.arange(60) * 5 % 3 > 0).astype(float)
    described = classes(lambda c, a: (no, yes)[int(has[c])] if a == 1 else repr(float(SEMANTICS[c, a])))
    features = rows(lambda i, d: (no, yes)[int(shows[i])] if d == 2 else repr(float(VALUES[i, d])))
    problem = read(tmp_path, features, described)
    values, semantics = VALUES.copy(), SEMANTICS.copy()
    values[:, 2], semantics[:, 1] = shows, has
    same(problem, values, semantics)
    assert problem.notes["read as 1 and 0"] == "features.csv: f2; classes.csv: a1"


@pytest.mark.parametrize(
    "number",
    [
        lambda v: f"{v:.8E}",
        lambda v: f"{v:+.5f}",
        lambda v: f" {v} ",
        lambda v: repr(v).replace("-", "\u2212"),
        lambda v: repr(v).replace(".", ","),
    ],
    ids=["scientific", "plus", "spaces", "typographic minus", "decimal comma in quotes"],
)
def test_other_ways_to_write_numbers(number: Callable[[float], str], tmp_path: Path) -> None:
    same(read(tmp_path, rows(lambda i, d: number(float(VALUES[i, d])))))


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        *(
            (missing, "the value is missing")
            for missing in ("NA", "n/a", "-", "#N/A", "NULL", ".", "NaN", "None")
        ),
        ("12%", "write percentages without their sign"),
        ("1,234.50", "without marks between thousands"),
        ("1 234.50", "without marks between thousands"),
        ("1'234", "without marks between thousands"),
        ("(0.5)", "with a minus sign"),
        ("$0.5", "without a currency sign"),
        ("3 cm", "without their unit"),
        ("1e400", "within +-3.4e38"),
        ("1e300", "within +-3.4e38; divide the column by a constant"),
        ("0x1F", "correct it or remove the row"),
        ("1.#QNAN", "the value is missing"),
        ("5.31D-01", "write exponents with E"),
        ("'0.5", "write numbers without quotes"),
        ("<0.01", "write the number alone"),
        ("1/2", "write fractions as decimal numbers"),
        ("x", "write 1 where something is so, and 0 where it is not"),
    ],
)
def test_what_is_no_number_is_named_with_what_to_do(cell: str, said: str, tmp_path: Path) -> None:
    features = rows(lambda i, d: cell if (i, d) == (4, 2) else repr(float(VALUES[i, d])))
    told = refused(tmp_path, features)
    assert f"features.csv: line 6, column 'f2' is '{cell}', expected a finite number" in told
    assert said in told
    described = classes(lambda c, a: cell if (c, a) == (3, 0) else repr(float(SEMANTICS[c, a])))
    assert "classes.csv: line 5, column 'a0'" in refused(tmp_path, None, described)


def test_thousands_between_semicolons_are_not_taken_for_fractions(tmp_path: Path) -> None:
    whole = np.round(VALUES * 1e5)
    german = text(rows(lambda i, d: f"{whole[i, d]:,.0f}".replace(",", ".")), ";")
    assert "column 'f0' is '40.610', which may be a fraction or" in refused(tmp_path, german)
    short = np.array([[float(f"{value:.3f}") for value in row] for row in VALUES])
    same(read(tmp_path, text(rows(lambda i, d: f"{VALUES[i, d]:.3f}"), ";")), short)
    same(read(tmp_path, text(rows(lambda i, d: repr(float(VALUES[i, d])).replace(".", ",")), ";")))


def test_whole_numbers_of_more_digits_than_float64_holds(tmp_path: Path) -> None:
    long = lambda i, d: str(2**60 + i * 7919 % 61) if d == 0 else repr(float(VALUES[i, d]))  # noqa: E731
    told = refused(tmp_path, rows(long))
    assert "line 3, column 'f0' is 1152921504606847026, which has more digits" in told
    (tmp_path / "features.csv").unlink()
    exact = (VALUES * 1e4).astype(np.int64)
    np.savez(tmp_path / "features.npz", features=exact + 2**60, labels=np.array(NAMES)[LABELS])
    problem = read(tmp_path, "")
    assert problem.offset is not None
    back = [
        [int(v) + int(o) for v, o in zip(row, problem.offset, strict=True)]
        for row in problem.features.tolist()
    ]
    assert back == (exact.astype(object) + 2**60).tolist()


# -- columns ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("obs", lambda i: i + 1, "a running number"),
        ("Sample", lambda i: f"{i}.0", "a running number"),
        ("code", lambda i: f"{i * 7 % 61:05d}", "codes that begin with zeros"),
        ("species_code", lambda i: LABELS[i], "numbers the classes, one number each"),
        ("Capture Time", lambda i: 1.7e9 + i * i / 3, "a time that runs on"),
        ("date", lambda i: 45000 + i * 5 % 7, "time stamps"),
        ("recorded on date", lambda i: f"2024-01-{1 + i % 28:02d}", "time stamps"),
        ("fold", lambda i: i % 5, "divides the rows"),
        ("is_train", lambda i: i % 5 != 0, "divides the rows"),
        ("remarks", lambda i: "", "empty"),
        ("Unnamed: 7", lambda i: "", "empty"),
    ],
)
def test_columns_that_give_the_answer_away(
    name: str, values: Callable[[int], Any], reason: str, tmp_path: Path
) -> None:
    problem = read(tmp_path, rows(**{name: values}))
    same(problem)
    assert f"'{name}' ({reason}" in problem.notes["left out"]
    if reason != "empty" and "-" not in str(values(0)):
        with_column = read(tmp_path, rows(**{f"feature:{name}": values}))
        if str(values(0)) not in ("True", "False"):
            assert with_column.features[1, 0] == np.float32(
                float(values(1)) - (0 if with_column.offset is None else with_column.offset[0])
            )


@pytest.mark.parametrize("values", [lambda i: i * i, lambda i: int(LABELS[i]) // 2, lambda i: 60 - i + i % 2])
def test_what_only_looks_like_it_stays(values: Callable[[int], Any], tmp_path: Path) -> None:
    problem = read(tmp_path, rows(extra=values))
    assert problem.feature_names == ("extra", *HEADER)
    assert "left out" not in problem.notes


def test_the_index_that_pandas_notes_in_a_parquet_file(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(VALUES, columns=HEADER)
    frame.insert(0, "label", np.array(NAMES)[LABELS])
    index = [
        pd.Index(RANDOM.permutation(60), name="frame"),
        pd.Index([f"v{i}" for i in range(60)], name="video"),
    ]
    frame.set_index(index).to_parquet(tmp_path / "features.parquet")
    problem = read(tmp_path, "")
    same(problem)
    assert (
        "'frame' (the index of a data frame), 'video' (the index of a data frame)"
        in problem.notes["left out"]
    )
    # An index that says the label stays it
    frame.set_index("label").to_parquet(tmp_path / "features.parquet")
    same(read(tmp_path, ""))


def test_rows_beside_a_store_in_another_order(tmp_path: Path) -> None:
    np.save(tmp_path / "features.npy", VALUES.astype(np.float32))
    order = RANDOM.permutation(60)
    table = [["", "label"], *([str(i), NAMES[LABELS[i]]] for i in order)]
    (tmp_path / "features.rows.csv").write_text(text(table))
    told = refused(tmp_path, "")
    assert f"line 2 has {order[0]} in column 'Unnamed: 0', where rows in order have 0" in told
    table[1:] = sorted(table[1:], key=lambda row: int(row[0]))
    (tmp_path / "features.rows.csv").write_text(text(table))
    same(read(tmp_path, ""))


def test_vectors_in_one_column_and_dates_are_named(tmp_path: Path) -> None:
    labels = np.array(NAMES)[LABELS].tolist()
    pl.DataFrame({"label": labels, "embedding": VALUES.tolist()}).write_parquet(tmp_path / "features.parquet")
    assert "column 'embedding' is of type list, expected numbers; write one column a dimension" in refused(
        tmp_path, ""
    )


# -- labels and classes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "name"), [("{}.0", "{}"), ("{}", "{}.0"), ("{:03d}", "{}"), ("{}", "{:02d}")]
)
def test_numbers_as_names(label: str, name: str, tmp_path: Path) -> None:
    problem = read(
        tmp_path, rows(label=lambda i: label.format(LABELS[i])), classes(name=lambda c: name.format(c))
    )
    assert problem.labels.tolist() == LABELS.tolist()
    assert f"'{label.format(0)}' as '{name.format(0)}'" in problem.notes["names"]


def test_whole_numbers_and_bytes_as_labels_of_npz(tmp_path: Path) -> None:
    for labels in (LABELS, LABELS.astype("S")):
        np.savez(tmp_path / "features.npz", features=VALUES, labels=labels)
        assert read(tmp_path, "", classes(name=str)).labels.tolist() == LABELS.tolist()
    np.savez(tmp_path / "features.npz", features=VALUES, labels=LABELS)
    assert "row 1 is labelled '0', which has no row in" in refused(tmp_path, "", classes())


def test_the_column_of_names_wherever_it_stands(tmp_path: Path) -> None:
    same(read(tmp_path, None, [[*row[1:], row[0]] for row in classes()]))
    same(read(tmp_path, None, classes(header="NAME ")))
    same(read(tmp_path, None, classes(header="")))  # the index of a data frame
    told = refused(tmp_path, None, classes(header="species"))
    assert (
        "no column 'name' (found species, a0, a1, a2, a3); rename 'species' to 'name' if it is that" in told
    )
    assert "rename 'class' to 'name' if it is that" in refused(tmp_path, None, classes(header="class"))


def test_classes_in_columns(tmp_path: Path) -> None:
    across = [list(column) for column in zip(*classes(), strict=True)]
    told = refused(tmp_path, None, across)
    assert "classes.csv: the classes (c0, c1, c2, c3, c4, c5) stand in columns" in told
    assert "transpose the table" in told


def test_a_second_header_and_merged_cells(tmp_path: Path) -> None:
    """A line of units, as instruments write it; a label in the first row of each class alone, as merged cells are."""
    head, *body = rows()
    for units in (["", *["cm"] * 5], ["unit", *["cm"] * 5]):
        told = refused(tmp_path, [head, units, *body])
        assert "features.csv: line 2, column" in told
        assert "holds no number, so remove it if it is a second header" in told
    merged = [head, *([row[0] if i % 10 == 0 else "", *row[1:]] for i, row in enumerate(body))]
    told = refused(tmp_path, merged)
    assert "line 3, column 'label' is empty" in told
    assert "where cells were merged, write the text into every row" in told
    body[0][0] = ""  # one slip is no second header
    assert refused(tmp_path, [head, *body]).endswith("is empty; fill it in or remove the row")


def test_a_column_a_class(tmp_path: Path) -> None:
    """One-hot labels, plain and as data frames make them, are named; the class is not guessed."""
    for start in ("", "label_"):
        hot = [[f"{start}{name}" for name in NAMES[:6]] + HEADER]
        hot += [
            [*("1" if LABELS[i] == c else "0" for c in range(6)), *map(repr, VALUES[i].tolist())]
            for i in range(60)
        ]
        told = refused(tmp_path, hot)
        assert f"a column 'label' instead of in a column a class ({start}c0, {start}c1" in told


def test_invisible_letters_in_a_header(tmp_path: Path) -> None:
    head, *body = rows()
    problem = read(tmp_path, [["\u200blabel", "\ufefff0\u200b", *head[2:]], *body])
    same(problem)
    assert problem.feature_names == tuple(HEADER)


def test_texts_and_marks_among_semantics(tmp_path: Path) -> None:
    head, *body = classes()
    told = refused(tmp_path, None, [[*head, "said"], *([*row, "a large animal"] for row in body)])
    assert (
        "column 'said' is 'a large animal', expected a finite number as in every column of semantics" in told
    )
    assert "`gsmflow describe` makes semantics of sentences" in told
    told = refused(tmp_path, None, classes(lambda c, a: "x" if c % 2 else ""))
    assert "classes.csv: line 2, column 'a0' is empty" in told


def of_npz(folder: Path, described: Cells | None = None, **arrays: Any) -> Problem:
    (folder / "classes.csv").write_text(text(described or classes()))
    np.savez(folder / "features.npz", **arrays)
    return sources.load(str(folder), data_root=folder)


def test_arrays_by_other_names_and_in_other_shapes(tmp_path: Path) -> None:
    names = np.array(NAMES)[LABELS]
    same(of_npz(tmp_path, Features=VALUES, LABELS=names))
    same(of_npz(tmp_path, features=VALUES, labels=names[:, None]))  # a column, as MATLAB has it
    same(of_npz(tmp_path, features=VALUES, labels=names[None]))
    plain = classes(name=lambda c: str(c))
    for labels in (LABELS, LABELS.astype(float), LABELS.astype(np.float16)):
        problem = of_npz(tmp_path, plain, features=VALUES, labels=labels)
        assert problem.labels.tolist() == LABELS.tolist()
    for arrays, said in (
        ({"X": VALUES, "y": names}, "no array 'features', only X, y; save it with"),
        ({"features": VALUES, "FEATURES": VALUES, "labels": names[:-1]}, r"shape \(59,\), expected \(60,\)"),
        ({"features": VALUES.T, "labels": names}, "there are 5 rows of 60 features; save features.T"),
        ({"features": VALUES, "labels": np.eye(8)[LABELS]}, r"such as by array.argmax\(axis=1\)"),
        ({"features": VALUES, "labels": LABELS + 0.5}, "values of type float64, expected texts"),
        ({"features": VALUES, "labels": np.where(LABELS, LABELS, np.nan)}, "expected texts"),
    ):
        with pytest.raises(InputError, match=said):
            of_npz(tmp_path, **arrays)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int32, np.uint8, ">f8"])
def test_a_matrix_of_any_real_numbers(kind: Any, tmp_path: Path) -> None:
    """As numpy.save writes it, laid out by rows or by columns, with labels beside it."""
    values = np.round(VALUES * 8 + 40).astype(kind)
    (tmp_path / "classes.csv").write_text(text(classes()))
    pl.DataFrame({"label": np.array(NAMES)[LABELS]}).write_csv(tmp_path / "features.rows.csv")
    for laid_out in (values, np.asfortranarray(values)):
        np.save(tmp_path / "features.npy", laid_out)
        same(sources.load(str(tmp_path), data_root=tmp_path), values)
    for wrong, said in (
        (values.astype(complex), "expected a matrix of real numbers"),
        (values.astype(str), "expected a matrix of real numbers"),
        (values[0], "expected a matrix of real numbers"),
        (np.where(values > values.min(), values, np.float64("inf")), "is inf, expected a finite number"),
        (values.astype(np.float64) * 1e300, "expected a finite number"),
    ):
        np.save(tmp_path / "features.npy", wrong)
        with pytest.raises(InputError, match=said):
            sources.load(str(tmp_path), data_root=tmp_path)


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04\x14\x00" + bytes(64), "a workbook (.xlsx, .ods)"),
        (gzip.compress(text(rows()).encode()), "packed by gzip; unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\xef\xbb\xbf<!DOCTYPE html>\n<html>404", "a web page"),
        (b"PAR1" + bytes(64), "name it .parquet"),
        (bz2.compress(text(rows()).encode()), "packed by bzip2; unpack it"),
        (lzma.compress(text(rows()).encode()), "packed by xz; unpack it"),
        (b"\x28\xb5\x2f\xfd" + bytes(64), "packed by Zstandard; unpack it"),
        (b"ARROW1\x00\x00" + bytes(64), "save it as Parquet"),
        (text(rows()).replace(",", " ").encode(), "separate cells by commas, semicolons, tabs or bars"),
        (b"\x93NUMPY" + bytes(64), "name it .npy"),
    ],
)
def test_files_of_another_kind(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text(text(classes()))
    (tmp_path / "features.csv").write_bytes(content)
    assert said in refused(tmp_path, "", "")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("features.CSV", "there is features.CSV: rename it to features.csv"),
        ("Features.tsv", "there is Features.tsv: rename it to features.csv"),
        ("features.xlsx", "save it as features.csv"),
        ("features.csv.gz", "there is features.csv.gz: unpack it"),
        ("features.feather", "there is features.feather: save it as features.parquet"),
        ("features.pkl", "it may run code when it is opened"),
    ],
)
def test_files_under_nearly_the_right_name(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text(rows()))
    assert said in refused(tmp_path, "")


def test_names_of_rows_without_a_header_of_their_own(tmp_path: Path) -> None:
    lines = text(rows()).splitlines()
    with_names = "\n".join([lines[0], *(f"{i},{line}" for i, line in enumerate(lines[1:]))])
    told = refused(tmp_path, with_names)
    assert "line 2 has 7 cells, but the header (line 1) has 6; where every line has one more" in told
    assert "leave it out, or name it in the header" in told


# -- slips that are told ----------------------------------------------------------------------


def kinds(problem: Problem) -> dict[str, str]:
    return {concern.kind: concern.text for concern in of_problem(problem)}


def test_nothing_is_odd_about_the_tables_themselves(tmp_path: Path) -> None:
    assert kinds(read(tmp_path)) == {}


def test_features_that_count_or_say_the_class_in_files_without_names(tmp_path: Path) -> None:
    labels = np.array(NAMES)[LABELS]
    level = np.array([0.3, 0.1, 0.3, 0.7, 0.2, 0.9])[LABELS]  # one value a class
    np.savez(tmp_path / "features.npz", features=np.c_[np.arange(60) ** 1.5, VALUES, level], labels=labels)
    told = kinds(read(tmp_path, ""))
    assert "1 feature that never falls, or never rises, from row to row: feature 1." in told["running"]
    assert "1 feature with the same value for every sample of a class: feature 7." in told["telling"]
    assert set(told) == {"running", "telling"}


def test_slips_in_descriptions(tmp_path: Path) -> None:
    slip = classes(lambda c, a: "85" if (c, a) == (2, 1) else repr(float(SEMANTICS[c, a])))
    assert "a1 of c2 is 85, of the others" in kinds(read(tmp_path, None, slip))["far"]
    total = [*classes(), ["Total", *map(str, SEMANTICS.sum(axis=0))]]
    assert (
        "A class named Total: it looks like a row of totals" in kinds(read(tmp_path, None, total))["totals"]
    )
    counted = [[*row, "nr." if i == 0 else str(i)] for i, row in enumerate(classes())]
    assert "counts the classes in their order: nr.." in kinds(read(tmp_path, None, counted))["counting"]


def test_marks_for_missing_values(tmp_path: Path) -> None:
    marked = classes(lambda c, a: "-1" if (c, a) in ((2, 1), (5, 1)) else repr(float(SEMANTICS[c, a])))
    assert "a1 (-1 for 2 classes)" in kinds(read(tmp_path, None, marked))["marker"]
    gone = rows(lambda i, d: "-999" if (i, d) == (7, 2) else repr(float(abs(VALUES[i, d]))))
    assert "f2 (-999 in 1 samples)" in kinds(read(tmp_path, gone))["marker"]
    ternary = classes(lambda c, a: str(c * 5 % 3 - 1) if a == 1 else repr(float(SEMANTICS[c, a])))
    assert "marker" not in kinds(read(tmp_path, rows(), ternary))


def test_labels_that_seem_to_count_from_one(tmp_path: Path) -> None:
    numbered = classes(name=str)
    told = kinds(read(tmp_path, rows(label=lambda i: str(LABELS[i] + 1)), numbered))["numbering"]
    assert "Classes are numbered 0 to 7, and labels 1 to 6: no sample is of class 0" in told
    for label in (lambda i: str(LABELS[i]), lambda i: str(LABELS[i] + 2)):
        assert "numbering" not in kinds(read(tmp_path, rows(label=label), numbered))


@pytest.mark.parametrize(
    "when", ["2026-03-{:02} 12:30:00", "2026-03-{:02}T12:30:00Z", "{}.3.2026", "3/{}/26 8:05", "12:{:02}"]
)
def test_a_column_of_dates_is_left_out_whatever_it_is_called(when: str, tmp_path: Path) -> None:
    problem = read(tmp_path, rows(Zeit=lambda i: when.format(1 + i % 28)))
    assert problem.feature_names == tuple(HEADER)
    assert "'Zeit' (dates or times)" in problem.notes["left out"]
    same(problem)


def test_columns_of_texts_are_refused_together(tmp_path: Path) -> None:
    cells = rows(Maschine=lambda i: f"M{i % 2}")
    cells[0][cells[0].index("label")] = "Zustand"
    said = refused(tmp_path, cells)
    assert "2 columns hold no numbers: 'Maschine' ('M0'), 'Zustand' ('c0')" in said
    assert "name the one that has the class of each row 'label'" in said


def test_tables_by_other_names_are_read_where_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "messung.csv").write_text(text(rows()))
    (tmp_path / "merkmale.csv").write_text(text(classes()))
    with pytest.raises(InputError, match="such as `features` messung `semantics` merkmale"):
        sources.load(str(tmp_path), data_root=tmp_path / "none")
    problem = sources.load(
        str(tmp_path), data_root=tmp_path / "none", features="messung", semantics="merkmale"
    )
    same(problem)


def test_classes_as_arrays(tmp_path: Path) -> None:
    """Vectors of a text model, with names or numbered; the labels of an .npz file may be numbers too."""
    (tmp_path / "features.csv").write_text(text(rows()))
    np.savez(tmp_path / "classes.npz", semantics=SEMANTICS, names=np.array(NAMES))
    same(sources.load(str(tmp_path), data_root=tmp_path))
    (tmp_path / "features.csv").unlink()
    np.savez(tmp_path / "features.npz", features=VALUES, labels=LABELS)
    np.savez(tmp_path / "classes.npz", semantics=SEMANTICS)
    numbered = sources.load(str(tmp_path), data_root=tmp_path)
    assert [numbered.classes[label] for label in numbered.labels] == [str(label) for label in LABELS]
    np.testing.assert_array_equal(numbered.semantics, SEMANTICS.astype(np.float32))
    wrong = SEMANTICS.copy()
    wrong[2, 1] = np.nan
    for arrays, said in (
        ({"semantics": wrong}, "semantics: row 3, column 2 is nan, expected a finite number"),
        ({"semantics": SEMANTICS[0]}, "semantics: shape (4,)"),
        ({"semantics": SEMANTICS, "names": np.array(["a", "b"])}, "names: shape (2,)"),
        ({"semantics": SEMANTICS, "names": np.array(["a"] * 8)}, "rows 1 and 2 are both 'a'"),
        (
            {"embeddings": SEMANTICS},
            "no array 'semantics', only embeddings; save it with numpy.savez(semantics=",
        ),
    ):
        np.savez(tmp_path / "classes.npz", **arrays)
        with pytest.raises(InputError, match=r"classes\.npz") as error:
            sources.load(str(tmp_path), data_root=tmp_path)
        assert said in str(error.value)
    (tmp_path / "classes.csv").write_text(text(classes()))
    with pytest.raises(InputError, match=r"classes.csv and classes.npz are both there; keep one"):
        sources.load(str(tmp_path), data_root=tmp_path)
