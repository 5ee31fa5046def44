"""From training to labels with columns in any order, an index, and headers as others write them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gsmflow import sources
from gsmflow.cli import main
from support import strangers
from support.recipes import ARGUMENTS

X = strangers.values()
TRAIN = [*ARGUMENTS, "--protocol", "last"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("columns")
    source = strangers.folder(place / "mine", strangers.features(X))
    assert main(["train", str(source), *TRAIN, "--keep-data", "--out", str(place / "run")]) == 0
    return place / "run"


def answers(run: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> list[dict]:
    assert main(["predict", str(run), str(file), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["predictions"]


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_a_run_keeps_the_names_of_its_features(run: Path) -> None:
    config = tomllib.loads((run / "config.toml").read_text())
    assert config["data"]["feature_names"] == strangers.NAMES
    assert "features.csv: separated by commas, UTF-8, lines end in LF" in config["data"]["notes"]["read as"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_columns_in_another_order(
    ending: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pl.DataFrame(X, schema=strangers.NAMES)
    both = []
    for name, columns in (("straight", strangers.NAMES), ("reversed", strangers.NAMES[::-1])):
        file = tmp_path / f"{name}.{ending}"
        chosen = frame.select(columns).with_row_index("Unnamed: 0")
        chosen.write_csv(file, separator=";") if ending == "csv" else chosen.write_parquet(file)
        both.append(answers(run, file, capsys))
    assert both[0] == both[1]
    assert len(both[0]) == len(X)


def test_a_renamed_column_is_refused_by_name(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = ["id" if name == "f3" else name for name in strangers.NAMES]
    (tmp_path / "renamed.csv").write_text(strangers.written(renamed, X.tolist()))
    line = refusal(["predict", str(run), str(tmp_path / "renamed.csv")], capsys)
    assert "renamed.csv: lacks the feature column f3 and has id" in line
    (tmp_path / "more.csv").write_text(strangers.written([*strangers.NAMES, "g"], np.c_[X, X[:, 0]].tolist()))
    assert "more.csv: has g, unlike" in refusal(["predict", str(run), str(tmp_path / "more.csv")], capsys)


def test_names_in_another_case_and_matrices_of_other_types(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plain.csv").write_text(strangers.written(strangers.NAMES, X.tolist()))
    right = [each["class"] for each in answers(run, tmp_path / "plain.csv", capsys)]
    upper = [name.upper() for name in strangers.NAMES[::-1]]
    (tmp_path / "upper.csv").write_text(strangers.written(upper, X[:, ::-1].tolist()))
    assert [each["class"] for each in answers(run, tmp_path / "upper.csv", capsys)] == right
    for kind in (np.float64, np.float16, ">f4"):  # of multiples of 1/64 below 64, float16 holds enough
        np.save(tmp_path / "new.npy", X.astype(kind))
        assert [each["class"] for each in answers(run, tmp_path / "new.npy", capsys)] == right
    np.save(tmp_path / "new.npy", X.T)
    line = refusal(["predict", str(run), str(tmp_path / "new.npy")], capsys)
    assert "108 feature dimensions, but" in line
    assert "there are 8 rows, so turn it round if each column is a sample" in line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("new.tsv", "rename it to new.csv (tabs may separate cells)"),
        ("new.xlsx", "open it in the spreadsheet program and save it as new.csv"),
        ("new.csv.gz", "unpack it"),
        ("new.arrow", "save it as new.parquet"),
        ("new.pt", "it may run code when it is opened"),
        ("new.abc", "expected .npz, .npy, .csv or .parquet"),
    ],
)
def test_files_that_are_not_read_say_what_to_do(
    name: str, said: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(b"f0,f1\n1,2\n")
    line = refusal(["predict", str(run), str(tmp_path / name)], capsys)
    assert f"{name}: ends in '{Path(name).suffix}', expected .npz, .npy, .csv or .parquet" in line
    assert said in line


def test_features_with_paths_are_no_list_of_images(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [[f"{i}.jpg", *row] for i, row in enumerate(X[:3].tolist())]
    (tmp_path / "new.csv").write_text(strangers.written(["path", *strangers.NAMES], rows))
    assert [each["sample"] for each in answers(run, tmp_path / "new.csv", capsys)] == [
        "0.jpg",
        "1.jpg",
        "2.jpg",
    ]


def test_evaluate_on_columns_in_another_order(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        [*row[::-1], strangers.CLASSES[label]]
        for row, label in zip(X.tolist(), strangers.LABELS, strict=True)
    ]
    text = strangers.written([*strangers.NAMES[::-1], "Class"], rows, delimiter=";", lineterminator="\r\n")
    other = strangers.folder(tmp_path / "other", text)
    scores = []
    for where in ([], [str(other)]):
        assert main(["evaluate", str(run), *where, "--json"]) == 0
        scores.append(json.loads(capsys.readouterr().out)["S"])
    assert scores[0] == scores[1]
    (other / "features.csv").write_text(text.replace("f3", "g3"))
    line = refusal(["evaluate", str(run), str(other)], capsys)
    assert "lacks the feature column f3 and has g3" in line


def test_new_classes_by_name(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = ["", "name", *(f"a{i}" for i in reversed(range(6)))]
    vectors = strangers.ATTRIBUTES[:2] * 0.5 + 0.3
    rows = [[i, f"new {i}", *vector[::-1].tolist()] for i, vector in enumerate(vectors)]
    (tmp_path / "new.csv").write_text(strangers.written(header, rows))
    out = tmp_path / "v2"
    assert (
        main(["add-class", str(run), "--from", str(tmp_path / "new.csv"), "--out", str(out), "--json"]) == 0
    )
    assert "left out 'Unnamed: 0'" in capsys.readouterr().err
    stored = pl.read_csv(out / "semantics.csv")
    assert np.allclose(
        stored.filter(pl.col("name") == "new 1").select(f"a{i}" for i in range(6)).row(0), vectors[1]
    )


def test_new_classes_by_names_in_another_case_or_refused_by_name(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vector = (strangers.ATTRIBUTES[0] * 0.5 + 0.3).tolist()
    table = tmp_path / "new.csv"
    table.write_text(strangers.written(["name", *(f"A{i}" for i in range(6))], [["new", *vector]]))
    out = tmp_path / "v2"
    assert main(["add-class", str(run), "--from", str(table), "--out", str(out), "--json"]) == 0
    capsys.readouterr()
    stored = pl.read_csv(out / "semantics.csv").filter(pl.col("name") == "new")
    assert np.allclose(stored.select(f"a{i}" for i in range(6)).row(0), vector)
    table.write_text(strangers.written(["name", *(f"b{i}" for i in range(6))], [["new", *vector]]))
    line = refusal(["add-class", str(run), "--from", str(table)], capsys)
    assert "lacks the semantic columns a0, a1, a2, a3, a4, a5 and has b0, b1" in line


def test_an_index_is_no_feature_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    extra = {"Unnamed: 0": range(len(X)), "label_id": strangers.LABELS.tolist()}
    source = strangers.folder(tmp_path / "mine", strangers.features(X, extra))
    loaded = sources.load(str(source), data_root=tmp_path)
    assert loaded.feature_names == tuple(strangers.NAMES)
    assert np.array_equal(loaded.features, X.astype(np.float32))
    assert main(["data", str(source)]) == 0
    told = capsys.readouterr().out
    assert (
        "left out: features.csv: 'Unnamed: 0' (an index without a name), 'label_id' (numbers the rows" in told
    )
    assert main(["train", str(source), *TRAIN, "--out", str(tmp_path / "run")]) == 0
    assert "left out: features.csv: 'Unnamed: 0'" in capsys.readouterr().err
    (tmp_path / "new.csv").write_text(strangers.features(X, extra))
    assert len(answers(tmp_path / "run", tmp_path / "new.csv", capsys)) == len(X)


@pytest.mark.parametrize("before", ["", "sep=,\n", "\n", "# by a script\n"])
def test_headers_as_others_write_them(before: str, tmp_path: Path) -> None:
    text = strangers.features(X, {"filename": [f"{i}.jpg" for i in range(len(X))]}, label="Label")
    loaded = sources.load(str(strangers.folder(tmp_path / "mine", before + text)), data_root=tmp_path)
    assert np.array_equal(loaded.features, X.astype(np.float32))
    assert loaded.labels.tolist() == strangers.LABELS.tolist()


def test_lines_that_end_in_cr(tmp_path: Path) -> None:
    text, described = (t.replace("\n", "\r") for t in (strangers.features(X), strangers.classes()))
    loaded = sources.load(str(strangers.folder(tmp_path / "mine", text, described)), data_root=tmp_path)
    assert np.array_equal(loaded.features, X.astype(np.float32))
    assert np.array_equal(loaded.semantics, strangers.ATTRIBUTES.astype(np.float32))
    assert loaded.classes == tuple(strangers.CLASSES)
    assert "lines end in CR" in loaded.notes["read as"]


def test_quotes_escaped_by_backslashes_merge_no_classes(tmp_path: Path) -> None:
    names = [*strangers.CLASSES[:9], '"disc 12\\""', "class 10", '"disc 7\\""']
    lines = strangers.classes().splitlines()
    described = [
        lines[0],
        *(f"{n}{line[line.index(',') :]}" for n, line in zip(names, lines[1:], strict=True)),
    ]
    source = strangers.folder(tmp_path / "mine", strangers.features(X), "\n".join(described) + "\n")
    loaded = sources.load(str(source), data_root=tmp_path)
    assert loaded.classes[9:] == ('disc 12"', "class 10", 'disc 7"')
    assert loaded.unseen.tolist() == [9, 10, 11]
    assert np.array_equal(loaded.semantics, strangers.ATTRIBUTES.astype(np.float32))


def test_what_was_left_out_of_training_is_left_out_of_new_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The very table that a run was trained on is taken by predict and evaluate, and a few rows of it are, too."""
    x = strangers.values()
    extra = {
        "obs": list(range(len(x))),
        "fold": [i % 5 for i in range(len(x))],
        "species_code": [i // 12 for i in range(len(x))],
        "batch no": [f"{i * 7 % 97:04d}" for i in range(len(x))],
    }
    data = strangers.folder(tmp_path / "mine", strangers.features(x, extra))
    assert (
        main(["train", str(data), "--method", "lda", "--protocol", "last", "--out", str(tmp_path / "run")])
        == 0
    )
    lines = (data / "features.csv").read_text().splitlines()
    (tmp_path / "few.csv").write_text("\n".join([lines[0], *lines[5:8]]))
    capsys.readouterr()
    told = []
    for table in (data / "features.csv", tmp_path / "few.csv"):
        assert main(["predict", str(tmp_path / "run"), str(table), "--json"]) == 0, capsys.readouterr().err
        told.append([row["class"] for row in json.loads(capsys.readouterr().out)["predictions"]])
    assert told[1] == told[0][4:7]
    assert main(["evaluate", str(tmp_path / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["same_data"] is True
