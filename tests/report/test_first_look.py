"""What a reader sees first: estimates where there is no test set, warnings, pictures, shifts in words."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.files.tensors import write_tensors
from gsmflow.report.cards import cards, summary
from gsmflow.report.charts import embedding_chart
from gsmflow.report.embedding import embed
from gsmflow.report.notices import differences, notices
from gsmflow.report.page import render
from gsmflow.report.page_tables import member_table
from gsmflow.report.record import Record, read
from gsmflow.report.words import in_words
from gsmflow.runs.thumbnails import KINDS, Thumbnails
from support.pictures import SIDE, digits, patches_model
from support.recipes import ARGUMENTS

DATA = Path("no data sets here")
# Of the digits, a to g.
SEGMENTS = "1111110,0110000,1101101,1111001,0110011,1011011,1011111,1110000,1111111,1111011"


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on pictures of seven digits, three more described and never seen; its pictures lie beside it."""
    root = tmp_path_factory.mktemp("pictures")
    data = root / "data"
    digits(data / "images", 300, leave_out=(3, 7, 9))
    rows = [f"digit {n},{','.join(lit)}" for n, lit in enumerate(SEGMENTS.split(","))]
    (data / "classes.csv").write_text("\n".join(["name,a,b,c,d,e,f,g", *rows]) + "\n")
    model = patches_model(root / "model.onnx")
    whole = ["--size", str(SIDE), "--crop", "1"]
    assert (
        main(
            [
                "extract",
                str(data / "images"),
                "--backbone",
                str(model),
                *whole,
                "-o",
                str(data / "features.npz"),
            ]
        )
        == 0
    )
    assert main(["train", str(data), "--method", "lda", "--out", str(root / "run")]) == 0
    return root / "run"


def test_cards_say_what_to_expect_where_no_test_set_tells(pictures: Path) -> None:
    record = read([pictures], DATA)[0]
    chosen = record.metrics["chosen"]
    shown = {card.name: (card.value, card.estimate) for card in cards(record)}
    assert shown["S, seen classes"] == (f"{100 * record.metrics['S']:.1f}", False)
    assert shown["expected U, unseen classes"] == (f"≈ {100 * chosen['U']:.0f}", True)
    assert not any("–" in value for value, _ in shown.values())
    expected = f"Expect U about {100 * chosen['U']:.0f} for classes without pictures"
    assert expected in summary(record)
    assert expected in render([record])
    alone = replace(record, metrics={**record.metrics, "chosen": None})
    assert [card.name for card in cards(alone)] == ["S, seen classes"]
    assert "U is not known" in summary(alone)


def test_pictures_are_those_of_the_test_samples(pictures: Path) -> None:
    """Each picture, its true class and what it was taken for, against the run's data."""
    record = read([pictures], DATA)[0]
    stored = Thumbnails.read(pictures / "thumbnails.safetensors")
    problem, classifier = record.problem, record.classifier
    assert problem
    assert problem.pictures
    chances = classifier.probabilities(problem.features[problem.test_seen])
    given = chances.argmax(axis=1)
    truth = problem.labels[problem.test_seen]
    wrong = int((given != truth).sum())
    assert wrong
    mistakes = stored.kind == KINDS.index("mistake")
    assert 0 < mistakes.sum() <= wrong
    assert (stored.given[mistakes] != stored.labels[mistakes]).all()
    assert (stored.given[~mistakes] == stored.labels[~mistakes]).all()
    for label in np.unique(stored.labels):
        of_class = [stored.probability[(stored.labels == label) & (stored.kind == kind)] for kind in (1, 2)]
        right = chances[(truth == label) & (given == label), label]
        assert of_class[0].max() == pytest.approx(right.max())
        if len(of_class[1]):
            assert of_class[1].min() == pytest.approx(right.min())
            assert of_class[0].min() >= of_class[1].max()
    originals = []
    for row in problem.test_seen:
        with Image.open(problem.pictures[row]) as image:
            originals.append(np.asarray(image.convert("L"), float))
    for content, label in zip(stored.pictures, stored.labels, strict=True):
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (SIDE, SIDE)
            shown = np.asarray(image.convert("L"), float)
        nearest = int(np.argmin([np.abs(shown - original).mean() for original in originals]))
        assert truth[nearest] == label
    assert (pictures / "thumbnails.safetensors").stat().st_size < 480 * 8192
    page = render([record])
    shown_pictures = re.findall(
        r'<img loading="lazy" alt="([^"]*)" src="data:image/jpeg;base64,([^"]*)"', page
    )
    assert len(shown_pictures) == len(stored.pictures)
    assert {base64.b64decode(each) for _, each in shown_pictures} == set(stored.pictures)
    assert sum("taken for" in text for text, _ in shown_pictures) == mistakes.sum()


