"""Run folders that version 0.1.0 wrote, one for each kind of head: they load, predict, export and take classes.

``old/<kind>/expected.csv`` is what that version predicted for ``old/new.csv``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from gsmflow.cli import main
from gsmflow.runs.folder import load_classifier, read_config, read_metrics
from gsmflow.serve.service import Service

OLD = Path(__file__).parent / "old"
KINDS = sorted(path.name for path in OLD.iterdir() if (path / "metrics.json").exists())


def probabilities(table: pl.DataFrame) -> dict[tuple[int, str], float]:
    """(sample, class) to probability, whatever the order of equally probable classes."""
    by_class = {}
    for row in table.to_dicts():
        for rank in range(1, 9):
            end = "" if rank == 1 else f"_{rank}"
            by_class[int(row["sample"]), row[f"class{end}"]] = row[f"probability{end}"]
    return by_class


def test_every_kind_of_head_is_there() -> None:
    assert set(KINDS) == {
        "cosine",
        "encoded",
        "flow",
        "gate",
        "likelihood",
        "linear",
        "represented",
        "scorer",
        "version",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_it_predicts_what_it_predicted(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    assert main(["predict", str(OLD / kind), str(OLD / "new.csv"), "--top", "8", "-o", str(out)]) == 0
    expected, predicted = (probabilities(pl.read_csv(p)) for p in (OLD / kind / "expected.csv", out))
    assert expected.keys() == predicted.keys()
    assert [predicted[key] for key in expected] == pytest.approx(list(expected.values()), abs=2e-6)
    assert read_config(OLD / kind)["machine"]["gsmflow"] == "0.1.0"
    assert read_metrics(OLD / kind)["seed"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_exported(kind: str, tmp_path: Path) -> None:
    import onnxruntime

    file = tmp_path / "classifier.onnx"
    assert main(["export", str(OLD / kind), "--onnx", "-o", str(file)]) == 0
    features = pl.read_csv(OLD / "new.csv").to_numpy().astype(np.float32)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (exported,) = session.run(["probabilities"], {"features": features})
    assert exported == pytest.approx(load_classifier(OLD / kind).probabilities(features), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_served_and_takes_classes(kind: str, tmp_path: Path) -> None:
    run = shutil.copytree(OLD / kind, tmp_path / kind)
    words = ["add-class", str(run), "--name", "new", "--attributes", "0.4,0.6,0.5,0.4", "--out"]
    assert main([*words, str(tmp_path / "more")]) == 0
    before, after = load_classifier(run), load_classifier(tmp_path / "more")
    assert after.classes == (*before.classes, "new")
    row = pl.read_csv(OLD / "new.csv").row(0)
    version, served = Service(run, data_root=tmp_path, device=torch.device("cpu")).probabilities([row])
    assert version.name == kind
    assert served == pytest.approx(before.probabilities(np.array([row], np.float32)))
