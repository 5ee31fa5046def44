"""Warnings with names and numbers: where they are due, and only there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gsmflow.cli import main
from gsmflow.data.concern import Concern
from gsmflow.data.problem import Problem
from gsmflow.data.warnings import of_names, of_problem, of_scores, of_semantics, recorded, twins
from gsmflow.sources import load
from support.recipes import ARGUMENTS

REAL = Path(__file__).parents[3] / "shared" / "data"
NAMES = tuple(f"class {c}" for c in range(12))


def problem(seed: int = 0) -> Problem:
    """Twelve classes, nine of them seen, that nothing is odd about."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(12), 10)
    seen = np.flatnonzero(labels < 9)
    return Problem(
        name="mine",
        features=rng.random((120, 4)),
        labels=labels,
        semantics=np.eye(12)[:, :12] + 0.3 * rng.random((12, 12)),
        classes=NAMES,
        train=seen[seen % 10 < 8],
        test_seen=seen[seen % 10 >= 8],
        test_unseen=np.flatnonzero(labels >= 9),
        semantic_names=tuple("abcdefghijkl"),
    )


def kinds(concerns: list[Concern]) -> list[str]:
    return [each.kind for each in concerns]


def test_nothing_is_odd() -> None:
    assert of_problem(problem()) == []


@pytest.mark.parametrize(
    ("name", "features"), [("AWA1", "shallow"), ("FLO", "mobilenetv2"), ("digits", None)]
)
def test_real_descriptions_are_not_alike(name: str, features: str | None) -> None:
    if name != "digits" and not REAL.is_dir():
        pytest.skip(f"no real data at {REAL}")
    data = load(name, data_root=REAL, features=features)
    assert not set(kinds(of_semantics(data.semantics, data.classes, data.semantic_names))) - {"unseen alone"}


def pair(cosine: float, i: int, j: int) -> np.ndarray:
    """Semantics in which two classes have that cosine, and other pairs a much smaller one."""
    vectors = problem().semantics.astype(np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    other = unit[j] - (unit[j] @ unit[i]) * unit[i]
    unit[j] = cosine * unit[i] + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)
    return unit.astype(np.float32)


@pytest.mark.parametrize("cosine", [0.964, 0.9999])
def test_descriptions_nearly_alike(cosine: float) -> None:
    concerns = of_problem(replace(problem(), semantics=pair(cosine, 10, 11)))
    assert kinds(concerns) == ["twins"]
    assert concerns[0].text.startswith(
        f"1 pair of classes described nearly alike: class 10 and class 11 (cosine {cosine:.3f})."
    )
    assert kinds(of_problem(replace(problem(), semantics=pair(cosine, 3, 11)))) == ["twins"]
    # Two seen classes are told apart by their samples.
    assert of_problem(replace(problem(), semantics=pair(cosine, 3, 4))) == []
    assert [each[:2] for each in twins(pair(cosine, 3, 4))] == [(3, 4)]


def test_twins_among_descriptions_that_are_all_alike() -> None:
    """As sentence encoders give them: all cosines near 0.95, so that only the difference from the mean tells."""
    vectors = problem().semantics + 1.0
    assert twins(vectors) == []
    vectors[11] = vectors[10] + 0.01
    assert [each[:2] for each in twins(vectors)] == [(10, 11)]


def test_attributes_that_say_nothing_or_nothing_that_can_be_learned() -> None:
    semantics = problem().semantics.copy()
    semantics[:, 2] = 0.5
    semantics[:9, 7] = 0
    concerns = of_problem(replace(problem(), semantics=semantics))
    assert kinds(concerns) == ["constant", "unseen alone"]
    assert concerns[0].text.startswith("1 attribute with the same value for every class: c (0.5).")
    assert concerns[1].text.startswith(
        "1 attribute that only unseen classes differ in: h (0 for every seen class)."
    )


def test_names_that_are_written_alike() -> None:
    concerns = of_problem(replace(problem(), classes=("Zebra", "zebra", *NAMES[2:])))
    assert kinds(concerns) == ["names"]
    assert concerns[0].text.startswith(
        "Classes whose names differ in case or signs alone: 'Zebra' and 'zebra'."
    )


def test_names_in_the_plural() -> None:
    names = ("blue ring", "Blue-Rings", "fox", "foxes", "pony", "ponies", *NAMES[6:])
    concerns = of_names(names)
    assert kinds(concerns) == ["names"]
    assert concerns[0].text == (
        "Classes whose names differ in a plural alone: 'blue ring' and 'Blue-Rings', 'fox' and 'foxes', 'pony' and "
        "'ponies'. If they are the same class, give it one name."
    )
    assert not of_names(("lynx", "glass", "bus", "grass", "octopus"))


def test_classes_with_few_samples() -> None:
    whole = problem()
    train = np.setdiff1d(whole.train, [0, 1, 2, 3, 10, 11, 12])
    concerns = of_problem(replace(whole, train=train))
    assert kinds(concerns) == ["few"]
    assert "1 seen class with fewer than 5 training samples: class 0 (4)." in concerns[0].text