def test_pictures_stay_when_the_files_are_gone_and_are_bounded(pictures: Path, tmp_path: Path) -> None:
    import shutil

    run = tmp_path / "run"
    shutil.copytree(pictures, run)
    elsewhere = run / "config.toml"
    elsewhere.write_text(elsewhere.read_text().replace(str(pictures.parent / "data"), str(tmp_path / "gone")))
    (run / "checksums.txt").unlink()
    page = render(read([run], DATA))
    assert "The data cannot be read" in page
    assert "data:image/jpeg" in page
    file = run / "thumbnails.safetensors"
    many = [b"x"] * 500
    labels = np.zeros(500, np.int64)
    Thumbnails(many, labels, labels, np.zeros(500), labels).write(file)
    with pytest.raises(InputError, match="more than 480 pictures"):
        read([run], DATA)
    Thumbnails([b"x"], labels[:1] + 99, labels[:1], np.zeros(1), labels[:1]).write(file)
    with pytest.raises(InputError, match="names a class that the run has not"):
        read([run], DATA)
    write_tensors(file, {})
    with pytest.raises(InputError, match="tensor 'bytes' is missing"):
        read([run], DATA)


def test_classes_never_recognised_and_twins_come_first(pictures: Path) -> None:
    record = read([pictures], DATA)[0]
    per_class = {**record.metrics["per_class"], "digit 1": 0.0}
    assert record.semantics is not None
    alike = record.semantics.copy()
    alike[8] = alike[0] + [0.01, 0, 0, 0, 0, 0, 0]
    ruined = replace(record, metrics={**record.metrics, "per_class": per_class}, semantics=alike)
    by_kind = {notice.kind: notice for notice in notices(ruined, {"digit 1": ("digit 7", 0.75, 8)})}
    never = by_kind["never recognised"]
    assert never.text == "digit 1 is never recognised: 75% of its 8 test samples are taken for digit 7."
    assert [(each.name, each.first, each.second) for each in never.differ] == [("a", "0", "1")]
    assert by_kind["twins"].pair == ("digit 0", "digit 8")
    assert [each.name for each in by_kind["twins"].differ] == ["a"]
    assert not [notice for notice in notices(record, {}) if notice.kind in ("never recognised", "twins")]


def test_warnings_that_the_run_wrote_are_shown_and_not_repeated(pictures: Path) -> None:
    record = read([pictures], DATA)[0]
    written = [{"kind": "twins", "text": "a <b> and c are alike"}, {"kind": "other"}, "odd"]
    warned = replace(record, metrics={**record.metrics, "warnings": written})
    assert [notice.text for notice in notices(warned, {})] == ["a <b> and c are alike"]
    page = render([warned])
    assert page.index("a &lt;b&gt; and c are alike") < page.index('id="summary"')


