"""The page in a real browser: pick a sample, drop an image, add a class; names stay text, nothing else is asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image

from gsmflow.runs.examples import Examples
from gsmflow.runs.folder import load_classifier

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

HOSTILE = "<script>window.hurt = 1</script>"


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The application on a free port of this machine; its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()


def opened(browser: Chrome, address: str, width: int = 1200) -> None:
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)


def elements(browser: Chrome, selector: str) -> list[WebElement]:
    return browser.find_elements("css selector", selector)


def text(browser: Chrome, selector: str) -> str:
    return browser.find_element("css selector", selector).text


def until(condition: Callable[[], Any]) -> Any:
    """What the condition gives once it gives something."""
    ends = time.monotonic() + 20
    while not (given := condition()):
        assert time.monotonic() < ends
        time.sleep(0.05)
    return given


def pick(browser: Chrome, index: int) -> None:
    until(lambda: elements(browser, "#gallery button"))[index].click()
    until(lambda: elements(browser, f'#gallery button[data-index="{index}"][aria-pressed="true"]'))


def asked_for(browser: Chrome) -> set[str]:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}


def test_a_sample_is_answered_and_a_class_added(browser: Chrome, served: Any, run: Path) -> None:
    kept = Examples.read(run / "examples.safetensors")
    first = int(np.flatnonzero(kept.labels == 0)[0])
    with listening(served()) as address:
        opened(browser, address)
        pick(browser, first)
        expected = load_classifier(run).probabilities(kept.features)[first]
        best = np.argsort(-expected)[:5]
        classes = load_classifier(run).classes
        ranks = until(lambda: elements(browser, "#ranks li"))
        shown = [
            (r.find_element("css selector", "b").text, r.find_element("css selector", ".number").text)
            for r in ranks
        ]
        badges = ["unseen" if c in load_classifier(run).unseen else "seen" for c in best]
        assert shown == [
            (f"{classes[c]} {badge}", f"{100 * expected[c]:.1f}%")
            for c, badge in zip(best, badges, strict=True)
        ]
        assert text(browser, "#asked-name") == HOSTILE
        until(lambda: elements(browser, "#attributes tbody tr"))
        rows = [row.text for row in elements(browser, "#attributes tbody tr")]
        assert [row.split()[0] for row in rows] == [
            "legs",
            "<b>wings</b>",
            "stripes",
            "horns",
            "spots",
            "fins",
        ]
        described = (run / "semantics.csv").read_text().splitlines()[best[0] + 1].split(",")
        values = [float(row.split()[1]) for row in rows]
        assert values == pytest.approx([float(value) for value in described[1:]], rel=1e-3)

        name = browser.find_element("id", "new-name")
        name.send_keys("<img src=x onerror='window.hurt=1'>")
        inputs = until(lambda: elements(browser, "#values input"))
        assert len(inputs) == 6
        inputs[0].clear()
        inputs[0].send_keys("1.75")
        browser.find_element("id", "add-button").click()
        until(lambda: "answers from now on" in text(browser, "#added-text"))
        until(lambda: text(browser, "#answered-by") == "answered by run-v2")
        assert text(browser, "h1") == "run-v2"
        assert text(browser, "#added-table").split()[:3] == ["U", "S", "H"]
        assert load_classifier(run.with_name("run-v2")).classes[-1] == "<img src=x onerror='window.hurt=1'>"
        described = (run.with_name("run-v2") / "semantics.csv").read_text().splitlines()[-1]
        assert ",1.75," in described
        browser.find_element("css selector", "details summary").click()
        assert "<img src=x onerror='window.hurt=1'>added" in text(browser, "#classes").replace("\n", "")
        # A name that is taken is refused in words.
        name.send_keys(HOSTILE)
        browser.find_element("id", "add-button").click()
        until(lambda: "already; choose another name" in text(browser, "#error"))

        assert browser.execute_script("return window.hurt") is None
        assert elements(browser, "main img") == []
        assert [entry for entry in browser.get_log("browser") if "409" not in entry["message"]] == []
        assert all(url.startswith((address, "data:")) for url in asked_for(browser))


def test_an_image_is_answered(browser: Chrome, served: Any, run: Path, tmp_path: Path) -> None:
    from serve.test_api import pixels

    file = tmp_path / "picture.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(file)
    with listening(served(extractor=pixels)) as address:
        opened(browser, address)
        chooser = until(lambda: [e for e in elements(browser, "#drop") if e.is_displayed()])[0]
        chooser.find_element("css selector", "input").send_keys(str(file))
        until(lambda: text(browser, "#asked-name") == "picture.png")
        expected = load_classifier(run).probabilities(pixels(file.read_bytes())[None])[0]
        ranks = until(lambda: elements(browser, "#ranks li"))
        assert ranks[0].text.endswith(f"{100 * expected.max():.1f}%")
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"no image")
        chooser.find_element("css selector", "input").send_keys(str(broken))
        until(lambda: "not a readable image file" in text(browser, "#error"))


def test_it_asks_for_a_token_and_fits_a_phone(browser: Chrome, served: Any) -> None:
    with listening(served(token="secret", read_only=True)) as address:
        opened(browser, address, width=390)
        field = until(lambda: [e for e in elements(browser, "#token") if e.is_displayed()])[0]
        field.send_keys("secret")
        field.submit()
        pick(browser, 3)
        until(lambda: elements(browser, "#attributes tbody tr"))
        assert not browser.find_element("id", "token-form").is_displayed()
        assert not browser.find_element("id", "add").is_displayed()
        assert browser.execute_script("return document.documentElement.scrollWidth") == 390
        light = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        browser.find_element("css selector", '#theme option[value="dark"]').click()
        dark = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert light != dark == "rgb(16, 22, 29)"


def test_the_description_of_the_addresses_needs_no_network(browser: Chrome, served: Any) -> None:
    with listening(served()) as address:
        opened(browser, f"{address}docs")
        until(lambda: "/v1/predict" in text(browser, "body"))
        assert all(url.startswith((address, "data:")) for url in asked_for(browser))
