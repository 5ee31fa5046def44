"""The report's content, read as text."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gsmflow.cli import main
from gsmflow.report import findings
from gsmflow.report.figures import draw
from gsmflow.report.page import render
from gsmflow.report.record import read
from gsmflow.runs.folder import load_classifier, read_metrics
from gsmflow.sources import load

DATA = Path("no data sets here")


def charts(page: str) -> dict[str, Any]:
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data
    return {chart["title"]: chart for chart in json.loads(data[1])["charts"]}


@pytest.fixture(scope="module")
def page(runs: tuple[Path, Path], page_of: Callable[..., str]) -> str:
    return page_of(runs[0])


def test_scores_and_protocol_are_those_of_the_run(page: str, runs: tuple[Path, Path]) -> None:
    metrics = read_metrics(runs[0])
    for score in ("U", "S", "H", "T1", "AUSUC"):
        assert f"<b>{100 * metrics[score]:.1f}</b>" in page
    assert "Protocol validated" in page
    assert f"<b>{100 * metrics['oracle']['H']:.1f}</b><span>oracle H (chosen on test)" in page
    assert metrics["oracle"]["H"] >= metrics["H"]
    for fact in ("fingerprint", "seconds", "torch = "):
        assert fact in page


def test_the_page_is_one_file_that_asks_for_nothing(page: str) -> None:
    addresses = re.findall(r"""(?:src|href|action)=["']([^"']+)""", page)
    assert addresses
    assert all(each.startswith(("#", "data:")) for each in addresses)
    assert "default-src 'none'" in page
    without_names = page.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://", without_names)


def test_the_curve_and_the_confusions_are_those_of_the_classifier(page: str, runs: tuple[Path, Path]) -> None:
    """Against another computation: the evaluation's own area, and counts by a loop."""
    problem = load("digits", data_root=DATA)
    classifier = load_classifier(runs[0])
    metrics = read_metrics(runs[0])
    line, point = charts(page)["Seen–unseen curve"]["views"][0]["series"][:2]
    area = np.trapezoid(line["y"], line["x"])
    assert area == pytest.approx(metrics["AUSUC"], abs=0.002)
    assert (point["x"][0], point["y"][0]) == pytest.approx((metrics["U"], metrics["S"]), abs=1e-4)
    rows = np.concatenate((problem.test_seen, problem.test_unseen))
    given = classifier.logits(problem.features[rows]).argmax(axis=1)
    confused = findings.confusion(read([runs[0]], DATA)[0])
    assert confused
    for true, called, rate, count in confused.pairs:
        mine = problem.labels[rows] == problem.classes.index(true)
        wrong = int((given[mine] == problem.classes.index(called)).sum())
        assert (wrong, wrong / mine.sum()) == (count, pytest.approx(rate))
    bars = charts(page)["Accuracy of every class"]["views"][0]["series"]
    assert sorted(name for s in bars for name in s["names"]) == sorted(problem.classes)


def test_pictures_of_real_and_synthesized_digits(page: str) -> None:
    problem = load("digits", data_root=DATA)
    for index in problem.unseen:
        for kind in ("real", "synthesized"):
            assert f'alt="{kind} samples of {problem.classes[index]}" src="data:image/png;base64,' in page


def test_class_names_are_text(hostile: Path, page_of: Callable[..., str]) -> None:
    page = page_of(hostile)
    from html.parser import HTMLParser

    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.scripts, self.images, self.bold = 0, [], 0

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.scripts += tag == "script"
            self.images += [dict(attrs).get("src")] if tag == "img" else []
            self.bold += tag == "b"

    tags = Tags()
    tags.feed(page)
    assert tags.scripts == 2  # the data and the program
    assert "x" not in tags.images
    assert "&lt;script&gt;window.hurt = 1&lt;/script&gt;" in page
    assert "<script>window.hurt" not in page
    assert any("<script>" in name for c in charts(page).values() if "classes" in c for name in c["classes"])


def test_two_runs_stand_side_by_side_with_their_differences(
    runs: tuple[Path, Path], page_of: Callable[..., str]
) -> None:
    page = page_of(*runs)
    first, second = (read_metrics(folder) for folder in runs)
    assert "2 runs compared" in page
    assert f"{100 * (second['H'] - first['H']):+.1f}</td>" in page
    assert "lda: Generation shifts: not measured for this method" in page
    board = page[page.index("Leaderboard") :]
    best, other = sorted(((m["H"], m["method"]) for m in (first, second)), reverse=True)
    assert board.index(f"<td>{best[1]}</td>") < board.index(f"<td>{other[1]}</td>")
    legend = {s["group"] for s in charts(page)["Seen–unseen curve"]["views"][0]["series"]}
    assert legend == {"gsmflow", "lda"}


def test_data_that_are_gone_or_changed_are_named(runs: tuple[Path, Path], hostile: Path) -> None:
    table = hostile.parent / "data" / "classes.csv"
    content = table.read_text()
    try:
        table.write_text(content.replace('"class 4",0.', '"class 4",1.'))
        assert "now holds other data than this run was made from" in render(read([hostile], DATA), ("pca",))
        table.unlink()
        assert "The data cannot be read" in render(read([hostile], DATA), ("pca",))
    finally:
        table.write_text(content)


def test_figures_are_column_wide_svg_and_png(runs: tuple[Path, Path], tmp_path: Path) -> None:
    written = draw(read([runs[0]], DATA), tmp_path / "figures")
    names = {path.stem for path in written}
    assert {
        "curve-1",
        "classes-1",
        "confusions-1",
        "embedding-1-pca",
        "embedding-1-t-sne",
        "shifts-1",
    } <= names
    for path in written:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.width == 990  # 3.3 inches of 300 dots
        else:
            assert ET.parse(path).getroot().attrib["width"] == "237.6pt"


def test_the_command(runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "page.html"
    assert main(["report", *map(str, runs), "-o", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["report"] == str(out)
    assert any("lda" in text for text in said["missing"])
    assert out.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: no such run folder"),
        (["{run}", "--embedding", "mds"], "'mds' is none of pca, t-sne, umap"),
        (["{run}", "-o", "/proc/none/page.html"], "/proc/none"),
    ],
)
def test_what_cannot_be_reported_is_refused_in_a_line(
    arguments: list[str], words: str, runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *(a.replace("{run}", str(runs[0])) for a in arguments)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert words in said[0]


def test_damaged_files_are_named(runs: tuple[Path, Path], tmp_path: Path) -> None:
    import shutil

    from gsmflow.base.errors import InputError

    for file, content in {
        "history.jsonl": b"[1]\n",
        "shifts.json": b"{}",
        "samples.safetensors": b"nothing",
    }.items():
        copy = tmp_path / file
        shutil.copytree(runs[0], copy)
        (copy / file).write_bytes(content)
        with pytest.raises(InputError, match=re.escape(file)):
            render(read([copy], DATA), ("pca",))