def test_what_is_better_comes_first_commands_are_code_and_missed_classes_are_told_once(
    pictures: Path,
) -> None:
    record = read([pictures], DATA)[0]
    written = [
        {"kind": "missed", "text": "digit 1 is hardly ever recognised"},
        {"kind": "better", "text": "Train with `--method <lda>`."},
    ]

    def warned(rate: float) -> Record:
        per_class = {**dict.fromkeys(record.metrics["per_class"], 0.8), "digit 1": rate}
        return replace(record, metrics={**record.metrics, "warnings": written, "per_class": per_class})

    never, seldom = ([notice.kind for notice in notices(warned(rate), {})] for rate in (0.0, 0.01))
    assert never[:2] == ["better", "never recognised"]
    assert "missed" not in never
    assert seldom[:2] == ["better", "missed"]
    assert "Train with <code>--method &lt;lda&gt;</code>." in render([warned(0.0)])


def test_measures_that_say_little_are_said_to(runs: tuple[Path, Path]) -> None:
    record = read([runs[0]], DATA)[0]
    assert record.shifts
    texts = " ".join(notice.text for notice in notices(record, {}) if notice.kind == "measures")
    assert "means over 8 classes" in texts
    none = {**record.shifts["distribution"], "precision": 0.0, "real_precision": 0.9}
    shifts = {**record.shifts, "distribution": none, "classes": [str(n) for n in range(10)]}
    texts = " ".join(
        notice.text for notice in notices(replace(record, shifts=shifts), {}) if notice.kind == "measures"
    )
    assert "Precision is 0 (real ones get 0.90)" in texts
    assert "means over" not in texts


SHIFTS: dict[str, Any] = {
    "variance": {"ratio": 1.0},
    "structure": {"spearman": 0.9},
    "semantic": {"cosine": 0.8, "real_cosine": 0.82},
    "distribution": {"recall": 0.8, "real_recall": 0.9},
}


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("variance", {"ratio": 3.6}, "Synthetic classes are 3.6 times as wide as real ones"),
        ("variance", {"ratio": 0.3}, "too narrow"),
        ("structure", {"spearman": 0.2}, "are not arranged like the real ones"),
        ("semantic", {"cosine": 0.3, "real_cosine": 0.8}, "part of the description is lost"),
        (
            "semantic",
            {"cosine": 0.1, "real_cosine": 0.2},
            "even from real features the attributes can hardly",
        ),
        ("distribution", {"recall": 0.1, "real_recall": 0.9}, "cover 10% of the real ones"),
    ],
)
def test_shifts_are_said_in_words_with_what_to_do(part: str, values: dict[str, float], said: str) -> None:
    assert not [reading for reading in in_words(SHIFTS) if reading.advice]
    first = in_words({**SHIFTS, part: values})[0]
    assert said in first.text
    assert first.advice
    nothing = {"variance": {"ratio": None}, "structure": {"spearman": None}}
    assert in_words({**nothing, "semantic": {"cosine": None}, "distribution": {"recall": None}}) == []


def test_unseen_classes_without_features_are_in_the_plot_and_stand_out(hostile: Path) -> None:
    record = read([hostile], DATA)[0]
    assert record.samples
    dims = record.samples.real.shape[1]
    unseen = np.ones((9, dims), np.float32), np.full(9, 7)
    shown = embedding_chart(record, embed(record.samples, ("pca",), unseen=unseen), record.classifier.classes)
    name = record.classifier.classes[7]
    points = {each["name"]: len(each["x"]) for each in shown["views"][0]["series"]}
    assert points[f"{name}, synthetic"] == 9
    assert f"{name}, real" not in points
    without = {**record.metrics["per_class"]}
    without.pop(name)
    bare = replace(record, metrics={**record.metrics, "per_class": without})
    again = embedding_chart(bare, embed(record.samples, ("pca",), unseen=unseen), record.classifier.classes)
    assert again["highlight"][0] == name
    assert "Of classes without real features 9 synthetic ones." in again["summary"]


