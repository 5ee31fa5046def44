"""Cells as JSON, and the one function that makes a run of them, here and where a cluster sends it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from gsmflow.base.errors import InputError
from gsmflow.runs.folder import CONFIG, METRICS, read_metrics
from gsmflow.studies.cells import Cell, Variant, cells_of
from gsmflow.studies.worker import make_run, place, train_cell
from support.processes import gsmflow
from support.recipes import ARGUMENTS, PROBLEM


def cell(**changed: Any) -> Cell:
    values: dict[str, Any] = {
        "problem": PROBLEM,
        "variant": Variant("lda", "lda", "best", ("head.calibrate=on",)),
        "seed": 2,
        "protocol": "validated",
        "oracle": True,
        "data_root": Path("data"),
        "device": "cpu",
    }
    return Cell(**(values | changed))


def without_seconds(metrics: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metrics.items() if key not in ("seconds", "run")}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"place": Path("runs/x"), "resume": False, "keep_data": True, "tensorboard": True},
        {"features": "f", "semantics": "s", "preset": "p.toml", "checkpoint_seconds": 0.5},
        {"variant": Variant("all options", "gsmflow", None, ("a=1", "b=é,2"))},
    ],
)
def test_a_cell_is_plain_json_and_comes_back_the_same(changed: dict[str, Any]) -> None:
    sent = cell(**changed)
    told = json.loads(sent.job(Path("root"), 3))
    assert Cell.from_dict(told["cell"]) == sent
    assert told["folder"] == str(sent.folder(Path("root")))
    assert told["threads"] == 3
    assert "\n" not in sent.job(Path("root"), 3)  # a worker reads one line


def test_the_folder_of_a_cell() -> None:
    assert cell(problem="../my data").folder(Path("b")) == Path("b/my-data/lda/seed2")
    assert cell(place=Path("elsewhere")).folder(Path("b")) == Path("elsewhere")


def test_cells_come_seed_by_seed() -> None:
    variants = [Variant("a", "lda"), Variant("b", "eszsl")]
    cells = cells_of(
        ["P", "Q"],
        variants,
        [0, 1],
        features={"": "f", "Q": "g"},
        semantics={},
        presets={"P": "p"},
        protocol="last",
        oracle=False,
        data_root=Path("data"),
    )
    assert [(c.problem, c.seed, c.variant.label) for c in cells[:4]] == [
        *(("P", 0, "a"), ("P", 0, "b"), ("P", 1, "a"), ("P", 1, "b"))
    ]
    assert {(c.problem, c.features, c.preset) for c in cells} == {("P", "f", "p"), ("Q", "g", None)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("cells")
    return root, make_run(cell().job(root, 1))


def test_the_run_of_a_job_is_that_of_the_command(run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    root, metrics = run
    words = [
        "train",
        PROBLEM,
        "--method",
        "lda",
        "--preset",
        "best",
        "--set",
        "head.calibrate=on",
        "--oracle",
    ]
    done = gsmflow(*words, "--seed", "2", "--device", "cpu", "--threads", "1", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert without_seconds(json.loads(done.stdout)) == without_seconds(metrics)
    assert read_metrics(cell().folder(root)) == metrics


def test_a_finished_cell_is_told_from_another_one(run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    root, metrics = run
    assert cell().finished(root) == metrics
    assert cell().finished(tmp_path) is None
    assert make_run(cell().job(root, 1)) == metrics  # a job that is done is not done again
    other = cell(variant=Variant("lda", "lda", "best", ("head.calibrate=off",)))
    with pytest.raises(InputError, match=r"options\.head\.calibrate = True, this command False"):
        other.finished(root)
    with pytest.raises(InputError, match=r"run\.oracle = True, this command False"):
        cell(oracle=False).finished(root)
    with pytest.raises(InputError, match="add `resume`"):
        cell(place=cell().folder(root), resume=False).finished(root)


def test_a_job_sent_away_comes_back_as_files_that_are_the_run(
    run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root, metrics = run
    result, failure, files = train_cell(cell().job(tmp_path, 1))
    assert failure == ""
    assert result is not None
    assert without_seconds(result) == without_seconds(metrics)
    assert not list(tmp_path.iterdir())  # nothing is written but where it is placed
    folder = cell().folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text("unfinished")
    place(folder, files)
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in cell().folder(root).iterdir() if path.name != ".lock"
    }
    assert cell().finished(tmp_path) == result


def test_a_job_that_cannot_be_done_says_why(tmp_path: Path) -> None:
    result, failure, files = train_cell(cell(problem="nowhere").job(tmp_path, 1))
    assert result is None
    assert "nowhere" in failure
    assert not files
    diverging = [part for part in ARGUMENTS if part != "--set"] + ["gsmflow.learning_rate=1e30"]
    sent = cell(variant=Variant("x", "gsmflow", "best", tuple(diverging)), protocol="last", oracle=False)
    result, failure, _ = train_cell(sent.job(tmp_path, 1))
    assert result is None
    assert "lower the learning rate" in failure


def test_a_worker_without_a_job_says_so(tmp_path: Path) -> None:
    with (tmp_path / "empty").open("w+") as nothing:
        done = gsmflow("worker", cwd=tmp_path, given=nothing.fileno())
    assert done.returncode == 2
    assert done.stderr.startswith("gsmflow: standard input: ended before a job was given")


def test_the_plain_values_are_all_fields() -> None:
    assert cell().to_dict().keys() == asdict(cell()).keys()
    assert METRICS not in cell().to_dict()
