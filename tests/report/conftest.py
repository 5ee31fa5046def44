"""Finished runs to report on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gsmflow.cli import main
from gsmflow.report.page import render
from gsmflow.report.record import read
from support.recipes import ARGUMENTS

HOSTILE = [
    "<script>window.hurt = 1</script>",
    '"quoted" & <b>bold</b>',
    "</script><img src=x onerror=alert(1)>",
]


def train(*arguments: str) -> None:
    assert main(["train", *arguments]) == 0


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs on the digits, a flow's with its oracle and a method's that synthesizes nothing."""
    root = tmp_path_factory.mktemp("runs")
    few = ("gsmflow.epochs=4", "gsmflow.batch_size=128", "selection.every=30", "selection.problems=1")
    quick = [part for setting in few for part in ("--set", setting)]
    train("digits", "--oracle", "--out", str(root / "flow"), *ARGUMENTS, *quick)
    train("digits", "--method", "lda", "--out", str(root / "lda"))
    return root / "flow", root / "lda"


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose class names would be markup."""
    root = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    names = [*HOSTILE, *(f"class {n}" for n in range(5))]
    attributes = rng.random((len(names), 4))
    labels = np.repeat(np.arange(len(names)), 20)
    features = attributes[labels] @ rng.random((4, 6)) + 0.1 * rng.standard_normal((len(labels), 6))
    split = np.where(np.arange(len(labels)) % 4 == 0, "test", "train")
    split[(labels == 0) | (labels == 6)] = "test"
    data = root / "data"
    data.mkdir()
    np.savez(data / "features.npz", features=features, labels=np.array(names)[labels], split=split)
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    rows = [",".join([n, *(f"{v:.4f}" for v in a)]) for n, a in zip(quoted, attributes, strict=True)]
    (data / "classes.csv").write_text("\n".join(["name,a,b,c,d", *rows]) + "\n")
    train(str(data), "--protocol", "last", "--out", str(root / "run"), *ARGUMENTS)
    return root / "run"


@pytest.fixture(scope="session")
def page_of() -> Callable[..., str]:
    """The page of these run folders, which stay as they are; each is made once."""
    return cache(lambda *folders: render(read(folders, Path("no data sets here"))))
