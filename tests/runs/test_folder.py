"""Run folders: names, what makes one finished, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gsmflow.base.errors import InputError
from gsmflow.files.checksums import check
from gsmflow.recipes.recipe import make_recipe
from gsmflow.runs.finished import check_finished
from gsmflow.runs.folder import (
    Request,
    finish,
    folder_name,
    load_backbone,
    load_classifier,
    new_folder,
    read_config,
    read_metrics,
    read_problem,
    refuse_taken,
    write_classes,
)
from support.recipes import problem

OLD = Path(__file__).parent / "old" / "linear"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return shutil.copytree(OLD, tmp_path / "run")


def test_new_folders_are_numbered_and_resume_takes_the_newest(tmp_path: Path) -> None:
    request = Request("some where/mine", None, None, "last", False, 7)
    recipe = make_recipe("lda", "best")
    name = "mine-lda-last-seed7"
    assert new_folder(tmp_path, request, recipe, resume=False) == tmp_path / name
    assert new_folder(tmp_path, request, recipe, resume=True) == tmp_path / name
    for taken in (name, f"{name}-2"):
        (tmp_path / taken).mkdir()
    assert new_folder(tmp_path, request, recipe, resume=False) == tmp_path / f"{name}-3"
    assert new_folder(tmp_path, request, recipe, resume=True) == tmp_path / f"{name}-2"


@pytest.mark.parametrize(
    ("text", "name"),
    [("AWA2", "AWA2"), ("../my data", "my-data"), ("..", "else"), ("", "else"), ("a" * 400, "a" * 150)],
)
def test_names_lead_nowhere_else(text: str, name: str) -> None:
    assert folder_name(text, "else") == name


def test_metrics_are_what_makes_a_run_finished(run: Path) -> None:
    check_finished(run)
    (run / "metrics.json").unlink()
    with pytest.raises(InputError, match="holds an unfinished run"):
        check_finished(run)
    with pytest.raises(InputError, match="holds a run already"):
        refuse_taken(run)
    (run / "config.toml").unlink()
    with pytest.raises(InputError, match="holds no run"):
        check_finished(run)
    refuse_taken(run)
    with pytest.raises(InputError, match="no such run folder"):
        check_finished(run / "nowhere")


def test_the_run_that_may_be_meant_is_named(run: Path) -> None:
    with pytest.raises(InputError, match=f"holds no run; name one in it: {run}$"):
        check_finished(run.parent)
    with pytest.raises(InputError, match=f"no such run folder; did you mean '{run}'"):
        check_finished(run.with_name(f"{run.name}s"))
    with pytest.raises(InputError, match="is a file, expected the folder of a run"):
        check_finished(run / "config.toml")


def test_finish_lists_every_file_and_writes_metrics_last(tmp_path: Path) -> None:
    write_classes(tmp_path, problem())
    (tmp_path / ".hidden").write_text("")
    finish(tmp_path, {"H": 0.5})
    listed = {line.split()[1] for line in (tmp_path / "checksums.txt").read_text().splitlines()}
    assert listed == {"classes.json", "semantics.csv", "metrics.json"}
    assert read_metrics(tmp_path) == {"H": 0.5}
    classes = json.loads((tmp_path / "classes.json").read_text())
    assert [each["name"] for each in classes] == list(problem().classes)
    assert [each["seen"] for each in classes] == [c in problem().seen for c in range(len(classes))]
    (tmp_path / "semantics.csv").write_text("name\n")
    with pytest.raises(InputError, match="does not match its checksum"):
        check(tmp_path / "semantics.csv")


def test_damaged_files_are_refused(run: Path) -> None:
    (run / "checksums.txt").unlink()
    (run / "classes.json").write_text('["a", "b"]')
    with pytest.raises(InputError, match="expected a list of objects with a name"):
        load_classifier(run)
    (run / "classes.json").write_text("[")
    with pytest.raises(InputError, match=r"classes\.json"):
        load_classifier(run)
    (run / "config.toml").write_text("[run")
    with pytest.raises(InputError, match="not valid TOML"):
        read_config(run)


@pytest.mark.parametrize("table", ["run", "options", "data"])
def test_a_configuration_without_a_table_is_refused(tmp_path: Path, table: str) -> None:
    tables = {"run": "", "options": "", "data": ""}
    del tables[table]
    (tmp_path / "config.toml").write_text("".join(f"[{name}]\n" for name in tables))
    with pytest.raises(InputError, match=rf"config\.toml: has no table \[{table}\]"):
        read_config(tmp_path)


def test_a_run_of_features_knows_no_backbone(run: Path) -> None:
    with pytest.raises(InputError, match="features of unknown origin"):
        load_backbone(run)


def test_the_kept_problem_is_compared_with_the_fingerprint(run: Path, tmp_path: Path) -> None:
    config = read_config(run)
    problem, same = read_problem(run, config, data_root=tmp_path)
    assert same
    assert problem.classes == load_classifier(run).classes
    config["data"]["fingerprint"]["features"] = "0" * 16
    assert not read_problem(run, config, data_root=tmp_path)[1]
    (run / "data.safetensors").unlink()
    config["run"]["problem"] = "data given to fit"
    with pytest.raises(InputError, match="keep_data=True"):
        read_problem(run, config, data_root=tmp_path)
