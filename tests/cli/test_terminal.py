"""What fits a terminal of 80 columns: progress, tables, counts."""

from __future__ import annotations

import io

import polars as pl
import pytest
from rich.console import Console

from gsmflow.cli.class_counts import ClassCounts
from gsmflow.cli.display import closing_table
from gsmflow.cli.progress import WIDTH, Pace, live_display
from gsmflow.cli.wide import show_table
from gsmflow.protocol.choice import ChosenOn
from gsmflow.studies.tables import Estimate, over_seeds


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_the_time_left_is_that_of_the_whole_command() -> None:
    clock = Clock()
    pace = Pace(3, clock)
    pace.begin(0, 100)
    assert pace.left is None
    clock.seconds = 10
    pace.step(50)
    assert pace.rate == pytest.approx(5)
    assert pace.left == pytest.approx(10 + 2 * 20)  # this stage's rest, and two more like it
    clock.seconds = 40
    pace.begin(0, 100)
    clock.seconds = 50
    pace.step(50)
    assert pace.left == pytest.approx(10 + (40 + 20) / 2)  # the first took 40 s, scoring included


def test_a_first_slow_step_says_nothing_about_the_rest() -> None:
    clock = Clock()
    pace = Pace(8, clock)
    pace.begin(0, 250)
    clock.seconds = 0.5
    pace.step(1)
    assert pace.left is None
    clock.seconds = 2.5
    pace.step(20)
    assert pace.left == pytest.approx(230 / 8 + 7 * 250 / 8)


def test_a_resumed_run_counts_the_stages_that_are_over() -> None:
    pace = Pace(2, Clock())
    with live_display("title", pace, 2) as shown:
        shown.begin("final", 30, 100)
    assert (pace.stage, pace.stages) == (2, 2)


def test_the_line_of_progress_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    pace = Pace(20)
    pace.stage = 11
    with live_display("title", pace, 13) as shown:
        shown.begin("validation 2", 0, 29_860)
        pace._begun -= 3600
        shown.step(12_345, {"loss_flow": -0.5, "loss_prototype": 0.25})
        shown.scored(12_345, {"U": 0.5, "S": 0.5, "H": 0.5})
        bar = shown.bar  # pyright: ignore[reportAttributeAccessIssue]
        drawn = Console(file=io.StringIO(), width=80, color_system=None)
        for each in bar.get_renderables():
            drawn.print(each)
    left = Console(file=io.StringIO(), width=80, color_system=None)
    for each in bar.get_renderables():
        left.print(each)
    assert isinstance(left.file, io.StringIO)
    assert not left.file.getvalue().strip()  # nothing that looks unfinished stays above the scores
    assert isinstance(drawn.file, io.StringIO)
    lines = drawn.file.getvalue().splitlines()
    assert lines[0].startswith("stage 12 of 20 ")
    assert "12345/29860" in lines[0]
    assert lines[0].rstrip().endswith("left")
    assert bar.tasks[0].fields["left"] == ""  # it is over
    assert max(len(line.rstrip()) for line in lines) <= WIDTH
    capsys.readouterr()


NAMES = ["method", "U", "S", "H", "T1", "AUSUC", "seconds", "H minus gsmflow's", "oracle H (chosen on test)"]
LINE = ["without-semantics-in-every-layer", *["54.8 ± 2.2"] * 5, "123", "", "54.8 ± 2.2"]


