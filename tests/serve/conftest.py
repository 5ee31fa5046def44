"""A finished run to serve, with class names that would be markup."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient

from gsmflow.cli import main
from gsmflow.serve.app import create_app
from gsmflow.serve.images import Extractor
from gsmflow.serve.limits import Limits
from gsmflow.serve.service import Service
from gsmflow.serve.texts import Encode
from gsmflow.sources import synthetic
from support.recipes import ARGUMENTS

HOSTILE = "<script>window.hurt = 1</script>"
HOSTS = ("testserver", "127.0.0.1")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a person's own table with named attributes; it keeps its data."""
    folder = tmp_path_factory.mktemp("served")
    data, _ = synthetic.make(synthetic.SyntheticOptions(n=400, d=10, classes=12, unseen=3, a=6, spread=0.3))
    names = [HOSTILE, *data.classes[1:]]
    split = np.full(len(data.labels), "test", dtype="U5")
    split[data.train] = "train"
    source = folder / "data"
    source.mkdir()
    labels = np.array(names)[data.labels]
    np.savez(source / "features.npz", features=data.features, labels=labels, split=split)
    scaled = 2 * data.semantics  # not of length 1, so that values stay as they are given
    rows = [",".join([f'"{name}"', *map(str, row)]) for name, row in zip(names, scaled, strict=True)]
    header = "name,legs,<b>wings</b>,stripes,horns,spots,fins"
    (source / "classes.csv").write_text("\n".join([header, *rows]) + "\n")
    arguments = ["train", str(source), *ARGUMENTS, "--protocol", "last", "--keep-data"]
    assert main([*arguments, "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of it that may get new versions."""
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


Served = Callable[..., FastAPI]


@pytest.fixture
def served(run: Path) -> Served:
    """Makes the application of the run under given limits; they answer to the name of the test client."""

    def make(
        *,
        read_only: bool = False,
        extractor: Extractor | None = None,
        encode: Encode | None = None,
        **limits: object,
    ) -> FastAPI:
        service = Service(
            run, data_root=Path("none"), device=torch.device("cpu"), extractor=extractor, encode=encode
        )
        return create_app(service, Limits(**{"hosts": HOSTS, **limits}), read_only=read_only)  # type: ignore[arg-type]

    return make


@pytest.fixture
def client(served: Served) -> TestClient:
    """A client of the run under the usual limits."""
    return TestClient(served())
