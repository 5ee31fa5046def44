"""The whole journey in a folder whose name is full of signs that mean something to somebody, and in a plain one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from fastapi.testclient import TestClient

from gsmflow.cli import main
from gsmflow.report.record import read
from gsmflow.runs.folder import load_classifier
from gsmflow.serve.app import create_app
from gsmflow.serve.limits import Limits
from gsmflow.serve.service import Service
from support.pictures import SIDE, digits, patches_model
from support.recipes import ARGUMENTS, PROBLEM

ODD = 'br[v2] *? #1 100%41 {a,b} "it\'s" ~ k=v $HOME [red] ünïcödé Ωмир 名前'
SHORT = [*ARGUMENTS, "--set", "gsmflow.epochs=2", "--protocol", "last"]
CODES = [
    "1111110",
    "0110000",
    "1101101",
    "1111001",
    "0110011",
    "1011011",
    "1011111",
    "1110000",
    "1111111",
    "1111011",
]


def said(command: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command says with --json."""
    capsys.readouterr()
    assert main([*command, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def journey(place: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """From pictures to an answer of the service; all that does not tell where it was made."""
    mine, run, new = place / "data", place / "run", place / "new"
    digits(mine / "images", 100, leave_out=(9,))
    digits(new, 20)
    model = str(patches_model(place / "model.onnx"))
    rows = [f"digit {digit},{','.join(code)},{digit / 10}" for digit, code in enumerate(CODES)]
    (place / "described.csv").write_text("name,a,b,c,d,e,f,g,h\n" + "\n".join(rows) + "\n")
    results: dict[str, Any] = {}
    look = ["--backbone", model, "--size", str(SIDE), "--crop", "1"]
    results["extract"] = said(
        ["extract", str(mine / "images"), *look, "-o", str(mine / "features.npz")], capsys
    )["features"]
    results["describe"] = said(
        ["describe", str(place / "described.csv"), "-o", str(mine / "classes.csv")], capsys
    )["classes"]
    results["data"] = said(["data", str(mine)], capsys)["counts"]
    assert main(["data", str(mine)]) == 0
    assert str(place.name if mine == place else mine.name) in capsys.readouterr().out
    metrics = said(["train", str(mine), *SHORT, "--keep-data", "--out", str(run)], capsys)
    results["train"] = {key: value for key, value in metrics.items() if key not in ("seconds", "run")}
    shutil.copyfile(mine / "features.npz", place / "new.npz")
    features = np.load(mine / "features.npz")["features"][:30]
    table = pl.DataFrame(features, schema=[f"f{index}" for index in range(features.shape[1])])
    for shard in ("day1/a.parquet", "day2/b.parquet"):
        (place / shard).parent.mkdir()
        table.write_parquet(place / shard)
    table.write_csv(place / "new.csv")
    for source in ("new", "new.npz", "new.csv", "day1", "day1/a.parquet", "day*/*.parquet"):
        for ending in ("csv", "parquet"):
            out = place / f"labels.{ending}"
            assert main(["predict", str(run), str(place / source), "-o", str(out)]) == 0, (
                capsys.readouterr().err
            )
            labelled = pl.read_csv(out, glob=False) if ending == "csv" else pl.read_parquet(out, glob=False)
            results[f"predict {source} {ending}"] = labelled["probability"].round(9).to_list()
    results["evaluate"] = [said(["evaluate", str(run), *more], capsys)["S"] for more in ([], [str(mine)])]
    added = said(["add-class", str(run), "--name", "ten", "--attributes", "1,0,1,0,1,0,1,0.9"], capsys)
    assert added["run"] == str(place / "run-v2")
    results["add-class"] = added["after"]
    assert (
        main(
            ["report", str(run), str(place / "run-v2"), "--embedding", "pca", "--out", str(place / "r.html")]
        )
        == 0
    )
    assert (place / "r.html").stat().st_size > 10_000
    assert not any(
        "cannot be read" in note for record in read([run], Path("none")) for note in record.missing
    )
    results["export"] = said(["export", str(run), "--onnx", "--images", "-o", str(place / "c.onnx")], capsys)[
        "classes"
    ]
    service = Service(run, data_root=Path("none"), device=torch.device("cpu"))
    client = TestClient(create_app(service, Limits(hosts=("testserver",))))
    answer = client.post("/v1/predict", json={"features": features[:2].tolist()})
    assert answer.status_code == 200
    results["serve"] = answer.json()["predictions"]
    return results


def test_an_odd_folder_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, odd = tmp_path / "plain", tmp_path / ODD
    (plain / "data").mkdir(parents=True)
    (odd / "data").mkdir(parents=True)
    expected, got = journey(plain, capsys), journey(odd, capsys)
    assert expected.keys() == got.keys()
    for step, value in expected.items():
        assert value == got[step], step


def test_a_problem_whose_own_name_is_odd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = [f"{name},{','.join(map(str, rng.random(3)))}" for name in "abcdef" for _ in range(6)]
    (folder / "features.csv").write_text("label,f0,f1,f2\n" + "\n".join(rows) + "\n")
    (folder / "classes.csv").write_text(
        "name,p,q\n" + "".join(f"{c},{i},{i * i + 1}\n" for i, c in enumerate("abcdefg"))
    )
    capsys.readouterr()
    assert main(["data", str(folder)]) == 0
    assert f"{ODD}: read and checked" in " ".join(capsys.readouterr().out.split())
    assert main(["train", str(folder), *SHORT, "--out", str(tmp_path / "run")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{ODD}: gsmflow, seed 0" in shown


def test_a_run_folder_with_brackets_beside_one_that_they_would_match(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd, decoy = tmp_path / "x[12]", tmp_path / "x1"
    first = said(["train", PROBLEM, *SHORT, "--keep-data", "--out", str(odd)], capsys)
    second = said(["train", PROBLEM, *SHORT, "--keep-data", "--seed", "1", "--out", str(decoy)], capsys)
    assert first["S"] != second["S"]
    assert said(["evaluate", str(odd)], capsys)["S"] == first["S"]
    service = Service(odd, data_root=Path("none"), device=torch.device("cpu"))
    assert service.version.metrics["seed"] == 0
    added = said(["add-class", str(odd), "--name", "new", "--attributes", "1,0,1,0,1,0"], capsys)
    assert added["run"] == str(tmp_path / "x[12]-v2")
    assert added["before"]["S"] == first["S"]
    # The same of tables, and of output that is there already under a name that a pattern would match.
    classifier = load_classifier(odd)
    rng = np.random.default_rng(0)
    tables = {name: rng.normal(size=(5, 10)).astype(np.float32) for name in ("t[12]", "t1")}
    for name, values in tables.items():
        pl.DataFrame(values, schema=[f"f{i}" for i in range(10)]).write_parquet(tmp_path / f"{name}.parquet")
        shutil.copyfile(tmp_path / f"{name}.parquet", tmp_path / f"{name}-copy.parquet")
    for name, values in tables.items():
        out = tmp_path / f"out of {name}.parquet"
        assert main(["predict", str(odd), str(tmp_path / f"{name}.parquet"), "-o", str(out)]) == 0
        best = classifier.probabilities(values).max(axis=1)
        np.testing.assert_array_equal(pl.read_parquet(out, glob=False)["probability"], best)
