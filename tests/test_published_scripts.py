"""`python train_AWA2.py` and its three siblings: the published program's way of starting."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.recipes.preset import preset_names
from gsmflow.recipes.recipe import make_recipe

ROOT = Path(__file__).parent.parent

# The authors' four scripts: epochs, batch, learning rate, weight decay, gamma, blocks, prototype weight,
# perturbation, synthetic per class, head learning rate, head epochs, head batch, every, after, anchors.
PUBLISHED = {
    "AWA2": (500, 256, 3e-4, 3e-6, 0.92, 3, 10, 0.15, 50_000, 0.001, 30, 1200, 500, 30_000, "seen"),
    "APY": (600, 200, 3e-4, 1e-6, 0.55, 5, 3, 0.02, 9_000, 0.001, 20, 1200, 300, 5_000, "all"),
    "CUB": (600, 256, 3e-4, 1e-5, 0.8, 5, 1, 0.05, 600, 0.01, 30, 3000, 500, 2_000, "seen"),
    "FLO": (300, 256, 3e-4, 1e-4, 0.8, 5, 3, 0.07, 3_000, 0.005, 30, 1000, 500, 2_000, "seen"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_preset_holds_the_published_numbers(name: str) -> None:
    recipe = make_recipe("gsmflow", name)
    flow, head = recipe.options, recipe.head
    assert isinstance(flow, GSMFlowOptions)
    assert (
        flow.epochs,
        flow.batch_size,
        flow.learning_rate,
        flow.weight_decay,
        flow.decay_gamma,
        flow.blocks,
        flow.prototype_weight,
        flow.perturbation,
        head.synthetic_per_class,
        head.learning_rate,
        head.epochs,
        head.batch_size,
        recipe.selection.every,
        recipe.selection.after,
        flow.anchors_from,
    ) == PUBLISHED[name]
    assert (flow.hidden, flow.global_semantic, flow.decay_epochs, flow.clamp) == (2048, 1024, 15, 1)
    assert flow.relative_positioning
    assert flow.semantics_in_every_layer
    assert flow.perturbation_dropout == 0
    assert recipe.features.scaling == "minmax"
    assert recipe.features.project == 0
    assert not head.calibrate


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid(name: str) -> None:
    for method in ("gsmflow", "eszsl"):
        assert make_recipe(method, name).preset == name


@pytest.mark.parametrize("name", PUBLISHED)
def test_missing_data_say_what_to_put_where(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    script = str(ROOT / f"train_{name}.py")
    monkeypatch.setattr(sys, "argv", [script])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(script, run_name="__main__")
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    for words in (f"data/{name}", "res101.mat", "att_splits.mat", "Xian"):
        assert words in said


def test_a_script_runs_its_preset_on_the_data(tmp_path: Path) -> None:
    """CUB's script on a folder with CUB's layout, made small by options of `gsmflow train`."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "CUB"
    folder.mkdir(parents=True)
    labels = np.repeat(np.arange(1, 9), 12)
    parts = [labels <= 6, labels > 6]
    index = np.arange(96)
    savemat(
        folder / "res101.mat", {"features": rng.random((8, 96)), "labels": labels[:, None].astype(np.uint8)}
    )
    savemat(
        folder / "att_splits.mat",
        {
            "att": rng.random((5, 8)),
            "trainval_loc": (np.flatnonzero(parts[0] & (index % 12 < 9)) + 1)[:, None].astype(np.uint16),
            "test_seen_loc": (np.flatnonzero(parts[0] & (index % 12 >= 9)) + 1)[:, None].astype(np.uint16),
            "test_unseen_loc": (np.flatnonzero(parts[1]) + 1)[:, None].astype(np.uint16),
        },
    )
    small = [
        "gsmflow.epochs=2",
        "gsmflow.hidden=16",
        "gsmflow.global_semantic=8",
        "head.synthetic_per_class=20",
    ]
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "train_CUB.py"),
            *(p for s in small for p in ("--set", s)),
            "--out",
            "run",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    config = (tmp_path / "run" / "config.toml").read_text()
    assert 'preset = "CUB"' in config
    assert "prototype_weight = 1.0" in config