def table(width: int) -> list[str]:
    """The table as it is printed."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    show_table(console, NAMES, [LINE, LINE])
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_wide_table_becomes_blocks() -> None:
    wide, narrow = table(160), table(80)
    assert sum(LINE[0] in line and line.count("54.8 ± 2.2") == 6 for line in wide) == 2
    assert narrow[0] == LINE[0]
    assert narrow[1].split("  ")[-1] == "54.8 ± 2.2"
    assert all(len(line) <= 80 for line in narrow)
    assert not any("minus" in line for line in narrow)  # an empty cell is left out


@pytest.mark.parametrize("width", range(20, 170, 7))
def test_no_cell_is_cut(width: int) -> None:
    printed = "\n".join(table(width))
    assert printed.count(LINE[0]) == 2
    assert printed.count("54.8 ± 2.2") == 12


def listed_runs(width: int, runs: list[str]) -> list[str]:
    names = ["run", "problem", "method", "protocol", "seed", "U", "S", "H", "T1", "AUSUC", "seconds"]
    lines = [[run, "digits", "eszsl", "validated", run[-1], "", "91.7", "", "", "", "12"] for run in runs]
    console = Console(file=io.StringIO(), width=width, color_system=None)
    show_table(console, names, lines, said_once=names[:5])
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines() if line.strip()]


def test_a_list_of_runs_says_once_what_all_have_in_common() -> None:
    runs = ["a-long-name-of-a-bench/eszsl/seed0", "a-long-name-of-a-bench/eszsl/seed1"]
    assert listed_runs(160, runs)[0] == "run problem method protocol seed U S H T1 AUSUC seconds"
    # Columns without a value go first.
    assert listed_runs(92, runs)[0] == "run problem method protocol seed S seconds"
    narrow = listed_runs(66, runs)
    assert narrow[:2] == ["all: problem digits, method eszsl, protocol validated", "run seed S seconds"]
    assert narrow[3] == f"{runs[0]} 0 91.7 12"
    assert listed_runs(54, runs)[1] == "run S seconds"  # the name of a run says its seed
    folded = listed_runs(40, runs)
    assert folded[1] == "run seed S seconds"
    assert "".join(line.split()[0] for line in folded[3:6]) == runs[0]
    assert listed_runs(20, runs)[0] == runs[0]  # blocks


def test_columns_are_spared_before_a_list_becomes_blocks() -> None:
    names = ["run", "method", "protocol", "S", "H", "AUSUC", "seconds"]
    lines = [
        ["one-run", "lda", "validated", "91.7", "80.1", "60.0", "12"],
        ["another", "auto", "last", "90", "", "", "3"],
    ]

    def shown(width: int) -> list[str]:
        console = Console(file=io.StringIO(), width=width, color_system=None)
        show_table(console, names, lines, said_once=names[:3], spared=["seconds", "AUSUC", "protocol"])
        assert isinstance(console.file, io.StringIO)
        return [" ".join(line.split()) for line in console.file.getvalue().splitlines() if line.strip()]

    assert shown(80)[0] == "run method protocol S H AUSUC seconds"
    assert len(shown(80)) == 4
    narrow = shown(44)
    assert narrow[0] == "run method protocol S H"
    assert narrow[2:] == [
        "one-run lda validated 91.7 80.1",
        "another auto last 90",
        "No room for seconds, AUSUC: a wider terminal or --json has all.",
    ]
    assert shown(12)[:2] == ["one-run", "method lda"]  # blocks, with everything
    assert "seconds 12" in shown(12)


def test_two_seeds_have_no_interval() -> None:
    two, three = Estimate.of([0.5, 0.6]), Estimate.of([0.5, 0.6, 0.55])
    assert two.text() == "55.0"
    assert three.text() == "55.0 ± 12.4"
    assert two.to_dict()["half_width"] is not None  # what programs read stays
    assert over_seeds(2) == "2 seeds, mean (an interval takes 3)"


def test_classes_are_counted_with_those_that_are_unsure() -> None:
    counts = ClassCounts(None)
    for probability in (0.4, 0.9):
        counts.add(
            pl.DataFrame(
                {"class": ["ant", "bee"], "unseen_class": [False, True], "probability": [0.99, probability]}
            )
        )
    assert list(counts.lines()) == [
        "  ant  2",
        "  bee  2, 1 unsure, unseen class",
        "1 of 4 unsure (probability below 0.5)",
    ]
    assert list(ClassCounts(1.0).lines()) == ["0 of 0 unsure (probability below 1)"]


def test_a_table_without_u_says_what_to_expect(capsys: pytest.CaptureFixture[str]) -> None:
    scores = {"U": 0.885, "S": 0.932, "H": 0.906, "AUSUC": 0.8}
    chosen = {"on": ChosenOn.VALIDATION.value, **scores}
    result = {"problem": "zoo", "method": "auto", "seed": 0, "protocol": "validated", "run": "runs/zoo"}
    result |= {"U": None, "S": 0.917, "H": None, "T1": None, "AUSUC": None, "chosen": chosen}
    closing_table(result)
    said = " ".join(capsys.readouterr().out.split())
    assert "expect about 88 %, as classes held out for validation reached" in said
    closing_table(result | scores | {"T1": 0.9})
    assert "expect" not in capsys.readouterr().out
