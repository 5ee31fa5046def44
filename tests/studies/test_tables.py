"""Tables of finished runs: means, paired differences and what they allow to say, in every format."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from gsmflow.studies.tables import Estimate, Row, comma_separated, findings, latex, markdown, rows_of


def metrics(h: float, oracle: float | None = None, **more: Any) -> dict[str, Any]:
    scores = {"U": h, "S": h, "H": h, "T1": None, "AUSUC": h / 2, "seconds": {"total": 3.0}}
    return scores | more | ({"oracle": {"H": oracle}} if oracle else {})


def rows() -> list[Row]:
    results = {
        ("P", "ours", 0): metrics(0.50, 0.6, shifts={"variance": 0.9}),
        ("P", "theirs", 0): metrics(0.40, 0.5),
        ("P", "ours", 1): metrics(0.60, 0.7, shifts={"variance": 0.7}),
        ("P", "theirs", 1): metrics(0.52, 0.5),
        ("P", "broken_%", 0): None,
        ("P", "broken_%", 1): None,
    }
    return rows_of(
        results, protocol="validated", reference="ours", others={"variance shift": ("shifts", "variance")}
    )


def test_means_intervals_and_paired_differences() -> None:
    ours, theirs, broken = rows()
    assert ours.scores["H"].mean == pytest.approx(0.55)
    assert ours.scores["H"].half == pytest.approx(12.706 * 0.05, rel=1e-3)  # t of 1 degree of freedom
    assert ours.difference is None
    assert theirs.difference is not None
    assert theirs.difference.mean == pytest.approx(-0.09)
    assert theirs.difference.half == pytest.approx(12.706 * 0.01, rel=1e-3)  # of the differences, not of H
    assert ours.others["variance shift"].mean == pytest.approx(0.8)
    assert theirs.others["variance shift"].count == 0
    assert broken.failed == (0, 1)
    assert broken.scores["H"].text() == "-"
    assert ours.scores["T1"].text() == "-"
    assert ours.oracle is not None
    assert ours.oracle.mean == pytest.approx(0.65)


def test_settings_other_than_the_usual_are_labelled_everywhere_and_do_not_compete() -> None:
    label = "upper bound: trained on real samples of unseen classes"
    results = {
        ("P", method, seed): metrics(h + seed / 100, **({"setting": setting} if setting else {}))
        for method, h, setting in (("a", 0.4, ""), ("a+more", 0.5, "transductive"), ("bound", 0.9, label))
        for seed in range(3)
    }
    rows = rows_of(results, protocol="last", reference="a")
    assert [row.setting.value for row in rows] == ["inductive", "transductive", label]
    assert rows[2].difference is None
    assert rows[1].difference is not None
    lines = markdown(rows, "a").splitlines()
    assert [line.split(" | ")[2] for line in lines[2:]] == ["inductive", "transductive", label]
    assert lines[1].startswith("| --- | --- | --- | ---: |")
    bold = [line for line in latex(rows, "a").splitlines() if "textbf" in line]
    assert len(bold) == 1
    assert bold[0].startswith("P & a & inductive")
    told = list(csv.DictReader(io.StringIO(comma_separated(rows))))
    assert [row["setting"] for row in told] == ["inductive", "transductive", label]
    assert rows[2].to_dict()["setting"] == label
    (said,) = findings(rows, "a")
    assert "H of a+more (transductive) is 10.0 points above that of a" in said
    assert "setting" not in markdown(
        rows_of({k: m for k, m in results.items() if k[1] == "a"}, protocol="last", reference=None), None
    )


def test_a_seed_that_only_one_of_them_has_does_not_enter_the_difference() -> None:
    results = {
        ("P", "ours", 0): metrics(0.5),
        ("P", "theirs", 0): metrics(0.4),
        ("P", "ours", 1): None,
        ("P", "theirs", 1): metrics(0.9),
    }
    theirs = rows_of(results, protocol="last", reference="ours")[1]
    assert theirs.difference is not None
    assert theirs.difference.mean == pytest.approx(-0.1)
    assert theirs.difference.count == 1


def test_markdown_and_csv_hold_the_same_rows() -> None:
    lines = markdown(rows(), "ours").splitlines()
    assert lines[0].startswith("| problem | method | U | S | H |")
    assert "oracle H (chosen on test)" in lines[0]
    assert len(lines) == 2 + 3
    table = list(csv.DictReader(io.StringIO(comma_separated(rows()))))
    assert [line["method"] for line in table] == ["ours", "theirs", "broken_%"]
    assert float(table[0]["H"]) == pytest.approx(0.55)
    assert table[2]["H"] == ""
    assert float(table[1]["difference_H"]) == pytest.approx(-0.09)


def test_latex_escapes_names_and_marks_the_best() -> None:
    text = latex(rows(), "ours")
    assert r"broken\_\%" in text
    assert r"\textbf{55.0}" in text  # two seeds: no interval
    assert text.count(r"\textbf") == 1
    assert text.count(r"\\") == 4


def test_plain_values_are_json() -> None:
    plain = [row.to_dict() for row in rows()]
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    ours, theirs, broken = plain
    assert list(ours)[:3] == ["problem", "method", "protocol"]
    assert ours["H"] == {
        "mean": pytest.approx(0.55),
        "half_width": pytest.approx(0.635, abs=1e-3),
        "seeds": 2,
    }
    assert ours["T1"] == {"mean": None, "half_width": None, "seeds": 0}  # what is not a number is nothing
    assert ours["oracle_H"]["mean"] == pytest.approx(0.65)
    assert ours["difference_H"] is None
    assert theirs["difference_H"]["mean"] == pytest.approx(-0.09)
    assert theirs["variance shift"]["mean"] is None
    assert broken["H"] == {"mean": None, "half_width": None, "seeds": 0}
    assert broken["oracle_H"] is None
    assert broken["failed_seeds"] == [0, 1]


@pytest.mark.parametrize(
    ("mean", "half", "count", "words"),
    [
        (0.06, 0.02, 5, "excludes zero"),
        (-0.06, 0.07, 5, "includes zero: no difference is shown"),
        (0.06, float("nan"), 1, "one seed allows no conclusion"),
    ],
)
def test_findings_say_what_intervals_allow(mean: float, half: float, count: int, words: str) -> None:
    row = rows()[1]
    compared = Row("P", "x", "last", row.scores, row.seconds, None, Estimate(mean, half, count))
    (sentence,) = findings([compared], "ours")
    assert words in sentence
    assert ("above" if mean > 0 else "below") in sentence


def test_a_run_without_h_does_not_enter_the_difference() -> None:
    results = {
        ("P", "ours", 0): metrics(0.50),
        ("P", "theirs", 0): metrics(0.40) | {"H": None, "U": None},
        ("P", "theirs", 1): metrics(0.40),
        ("P", "ours", 1): metrics(0.60),
    }
    theirs = rows_of(results, protocol="last", reference="ours")[1]
    assert theirs.difference is not None
    assert (theirs.difference.count, theirs.difference.mean) == (1, pytest.approx(-0.2))
