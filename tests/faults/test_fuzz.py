"""Files of chance and files spoilt by chance: the documented error or a result, never anything else.

The same few hundred examples every time; GSMFLOW_FUZZ=5000 tries so many of each, and others each time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gsmflow import sources
from gsmflow.base.errors import InputError
from gsmflow.files.rows import read_rows
from gsmflow.images.reading import UnreadableImage, read_image
from gsmflow.learning.journal import Interrupted, Recorder
from gsmflow.recipes import recipe
from gsmflow.runs.folder import Request, load_classifier, read_config, read_metrics
from gsmflow.runs.train import train
from support.cases import CASES, files_of
from support.folders import presplit, table, xlsa17
from support.matlab import with_objects
from support.recipes import OVERRIDES, PROBLEM, problem

EXAMPLES = int(os.environ.get("GSMFLOW_FUZZ", "0"))
bounded = settings(
    max_examples=EXAMPLES or 60,
    derandomize=not EXAMPLES,
    database=None,
    deadline=timedelta(seconds=20),  # nothing may hang
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Spoil = Callable[[bytes], bytes]


@st.composite
def damage(draw: st.DrawFn) -> Spoil:
    """Something that happens to a file: bytes changed, cut out, put in, doubled, or all replaced."""
    kind = draw(st.sampled_from(["set", "set", "cut", "insert", "double", "end", "all"]))
    where = draw(st.floats(0, 1))
    some = draw(st.binary(min_size=1, max_size=12))
    length = draw(st.integers(1, 400))

    def spoil(content: bytes) -> bytes:
        start = int(where * len(content))
        match kind:
            case "set":
                return content[:start] + some + content[start + len(some) :]
            case "cut":
                return content[:start] + content[start + length :]
            case "insert":
                return content[:start] + some + content[start:]
            case "double":
                return content[: start + length] + content[start:]
            case "end":
                return content[:start]
        return some

    return spoil


def _npz(folder: Path) -> None:
    table(folder)
    rows = pl.read_csv(folder / "features.csv")
    (folder / "features.csv").unlink()
    labels = np.array(rows["label"].to_list())
    np.savez(folder / "features.npz", features=rows.select("f0", "f1").to_numpy(), labels=labels)


def _parquet(folder: Path) -> None:
    table(folder)
    pl.read_csv(folder / "features.csv").write_parquet(folder / "features.parquet")
    (folder / "features.csv").unlink()


def _mat_with_objects(folder: Path) -> None:
    xlsa17(folder)
    with_objects(folder / "att_splits.mat", packed=True)


def _with_checksums(folder: Path) -> None:
    table(folder)
    digest = hashlib.sha256((folder / "features.csv").read_bytes()).hexdigest()
    lines = f"# of today\n{digest}  ./features.csv\nSHA256 (features.csv) = {digest.upper()}\n"
    (folder / "checksums.txt").write_text(lines, encoding="utf-16")


@pytest.mark.parametrize(
    ("make", "file"),
    [
        (_mat_with_objects, "att_splits.mat"),
        (_with_checksums, "checksums.txt"),
        (xlsa17, "res101.mat"),
        (xlsa17, "att_splits.mat"),
        (presplit, "label.mat"),
        (_npz, "features.npz"),
        (_parquet, "features.parquet"),
        (table, "features.csv"),
        (table, "classes.csv"),
    ],
)
def test_data_files(make: Callable[[Path], None], file: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    make(folder)
    content = (folder / file).read_bytes()
    others = {path: path.read_bytes() for path in folder.iterdir() if path.name != file}

    @bounded
    @given(st.lists(damage(), min_size=1, max_size=3))
    def loads_or_refuses(spoils: list[Spoil]) -> None:
        spoilt = content
        for spoil in spoils:
            spoilt = spoil(spoilt)
        (folder / file).write_bytes(spoilt)
        try:
            sources.load(str(folder), data_root=tmp_path)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 - what is asserted of an error that may not come

    loads_or_refuses()
    assert {path: path.read_bytes() for path in folder.iterdir() if path.name != file} == others
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("case", CASES)
def test_files_as_strangers_send_them(case: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "brackets [v2]"
    files = files_of(case, folder)
    contents = {file: file.read_bytes() for file in files}

    @bounded
    @given(st.sampled_from(files), st.lists(damage(), min_size=1, max_size=3))
    def loads_or_refuses(file: Path, spoils: list[Spoil]) -> None:
        spoilt = contents[file]
        for spoil in spoils:
            spoilt = spoil(spoilt)
        file.write_bytes(spoilt)
        try:
            if file.suffix == ".png":
                read_image(file)
            elif file.name in ("new.parquet", "reversed.csv", "renamed.csv", "hundred.csv"):
                read_rows(file)
            else:
                sources.load(str(folder), data_root=tmp_path)
        except (InputError, UnreadableImage) as error:
            assert "\n" not in str(error)  # noqa: PT017
        file.write_bytes(contents[file])

    loads_or_refuses()


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_tables = ["gsmflow", "features", "head", "selection", "description", "lda", "x"]
_names = ["epochs", "blocks", "learning_rate", "scaling", "project", "kind", "every", "score", "y"]


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{_escaped(k)}" = {_toml(v)}' for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    return {None: '""', True: "true", False: "false"}.get(value, str(value))  # type: ignore[call-overload]


def _escaped(text: str) -> str:
    return "".join(f"\\U{ord(c):08x}" for c in text if not 0xD800 <= ord(c) < 0xE000)


@bounded
@given(
    st.one_of(
        st.binary(max_size=80),
        st.dictionaries(
            st.sampled_from(_tables),
            st.dictionaries(st.sampled_from(_names), _values, max_size=3),
            max_size=3,
        ).map(lambda t: "\n".join(f"{name} = {_toml(values)}" for name, values in t.items()).encode()),
    )
)
def test_presets(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mine.toml"
        file.write_bytes(content)
        try:
            recipe.make_recipe("gsmflow", str(file))
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017


@bounded
@given(st.text(max_size=40), st.sampled_from(["", "head.", "gsmflow.", "x."]))
def test_overrides(text: str, table_name: str) -> None:
    for override in (table_name + text, f"{table_name}epochs={text}", f"{text}=3"):
        try:
            recipe.make_recipe("gsmflow", "best", [override])
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017


@bounded
@given(st.text(max_size=60))
def test_problem_names(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for problem_name in (name, f"synthetic:{name}", f"synthetic:n={name}", f"digits:{name}"):
            if problem_name in ("digits", "synthetic", "synthetic:", "digits:"):
                continue
            try:
                sources.load(problem_name, data_root=Path(folder) / "none")
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017
        assert not list(Path(folder).iterdir())


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unfinished") / "run"

    def stop(recorder: Recorder) -> None:
        recorder.stop_requested = True

    with pytest.raises(Interrupted):
        _train(folder, on_recorder=stop)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    _train(folder)
    (folder / "checksums.txt").unlink()  # so that every file is read to where it makes no sense
    return folder


def _train(folder: Path, **how: object) -> None:
    chosen = recipe.make_recipe("gsmflow", "best", (*OVERRIDES, "gsmflow.epochs=1", "head.epochs=1"))
    request = Request(PROBLEM, None, None, "last", False, 0)
    train(request, problem(), chosen, device=torch.device("cpu"), folder=folder, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("file", ["head.safetensors", "classes.json", "config.toml", "metrics.json"])
def test_finished_runs(file: str, finished: Path) -> None:
    content = (finished / file).read_bytes()
    before = sorted(finished.parent.rglob("*"))

    @bounded
    @given(damage())
    def reads_or_refuses(spoil: Spoil) -> None:
        (finished / file).write_bytes(spoil(content))
        for read in (load_classifier, read_config, read_metrics):
            try:
                read(finished)
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017

    reads_or_refuses()
    (finished / file).write_bytes(content)
    assert sorted(finished.parent.rglob("*")) == before


@pytest.mark.parametrize("file", ["checkpoint/state.safetensors", "history.jsonl", "config.toml"])
def test_unfinished_runs(file: str, unfinished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"

    @settings(bounded, max_examples=max(8, EXAMPLES // 10))
    @given(damage())
    def continues_or_refuses(spoil: Spoil) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(unfinished, folder)
        (folder / file).write_bytes(spoil((folder / file).read_bytes()))
        try:
            _train(folder, resume=True)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017

    continues_or_refuses()
    assert list(tmp_path.iterdir()) == [folder]
