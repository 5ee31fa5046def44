"""What a newcomer does on the page of a run that was trained on pictures and names, in a real browser."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from gsmflow.cli import main
from gsmflow.files.class_table import read_classes
from gsmflow.runs.folder import load_classifier
from gsmflow.serve.app import create_app
from gsmflow.serve.images import extractor_of
from gsmflow.serve.limits import LOOPBACK, Limits
from gsmflow.serve.service import Service
from gsmflow.serve.texts import encoders_for
from serve.test_page import elements, listening, opened, text, until
from support.accessibility import violations
from support.encoders import tiny_encoder
from support.pictures import SIDE, digits, patches_model

if TYPE_CHECKING:
    from fastapi import FastAPI
    from selenium.webdriver import Chrome

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``run`` has learned from pictures of eight digits and knows a ninth by its name; ``new`` holds other pictures."""
    place = tmp_path_factory.mktemp("newcomer")
    digits(place / "pictures", 200, leave_out=(8, 9))
    patches_model(place / "pictures" / "model.onnx")
    tiny_encoder(place / "pictures", ["a", "photo", "of", "digit", *map(str, range(10))])
    looks = ["--size", str(SIDE), "--crop", "1", "--method", "lda", "--out", str(place / "run")]
    assert main(["train", str(place / "pictures"), "--classes", "digit 8", *looks]) == 0
    digits(place / "new", 260, leave_out=(8, 9))
    return place


def application(run: Path, folder: Path) -> FastAPI:
    """The application as `gsmflow serve` makes it, on a copy of the run."""
    copy = folder / run.name
    shutil.copytree(run, copy)
    service = Service(copy, data_root=folder, device=CPU, extractor=extractor_of(copy, CPU))
    encoders = encoders_for(service.version.describer, None, CPU)
    assert encoders is not None
    service.encode, service.encode_name = encoders.sentence, encoders.name
    return create_app(service, Limits(hosts=LOOPBACK))


def probabilities(run: Path, file: Path) -> np.ndarray:
    extract = extractor_of(run, CPU)
    assert extract is not None
    return load_classifier(run).probabilities(extract(file.read_bytes())[None])[0]


def between(folder: Path, out: Path) -> list[Path]:
    """Pictures halfway between those of two classes, which nothing can be sure of."""
    first = [Image.open(next(iter(sorted(each.iterdir())))).convert("L") for each in sorted(folder.iterdir())]
    files = []
    for index, (one, other) in enumerate(pairwise(first)):
        files.append(out / f"between {index}.png")
        Image.blend(one, other, 0.5).save(files[-1])
    return files


@pytest.mark.parametrize("width", [1280, 390])
def test_from_a_picture_to_an_answer_and_a_class_by_its_name(
    width: int, browser: Chrome, place: Path, tmp_path: Path
) -> None:
    run, classes = place / "run", load_classifier(place / "run").classes
    files = [*sorted((place / "new").rglob("*.png"))[::5], *between(place / "new", tmp_path)]
    best = {file: float(probabilities(run, file).max()) for file in files}
    surest, least = max(files, key=lambda f: best[f]), min(files, key=lambda f: best[f])
    assert best[surest] > 0.5 > best[least]
    (tmp_path / "letter.txt").write_text("no picture")
    (tmp_path / "fake.png").write_bytes(b"%PDF-1.4 no picture")
    with listening(application(run, tmp_path)) as address:
        opened(browser, address, width)
        until(lambda: [e for e in elements(browser, "#drop") if e.is_displayed()])
        chosen = browser.find_element("id", "file")
        chosen.send_keys(f"{surest}\n{least}")
        # A label and how probable it is; what is unsure is called so, in the list and beside the picture.
        label = {file: classes[probabilities(run, file).argmax()] for file in (surest, least)}
        said = [
            f"{surest.name}\n{label[surest]}, {100 * best[surest]:.1f}%",
            f"{least.name}\n{label[least]}, {100 * best[least]:.1f}%, unsure",
        ]
        until(lambda: [e.text for e in elements(browser, "#mine button")] == said)
        until(lambda: text(browser, "#asked-name") == surest.name)
        assert text(browser, "#ranks li b").startswith(label[surest])
        assert text(browser, "#ranks li .number") == f"{100 * best[surest]:.1f}%"
        assert text(browser, "#verdict") == "your picture"
        assert browser.find_element("css selector", "#picture img").get_attribute("naturalWidth") == str(SIDE)
        elements(browser, "#mine button")[1].click()
        until(lambda: text(browser, "#asked-name") == least.name)
        assert text(browser, "#verdict").startswith("your picture; unsure: no class has 50")
        # The numbers of a text explain nothing, so they are not shown.
        assert not browser.find_element("id", "why").is_displayed()
        # What is no picture is refused in a line, by its name.
        chosen.send_keys(str(tmp_path / "letter.txt"))
        until(lambda: text(browser, "#pictures-error") == "letter.txt is not a picture.")
        chosen.send_keys(str(tmp_path / "fake.png"))
        until(lambda: "a PDF document, not an image; save its pictures" in text(browser, "#mine li.wrong"))
        # A class by its name alone, which is described as the others were.
        name = browser.find_element("id", "new-name")
        assert not browser.find_element("id", "by-likeness").is_displayed()
        name.send_keys("digit 9")
        browser.find_element("id", "add-button").click()
        until(lambda: "digit 9 was added" in text(browser, "#added-text"))
        assert text(browser, "#add-error") == ""
        elements(browser, "#mine button")[1].click()  # below the last one; its answer was the old run's
        until(lambda: text(browser, "#answered-by") == "Answered by run-v2.")
        name.send_keys("digit 9")
        browser.find_element("id", "add-button").click()
        until(lambda: "already; choose another name" in text(browser, "#add-error"))
        assert "a PDF document" in text(browser, "#mine li.wrong")  # as before
        assert violations(browser) == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert main(["add-class", str(run), "--name", "digit 9", "--out", str(tmp_path / "by-command")]) == 0
    there, here = (
        read_classes(folder / "semantics.csv") for folder in (tmp_path / "by-command", tmp_path / "run-v2")
    )
    assert there[0] == here[0]
    np.testing.assert_array_equal(there[1], here[1])


def test_texts_alone_give_no_attributes_as_reasons(place: Path, tmp_path: Path) -> None:
    client = TestClient(application(place / "run", tmp_path), base_url="http://localhost")
    picture = next((place / "new").rglob("*.png")).read_bytes()
    (said,) = client.post("/v1/predict/image?explain=5", files={"image": picture}).json()["predictions"]
    assert said["reasons"] == []
    assert said["explained"] is None
    assert said["note"] == (
        "The classes of this run are described by texts. Vectors of texts have no named parts, so no attributes are "
        "listed."
    )
    (unasked,) = client.post("/v1/predict/image", files={"image": picture}).json()["predictions"]
    assert (unasked["reasons"], unasked["note"]) == ([], None)
    assert unasked["classes"] == said["classes"]