def test_samples_that_are_there_twice() -> None:
    whole = problem()
    features = whole.features.copy()
    features[8] = features[3]  # both of class 0, in training and test
    features[20] = features[41]  # of classes 2 and 4, both in training
    features[21] = 0.0
    features[22] = -0.0  # of one class, both in training: no harm
    concerns = of_problem(replace(whole, features=features))
    assert kinds(concerns) == ["repeated", "repeated"]
    assert (
        "1 test sample with the very features of a training sample: sample 8 is training sample 3 "
        in concerns[0].text
    )
    assert (
        "different labels: sample 20 (class 2) and sample 41 (class 4) (counted from 0)" in concerns[1].text
    )
    pictures = tuple(f"{index}.png" for index in range(len(features)))
    leak, double = of_problem(replace(whole, features=features, pictures=pictures))
    assert "a training sample: picture 8.png is training picture 3.png. Scores" in leak.text
    assert "different labels: picture 20.png (class 2) and picture 41.png (class 4). Correct" in double.text


def test_seen_classes_that_are_missed() -> None:
    per_class = dict.fromkeys(NAMES, 0.8) | {"class 1": 0.0, "class 2": 0.05, "class 10": 0.0}
    concerns = of_scores(per_class, NAMES[:9])
    assert kinds(concerns) == ["missed"]
    assert concerns[0].text.startswith(
        "2 seen classes hardly ever recognised: class 1 (0.0%), class 2 (5.0%); the mean"
    )
    assert of_scores(per_class, NAMES[3:9]) == []
    assert of_scores({}, NAMES) == []


def test_recorded_concerns_come_back() -> None:
    concerns = [Concern("few", "one"), Concern("missed", "two")]
    assert recorded({"warnings": json.loads(json.dumps([each.to_dict() for each in concerns]))}) == concerns
    assert recorded({}) == recorded({"warnings": None}) == recorded({"warnings": [3, {"kind": "few"}]}) == []


@pytest.fixture
def near(tmp_path: Path) -> Path:
    """A folder of one's own data: two unseen classes described nearly alike, one attribute of no use."""
    folder = tmp_path / "mine"
    folder.mkdir()
    data = problem()
    rows = zip(data.labels, data.features, strict=True)
    lines = [f"{NAMES[label]},{','.join(map(str, row))}" for label, row in rows if label < 9]
    (folder / "features.csv").write_text("label,f0,f1,f2,f3\n" + "\n".join(lines) + "\n")
    near = pair(0.9999, 10, 11)
    described = [f"{name},7,{','.join(map(str, row))}" for name, row in zip(NAMES, near, strict=True)]
    (folder / "classes.csv").write_text("name,same,a,b,c,d,e,f,g,h,i,j,k,l\n" + "\n".join(described) + "\n")
    return folder


def test_every_command_says_the_same(near: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = [*ARGUMENTS, "--set", "gsmflow.epochs=1", "--protocol", "last"]
    about = "warning: 1 pair of classes described nearly alike: class 10 and class 11 (cosine 1.000)."
    assert main(["data", str(near)]) == 0
    assert capsys.readouterr().err.count(about) == 1
    assert main(["data", str(near), "--json"]) == 0
    said = capsys.readouterr()
    warned = json.loads(said.out)["warnings"]
    assert [each["kind"] for each in warned] == ["twins", "constant"]
    assert said.err.count(about) == 1
    assert main(["train", str(near), *small, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert said.count(about) == 1
    # Before, so that a day can be saved
    assert said.index(about) < said.index("training on all training data")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["warnings"][:2] == warned
    missed = [name for name, value in metrics["per_class"].items() if value == 0 and name in NAMES[:9]]
    texts = " ".join(each["text"] for each in metrics["warnings"] if each["kind"] == "missed")
    assert all(name in texts for name in missed)
    assert ("hardly ever recognised" in said) == bool(texts)
    assert main(["describe", str(near / "classes.csv"), "--json", "-o", str(tmp_path / "d.csv")]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["left_out"] == ["same"]
    assert told["dimensions"] == 12
    assert [each["kind"] for each in told["warnings"]] == ["twins"]
    assert "left out, because it says nothing: same has the same value for every class" in said.err
    assert said.err.count("described nearly alike: class 10 and class 11") == 1


def test_the_same_picture_twice(tmp_path: Path) -> None:
    from gsmflow.images.listing import list_labelled
    from gsmflow.images.repeated import repeated

    contents = {
        "train/horse/1.png": b"horse",
        "test/horse/2.png": b"horse",
        "train/tiger/1.png": b"tiger",
        "train/bear/1.png": b"tiger",
        "train/bear/2.png": b"other",
        "train/bear/3.png": b"other",
        "test/bear/4.png": b"longer",
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    concerns = repeated(list_labelled(tmp_path))
    assert [each.text.split(";")[0] for each in concerns] == [
        "1 picture is there twice, in two parts of the data: test/horse/2.png and train/horse/1.png",
        "1 picture is there twice, under two labels: train/bear/1.png and train/tiger/1.png",
    ]
