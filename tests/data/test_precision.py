"""Columns far from zero: what float32 has no digits for is centred first, wherever features come from."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gsmflow import sources
from gsmflow.cli import main
from gsmflow.data import bundle
from gsmflow.data.feature_options import FeatureOptions
from gsmflow.data.problem import Problem
from gsmflow.data.transform import FeatureTransform
from gsmflow.estimator import GSMFlowClassifier
from gsmflow.files.narrowing import narrowed
from support import strangers
from support.folders import presplit, xlsa17
from support.recipes import problem

FAR = 1.7e9


def far_problem(offset: float = FAR) -> tuple[Problem, Problem]:
    """A problem whose features are multiples of 1/64, and the same at an offset."""
    data = problem()
    near = replace(data, features=np.round(data.features * 64) / 64)
    return near, replace(data, features=near.features.astype(np.float64) + offset)


def test_what_float32_holds_stays_as_it_is() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=(50, 3)), 500 + rng.random((50, 3)), rng.integers(0, 9, (50, 3)) + 2**23):
        narrow, offset = narrowed(values)
        assert offset is None
        assert np.array_equal(narrow, values.astype(np.float32))
    constant = np.full((5, 1), FAR + 0.1)
    assert narrowed(constant)[1] is None


def test_only_columns_that_need_it_are_centred() -> None:
    rng = np.random.default_rng(0)
    values = np.column_stack((rng.normal(size=50), FAR + rng.integers(0, 64, 50) / 64))
    narrow, offset = narrowed(values)
    assert offset is not None
    assert offset[0] == 0
    assert np.array_equal(narrow[:, 0], values[:, 0].astype(np.float32))
    assert np.array_equal(narrow.astype(np.float64) + offset, np.column_stack((narrow[:, 0], values[:, 1])))


@pytest.mark.parametrize("scaling", ["minmax", "standard"])
@pytest.mark.parametrize("project", [0, 3])
def test_an_offset_changes_nothing_but_itself(scaling: str, project: int) -> None:
    near, far = far_problem()
    options = FeatureOptions(scaling=scaling, project=project)
    one, other = FeatureTransform.fit(near, options), FeatureTransform.fit(far, options)
    assert np.allclose(one(near.features), other(far.features), atol=1e-6)
    raw = near.features.astype(np.float64) + FAR
    again = FeatureTransform.from_state(other.state())
    assert np.array_equal(again(again.narrowed(raw)), other(far.features))
    assert np.array_equal(again(again.narrowed(raw[:1])), other(far.features[:1]))
    if not project:
        assert np.abs(again.inverse(again(far.features)) - raw).max() < 1e-5


@pytest.mark.parametrize(
    "options", [FeatureOptions(log=True), FeatureOptions(scaling="length"), FeatureOptions(scaling="none")]
)
def test_what_is_said_of_the_values_themselves_is(options: FeatureOptions) -> None:
    data = problem()
    far = replace(data, features=data.features.astype(np.float64) + 20000.003)
    assert far.offset is not None
    plain = replace(far, features=(far.features + far.offset).astype(np.float32), offset=None)
    one, other = FeatureTransform.fit(far, options), FeatureTransform.fit(plain, options)
    again = FeatureTransform.from_state(one.state())
    assert np.array_equal(again(far.features), other(plain.features))
    assert np.array_equal(again.inverse(again(far.features)), other.inverse(other(plain.features)))


def test_a_bundle_and_another_offset() -> None:
    near, far = far_problem()
    assert far.fingerprint != near.fingerprint
    moved = far.relative_to(np.full(10, FAR + 3))
    assert np.array_equal(moved.features, near.features - 3)


def test_a_bundle_keeps_offset_and_names(tmp_path: Path) -> None:
    far = replace(far_problem()[1], feature_names=tuple(f"f{d}" for d in range(10)))
    bundle.save(far, tmp_path / "data.safetensors")
    again = bundle.load(tmp_path / "data.safetensors")
    assert again.fingerprint == far.fingerprint
    assert again.feature_names == far.feature_names


def test_every_kind_of_file(tmp_path: Path) -> None:
    x = strangers.values()
    far = x + FAR
    labels = [strangers.CLASSES[label] for label in strangers.LABELS]
    frames = {
        "float64": pl.DataFrame(far, schema=strangers.NAMES),
        "decimal": pl.DataFrame(
            {n: [Decimal(repr(v)) for v in far[:, d].tolist()] for d, n in enumerate(strangers.NAMES)},
            schema=dict.fromkeys(strangers.NAMES, pl.Decimal(24, 8)),
        ),
        "int64": pl.DataFrame((far * 64).astype(np.int64), schema=strangers.NAMES),
    }
    strangers.folder(tmp_path / "csv", strangers.features(far))
    for name, frame in frames.items():
        strangers.folder(tmp_path / name, "")
        (tmp_path / name / "features.csv").unlink()
        frame.with_columns(label=pl.Series(labels)).write_parquet(tmp_path / name / "features.parquet")
    strangers.folder(tmp_path / "npz", "")
    (tmp_path / "npz" / "features.csv").unlink()
    np.savez(tmp_path / "npz" / "features.npz", features=far, labels=np.array(labels))
    for name in ("csv", *frames, "npz"):
        read = sources.load(str(tmp_path / name), data_root=tmp_path)
        assert read.offset is not None, name
        raw = (read.features.astype(np.float64) + read.offset) / (64 if name == "int64" else 1)
        assert np.array_equal(raw, far), name
        assert (
            "f0 from 1699999" in read.notes["digits"].replace("column 1 from", "f0 from") or name == "int64"
        )


def test_matlab(tmp_path: Path) -> None:
    xlsa17(tmp_path / "mat", lambda a: a.__setitem__("features", np.round(a["features"] * 64) / 64 + FAR))
    read = sources.load(str(tmp_path / "mat"), data_root=tmp_path)
    assert read.offset is not None
    assert len(np.unique(read.features[:, 0])) > 20
    assert read.notes["digits"].startswith(
        "5 of 5 feature dimensions lie far from zero (dimension 0 near 1700000000)"
    )


def test_presplit(tmp_path: Path) -> None:
    presplit(
        tmp_path / "pre", lambda a: [a.__setitem__(k, v + FAR) for k, v in a.items() if k.endswith("_fea")]
    )
    presplit(tmp_path / "near")
    far, near = (sources.load(str(tmp_path / name), data_root=tmp_path) for name in ("pre", "near"))
    assert far.offset is not None
    assert np.allclose(far.features + far.offset - FAR, near.features, atol=1e-6)


def test_the_journey_with_an_offset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = strangers.values()
    metrics, labelled = [], []
    for name, values in (("near", x), ("far", x + FAR)):
        source = strangers.folder(tmp_path / name, strangers.features(values))
        run = tmp_path / f"run-{name}"
        assert main(["train", str(source), "--method", "eszsl", "--protocol", "last", "--out", str(run)]) == 0
        assert ("digits: features.csv: f0, f1" in capsys.readouterr().err) == (name == "far")
        metrics.append(json.loads((run / "metrics.json").read_text())["S"])
        one = tmp_path / f"one-{name}.csv"
        one.write_text(strangers.written(strangers.NAMES, values[:1].tolist()))
        assert main(["predict", str(run), str(one), "--json"]) == 0
        labelled.append(json.loads(capsys.readouterr().out)["predictions"][0])
        assert main(["evaluate", str(run), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["S"] == metrics[-1]
    assert metrics[0] == pytest.approx(metrics[1], abs=0.06)
    assert metrics[1] > 0.5
    assert labelled[0]["class"] == labelled[1]["class"]
    assert labelled[0]["probability"] == pytest.approx(labelled[1]["probability"], abs=0.02)


def test_the_estimator() -> None:
    near, far = far_problem()
    assert far.offset is not None
    x = near.features.astype(np.float64) + FAR
    names = np.array(near.classes)[near.labels]
    options = {"gsmflow.epochs": 3, "gsmflow.hidden": 16, "gsmflow.blocks": 2, "head.epochs": 2}
    options |= {"gsmflow.least_steps": 0, "head.synthetic_per_class": 40}
    model = GSMFlowClassifier(protocol="last", options=options)
    model.fit(x[near.train], names[near.train], semantics=near.semantics, classes=near.classes)
    other = GSMFlowClassifier(protocol="last", options=options)
    other.fit(near.features[near.train], names[near.train], semantics=near.semantics, classes=near.classes)
    assert np.allclose(
        model.predict_proba(x[near.test_seen]), other.predict_proba(near.features[near.test_seen]), atol=0.02
    )
    drawn = model.synthesize(near.classes[0], 5)
    assert drawn.dtype == np.float64
    assert np.allclose(drawn - FAR, other.synthesize(near.classes[0], 5), atol=0.05)


def test_describe_tells_apart_what_float32_does_not(tmp_path: Path) -> None:
    file = tmp_path / "animals.csv"
    file.write_text("name,weight,legs\nant,1000000.01,6\nbee,1000000.02,5\ncat,1000000.03,4\n")
    assert main(["describe", str(file), "-o", str(tmp_path / "out.csv")]) == 0
    weight = pl.read_csv(tmp_path / "out.csv")["weight"].to_list()
    assert weight == pytest.approx([0, 0.5, 1], abs=1e-6)


def test_semantics_that_lose_digits_are_named(tmp_path: Path) -> None:
    vectors = strangers.ATTRIBUTES.copy()
    vectors[:, 2] += 1e6
    source = strangers.folder(
        tmp_path / "mine", strangers.features(strangers.values()), strangers.classes(vectors=vectors)
    )
    notes = sources.load(str(source), data_root=tmp_path).notes
    assert notes["digits of semantics"].startswith("classes.csv: a2 (a2 from 1000000.")