def test_a_run_keeps_synthetic_features_of_classes_that_nothing_judges(tmp_path: Path) -> None:
    """20 of each class that is only described; the plot shows them beside real features of the seen ones."""
    rng = np.random.default_rng(0)
    described = rng.random((6, 4))
    labels = np.repeat(np.arange(4), 25)
    features = described[labels] @ rng.random((4, 5)) + 0.05 * rng.standard_normal((100, 5))
    names = np.array([f"class {n}" for n in range(6)])
    np.savez(tmp_path / "features.npz", features=features, labels=names[labels])
    rows = [",".join([name, *map(str, row)]) for name, row in zip(names, described, strict=True)]
    (tmp_path / "classes.csv").write_text("\n".join(["name,a,b,c,d", *rows]) + "\n")
    run = tmp_path / "run"
    assert main(["train", str(tmp_path), *ARGUMENTS, "--protocol", "last", "--out", str(run)]) == 0
    record = read([run], DATA)[0]
    assert record.unseen_samples
    values, of = record.unseen_samples
    assert values.shape == (40, 5)
    assert of.tolist() == [4] * 20 + [5] * 20
    page = render([record], ("pca",))
    assert "Of classes without real features 40 synthetic ones. Highlighted: class 4, class 5" in page


def test_members_are_a_leaderboard(pictures: Path) -> None:
    record = read([pictures], DATA)[0]
    assert member_table(record) is None
    members = [
        {"name": "eszsl", "H": 0.31, "weight": None, "seconds": 3.21},
        {"label": "novelty", "H": 0.6, "ranks": False, "weight": 0.25, "seconds": 2},
        {"name": "lda", "label": "lda, attributes", "H": 0.52, "weight": 0.75, "seconds": 1},
    ]
    table = member_table(replace(record, metrics={**record.metrics, "members": members}))
    assert table
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["lda, attributes", "52.0", "0.75", "1.0"],
        ["eszsl", "31.0", "–", "3.2"],
        ["novelty", "–", "0.25", "2.0"],  # it ranks no classes, so that its H says nothing
    ]


def test_members_that_were_left_out_stand_below(pictures: Path) -> None:
    record = read([pictures], DATA)[0]
    members = [{"label": "lda", "H": 0.5, "weight": 1.0, "seconds": 2.0}]
    metrics = {
        **record.metrics,
        "members": members,
        "left_out": {"gsmflow": "it would not be done within the budget"},
    }
    table = member_table(replace(record, metrics=metrics))
    assert table is not None
    assert [row[0].text for row in table.rows] == ["lda"]
    assert table.below == [("gsmflow was left out", "it would not be done within the budget")]
    page = render([replace(record, metrics=metrics)], ("pca",))
    assert "<li><b>gsmflow was left out</b>: it would not be done within the budget</li>" in page


def test_classes_differ_in_attributes_and_never_in_numbers_of_a_text(pictures: Path) -> None:
    record = read([pictures], DATA)[0]
    first, second, *_ = record.seen
    semantics = np.zeros((len(record.seen), 4), np.float32)
    semantics[1] = (0.5, 0.0, 0.2, 0.9)
    blocks = [
        {"name": "classes", "mean": "1.0 0.0", "scale": 2.0, "origin": {}},
        {"name": "text", "mean": "0.0 0.0", "scale": 1.0, "origin": {"encoder": "x"}},
    ]
    joined = replace(
        record,
        semantics=semantics,
        dimensions=("stripes", "hooves", "d0", "d1"),
        config={**record.config, "semantic_origin": {"blocks": blocks}},
    )
    told = differences(joined, first, second)
    assert [(each.name, each.first, each.second) for each in told] == [("stripes", "1", "2")]
    of_text = replace(joined, config={**record.config, "semantic_origin": {"encoder": "x"}})
    assert differences(of_text, first, second) == ()


def test_the_page_can_be_opened(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import webbrowser

    asked: list[str] = []
    monkeypatch.setattr(webbrowser, "open", asked.append)
    out = tmp_path / "page.html"
    assert main(["report", str(pictures), "-o", str(out), "--open", "--json"]) == 0
    assert asked == [out.as_uri()]
    assert json.loads(capsys.readouterr().out)["report"] == str(out)
    assert main(["report", str(pictures), "-o", str(out)]) == 0
    assert len(asked) == 1
