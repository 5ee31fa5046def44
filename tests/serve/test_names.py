"""The service takes features by name, in any order, and raw values far from zero."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from gsmflow.cli import main
from gsmflow.serve.app import create_app
from gsmflow.serve.limits import Limits
from gsmflow.serve.service import Service
from support import strangers

X = strangers.values() + 1.7e9


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    place = tmp_path_factory.mktemp("names")
    source = strangers.folder(place / "mine", strangers.features(X))
    run = place / "run"
    assert main(["train", str(source), "--method", "eszsl", "--protocol", "last", "--out", str(run)]) == 0
    service = Service(run, data_root=Path("none"), device=torch.device("cpu"))
    return TestClient(create_app(service, Limits(hosts=("testserver",))))


def named(row: np.ndarray, order: Callable = sorted) -> dict[str, float]:
    return {name: float(row[strangers.NAMES.index(name)]) for name in order(strangers.NAMES)}


def test_names_and_order(client: TestClient) -> None:
    assert client.get("/v1/run").json()["feature_names"] == strangers.NAMES
    asked = [[X[5].tolist()], [named(X[5])], [named(X[5], lambda names: names[::-1])]]
    answers = [client.post("/v1/predict", json={"features": each}).json()["predictions"] for each in asked]
    other_case = [{f" {name.upper()}": value for name, value in named(X[5]).items()}]
    answers.append(client.post("/v1/predict", json={"features": other_case}).json()["predictions"])
    assert answers[0] == answers[1] == answers[2] == answers[3]
    others = [client.post("/v1/predict", json={"features": [row.tolist()]}).json() for row in X[::20]]
    assert len({each["predictions"][0]["classes"][0]["probability"] for each in others}) > 3  # not all alike


def test_other_names_are_refused(client: TestClient) -> None:
    row = named(X[0])
    row["g"] = row.pop("f3")
    answer = client.post("/v1/predict", json={"features": [row]})
    assert answer.status_code == 422
    assert "features: sample 0: lacks the feature column f3 and has g" in answer.json()["detail"]
    bad = client.post("/v1/predict", json={"features": [named(X[0]) | {"f2": "x"}]})
    assert bad.status_code == 422
    assert bad.json()["detail"].startswith("features.0.f2: ")


def test_an_example_is_raw(client: TestClient) -> None:
    shown = client.get("/v1/examples/0").json()["features"]
    assert (np.abs(X - np.array(shown)).max(axis=1) < 1e-6).any()
