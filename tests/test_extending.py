"""Others' methods, layouts and backbones: the package of docs/extending.md, installed, in every command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import gsmflow
from gsmflow.base import registry
from gsmflow.cli import main
from gsmflow.heads.kinds import HEADS
from gsmflow.images.backbone import BACKBONES
from gsmflow.methods import METHODS
from gsmflow.runs.folder import load_classifier, read_metrics
from gsmflow.serve.service import Service
from gsmflow.sources.source import SOURCES
from support.packages import install
from support.processes import with_quick_workers
from support.recipes import PROBLEM

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/extending.md").read_text()
BLOCKS = dict(
    zip(
        ("prototypes", "arrays", "patches"),
        re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S),
        strict=True,
    )
)

# A method whose heads are of a kind of its own, with a graph.
NEAREST = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from gsmflow.methods import Method, Options, option


@dataclass(frozen=True)
class NearestHead:
    kind: ClassVar[str] = "nearest"
    means: torch.Tensor
    classes = property(lambda self: len(self.means))
    in_dim = property(lambda self: self.means.shape[1])
    device = property(lambda self: self.means.device)

    def logits(self, features):
        return -torch.cdist(features.float(), self.means).square()

    def state(self):
        return {"means": self.means.cpu()}

    @staticmethod
    def from_state(state):
        return NearestHead(state["means"])

    def graph(self, graph, x):
        squares = graph.constant(-self.means.square().sum(dim=1))
        cross = graph.add("Gemm", x, graph.constant(2 * self.means), squares, transB=1)
        ones = graph.constant(np.ones((self.in_dim, 1)))
        return graph.add("Sub", cross, graph.add("MatMul", graph.add("Mul", x, x), ones))


@dataclass(frozen=True)
class NearestOptions(Options):
    table = "nearest"
    ridge: float = option(0.01, "regularizer", above=0, search="0.001:1:log")


def solutions(data, options):
    known, means = data.semantics[data.seen], data.class_means()
    for ridge in (options.ridge, 10 * options.ridge):
        gram = known.T @ known + ridge * torch.eye(known.shape[1])
        yield {"ridge": ridge}, NearestHead(data.semantics @ torch.linalg.solve(gram, known.T @ means))


METHOD = Method("nearest", "nobody", NearestOptions, direct=solutions, parts={"rougher": ("ridge=1.0",)})
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install --target` makes of a wheel of the page's modules and its entry points."""
    folder = tmp_path_factory.mktemp("theirs")
    wheel = folder / "zsl_theirs-1.0-py3-none-any.whl"
    (toml,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.M | re.S)
    points = re.sub(r'^\[project\.entry-points\."(.*)"\]$', r"[\1]", toml.partition("\n\n")[2], flags=re.M)
    points = points.replace('"', "")
    points = points.replace("prototypes:METHOD", "prototypes:METHOD\nnearest = nearest:METHOD")
    points += "[gsmflow.heads]\nnearest = nearest:NearestHead\n"
    information = "zsl_theirs-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, code in (*BLOCKS.items(), ("nearest", NEAREST)):
            archive.writestr(f"{name}.py", code)
        archive.writestr(f"{information}/METADATA", "Metadata-Version: 2.1\nName: zsl-theirs\nVersion: 1.0\n")
        archive.writestr(
            f"{information}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{information}/entry_points.txt", points)
        archive.writestr(f"{information}/RECORD", "")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    done = subprocess.run(
        [*pip, str(folder / "site"), str(wheel)], capture_output=True, text=True, check=False
    )
    if "No module named pip" in done.stderr:  # uv's environments have none
        zipfile.ZipFile(wheel).extractall(folder / "site")
    else:
        assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Registries as at the start of a process, also afterwards."""
    registry._entry_points.cache_clear()
    for each in (METHODS, SOURCES, BACKBONES, HEADS):
        monkeypatch.setattr(each, "_registered", {})
        monkeypatch.setattr(each, "_others", None)
        monkeypatch.setattr(each, "_told", set())
    yield monkeypatch
    registry._entry_points.cache_clear()


@pytest.fixture
def installed(site: Path, fresh: pytest.MonkeyPatch) -> Iterator[None]:
    """The package in this process and in those that it starts."""
    fresh.syspath_prepend(str(site))
    fresh.setenv("PYTHONPATH", os.pathsep.join((str(site), str(ROOT / "src"))))
    yield
    for name in (*BLOCKS, "nearest"):
        sys.modules.pop(name, None)


def arrays(folder: Path) -> Path:
    """A folder in the layout of the page."""
    random, labels = np.random.default_rng(0), np.repeat(np.arange(10), 20)
    semantics = random.random((10, 6))
    folder.mkdir()
    np.save(folder / "a.npy", semantics)
    np.save(
        folder / "x.npy", semantics[labels] @ random.normal(size=(6, 8)) + 0.1 * random.normal(size=(200, 8))
    )
    np.save(folder / "y.npy", labels)
    np.save(folder / "unseen.npy", np.array([8, 9]))
    return folder


@pytest.mark.parametrize(("name", "most"), [("prototypes", 30), ("arrays", 20), ("patches", 15)])
def test_the_examples_are_as_short_as_they_are_said_to_be(name: str, most: int) -> None:
    code = BLOCKS[name].partition("if __name__")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= most


def test_an_installed_package_gives_its_method_to_the_command(site: Path, tmp_path: Path) -> None:
    """As a person starts it: nothing of this process is there."""
    path = os.pathsep.join((str(site), str(ROOT / "src")))
    words = [
        sys.executable,
        "-m",
        "gsmflow",
        "train",
        "digits",
        "--method",
        "prototypes",
        "--out",
        "run",
        "--json",
    ]
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    assert metrics["method"] == "prototypes"
    assert metrics["H"] > 0.2


@pytest.mark.usefixtures("installed")
def test_its_layout_and_its_backbone_are_known(
    tmp_path: Path, fresh: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh.chdir(tmp_path)
    arrays(tmp_path / "arrays-here")
    words = ["train", "arrays-here", "--method", "nearest", "--set", "semantics.scaling=none"]
    assert main([*words, "--out", "run", "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["problem"] == "arrays-here"
    assert metrics["H"] > 0.8  # features are a linear function of the semantics
    from PIL import Image

    folder = tmp_path / "own"
    for name, colour in {"red": (200, 30, 30), "blue": (20, 40, 210), "green": (10, 200, 30)}.items():
        (folder / "images" / name).mkdir(parents=True)
        for index in range(5):
            picture = Image.new("RGB", (40, 40), tuple(max(0, c - 3 * index) for c in colour))
            picture.save(folder / "images" / name / f"{index}.png")
    (folder / "classes.csv").write_text("name,r,g,b\nred,1,0,0\nblue,0,0,1\ngreen,0,1,0\nyellow,1,1,0\n")
    words = [
        "train",
        "own",
        "--backbone",
        "patches",
        "--method",
        "nearest",
        "--protocol",
        "last",
        "--out",
        "pictured",
    ]
    assert main(words) == 0
    capsys.readouterr()
    words = ["predict", "pictured", "own/images/red", "--top", "1", "-o", "labels.csv"]
    assert main(words) == 0  # opens the run's own backbone again
    labels = pl.read_csv("labels.csv")
    assert labels["class"].to_list() == ["red"] * 5
    assert main(["extract", "own/images", "--backbone", "patches", "--size", "64", "-o", "x.npz"]) == 2
    assert "a patches model, which brings its own preprocessing" in capsys.readouterr().err
    assert main(["extract", "own/images", "--backbone", "patches", "--weights", "w.safetensors"]) == 2
    assert "patches has weights of its own" in capsys.readouterr().err


@pytest.mark.usefixtures("installed")
def test_its_method_works_in_every_command(
    tmp_path: Path, fresh: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh.chdir(tmp_path)
    assert main(["train", PROBLEM, "--method", "nearest", "--keep-data", "--out", "run"]) == 0
    assert read_metrics(Path("run"))["chosen"]["parameters"]["ridge"] in (0.01, 0.1)
    classifier = load_classifier(Path("run"))
    assert classifier.head.kind == "nearest"

    features = np.random.default_rng(0).normal(size=(4, 10)).astype(np.float32)
    pl.DataFrame(features).write_csv("new.csv")
    assert main(["predict", "run", "new.csv", "--top", "1", "-o", "labels.csv"]) == 0
    best = [classifier.classes[c] for c in classifier.probabilities(features).argmax(axis=1)]
    assert pl.read_csv("labels.csv")["class"].to_list() == best

    assert main(["export", "run", "--onnx", "-o", "c.onnx"]) == 0
    import onnxruntime

    session = onnxruntime.InferenceSession("c.onnx", providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"features": features})
    assert np.asarray(probabilities) == pytest.approx(classifier.probabilities(features), abs=1e-4)

    assert main(["evaluate", "run"]) == 0
    assert main(["report", "run", "--embedding", "pca"]) == 0
    assert "nearest" in Path("run/report.html").read_text()
    words = ["add-class", "run", "--name", "new", "--attributes", "0.4,0.6,0.5,0.4,0.3,0.2", "--out", "more"]
    assert main(words) == 0
    assert load_classifier(Path("more")).classes == (*classifier.classes, "new")
    served = Service(Path("run"), data_root=tmp_path, device=torch.device("cpu")).probabilities(features)[1]
    assert served == pytest.approx(classifier.probabilities(features))

    assert main(["tune", PROBLEM, "--method", "nearest", "--trials", "2", "--out", "tuned.toml"]) == 0
    assert "[nearest]" in Path("tuned.toml").read_text()
    assert main(["train", PROBLEM, "--method", "nearest", "--preset", "tuned.toml", "--out", "tuned"]) == 0

    capsys.readouterr()
    words = ["bench", PROBLEM, "--methods", "nearest,lda", "--seeds", "0", "--out", "bench", "--json"]
    assert main(words) == 0  # in processes of their own
    assert [row["method"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["nearest", "lda"]
    words = ["ablate", PROBLEM, "--method", "nearest", "--seeds", "0", "--out", "parts", "--json"]
    code, out, said = with_quick_workers(words, tmp_path)
    assert code == 0, said
    rows = json.loads(out)["rows"]
    assert [row["method"] for row in rows] == ["full", "rougher"]
    assert main(["ablate", PROBLEM, "--method", "lda"]) == 2
    assert "says no parts" in capsys.readouterr().err


@pytest.mark.usefixtures("installed")
def test_a_broken_package_stops_nothing_else(
    tmp_path: Path, fresh: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = {
        "gsmflow.methods": {"broken": "its_broken:METHOD", "lda": "its_broken:METHOD"},
        "gsmflow.sources": {"lost": "its_broken:LAYOUT"},
        "gsmflow.backbones": {"gone": "its_broken:KIND"},
    }
    broken = install(tmp_path / "site", "its-broken", "import no_such_module_anywhere\n", groups)
    fresh.setenv("PYTHONPATH", os.pathsep.join((str(broken), os.environ["PYTHONPATH"])))
    done = subprocess.run(
        [sys.executable, "-m", "gsmflow", "methods", "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    names = [method["name"] for method in json.loads(done.stdout)["methods"]]
    assert {"gsmflow", "lda", "prototypes", "nearest"} <= set(names)
    assert "broken" not in names
    taken, lost = sorted(done.stderr.splitlines(), key=len)
    assert (
        taken
        == "gsmflow: package its-broken 1.0: its method 'lda' has the name of one of gsmflow; it is left out"
    )
    assert lost.startswith("gsmflow: method 'broken' of package its-broken 1.0: cannot be loaded")

    fresh.syspath_prepend(str(broken))
    registry._entry_points.cache_clear()
    fresh.chdir(tmp_path)
    arrays(tmp_path / "arrays-here")
    assert main(["train", "arrays-here", "--method", "prototypes", "--protocol", "last", "--out", "run"]) == 0
    capsys.readouterr()
    assert main(["train", "digits", "--method", "broken"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "package its-broken 1.0" in said[0]
    assert main(["extract", "arrays-here", "--backbone", "gone"]) == 2


@pytest.fixture
def registered(tmp_path: Path, fresh: pytest.MonkeyPatch) -> None:
    """The method, layout and backbone of the page, registered by this program alone; a folder `here` of that layout."""
    fresh.chdir(tmp_path)
    (tmp_path / "plain").mkdir()
    fresh.syspath_prepend(str(tmp_path / "plain"))
    for name, code in BLOCKS.items():
        (tmp_path / "plain" / f"{name}.py").write_text(code)
    method, layout, kind = (import_module(name) for name in BLOCKS)
    for name in BLOCKS:
        fresh.delitem(sys.modules, name)
    gsmflow.register_method(method.METHOD)
    gsmflow.register_source(layout.LAYOUT)
    gsmflow.register_backbone(kind.KIND)
    arrays(tmp_path / "here")


@pytest.mark.usefixtures("registered")
def test_what_a_program_registers_works_in_its_studies(capsys: pytest.CaptureFixture[str]) -> None:
    assert BACKBONES.giver("patches") == "this program"
    assert main(["train", "here", "--method", "prototypes", "--threads", "1", "--out", "run", "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["method"] == "prototypes"

    # A method that processes of their own do not know beside one that they know.
    words = ["bench", PROBLEM, "--methods", "lda,prototypes", "--seeds", "0,1", "--out", "methods", "--json"]
    threads = torch.get_num_threads()
    code, out, err = with_quick_workers(words, Path.cwd())
    assert code == 0, err
    assert [row["method"] for row in json.loads(out)["rows"]] == ["lda", "prototypes"]
    assert [row["H"]["seeds"] for row in json.loads(out)["rows"]] == [2, 2]
    assert "method 'prototypes': registered in this program alone" in err
    assert torch.get_num_threads() == threads
    assert main(words) == 0  # nothing is run again
    assert "4 of 4 runs were finished before" in capsys.readouterr().err

    # A layout of data that they do not know; the numbers are those of train.
    words = ["bench", "here", "--methods", "prototypes,lda", "--seeds", "0", "--no-oracle", "--out", "data"]
    assert main(words) == 0
    assert "source 'arrays': registered in this program alone" in capsys.readouterr().err
    there = read_metrics(Path("data/here/prototypes/seed0"))
    assert {key: there[key] for key in ("U", "S", "H", "T1", "chosen")} == {
        key: alone[key] for key in ("U", "S", "H", "T1", "chosen")
    }

    assert main(["ablate", "here", "--method", "prototypes", "--seeds", "0", "--out", "parts", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["method"] for row in rows] == ["full", "without-centering"]
    words = [
        "train",
        "here",
        "--method",
        "prototypes",
        "--seeds",
        "0,1",
        "--jobs",
        "2",
        "--out",
        "two",
        "--json",
    ]
    assert main(words) == 0
    first = json.loads(capsys.readouterr().out)["runs"][0]
    assert first["H"] == alone["H"]
    assert main(["tune", "here", "--method", "prototypes", "--trials", "2", "--out", "tuned.toml"]) == 0


@pytest.mark.usefixtures("registered")
def test_a_run_of_a_registered_method_that_fails_is_one_of_the_study(
    fresh: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(data: Any, options: Any) -> Any:
        raise ZeroDivisionError("nothing to\ndivide by")

    method = METHODS.find("prototypes")
    fresh.setitem(METHODS._registered, "prototypes", replace(method, direct=failing))
    assert main(["bench", "here", "--methods", "prototypes,lda", "--seeds", "0", "--out", "bench"]) == 1
    said = capsys.readouterr().err
    assert "here prototypes seed 0: failed: nothing to divide by" in said
    assert "1 of 2 runs gave no result" in said
    assert read_metrics(Path("bench/here/lda/seed0"))["H"] > 0


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["bench", PROBLEM, "--methods", "lda,prototypes", "--seeds", "0"], "method 'prototypes'"),
        (["bench", "here", "--methods", "lda", "--seeds", "0"], "source 'arrays'"),
        (["ablate", "here", "--method", "prototypes", "--seeds", "0"], "method 'prototypes'"),
        (["tune", "here", "--method", "prototypes"], "method 'prototypes'"),
        (["extract", "here", "--backbone", "patches", "-o", "x.npz"], "kind of backbone 'patches'"),
    ],
)
def test_a_cluster_needs_the_entry_point(
    words: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--on", "ray"]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert said.startswith(f"gsmflow: {name}: is registered in this program alone")
    assert "leave out --on, or give it by an entry point in the group gsmflow." in said
    assert not Path("runs").exists()
