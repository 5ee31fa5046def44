"""The page in a real browser: pick a sample, drop an image, add a class; names stay text, nothing else is asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

from gsmflow.runs.examples import Examples
from gsmflow.runs.folder import load_classifier
from support.accessibility import violations

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
    """What the condition gives once it gives something; what is not on the page yet is waited for."""
    ends = time.monotonic() + 20
    while True:
        with suppress(NoSuchElementException, StaleElementReferenceException):
            if given := condition():
                return given
        assert time.monotonic() < ends
        time.sleep(0.05)


def pick(browser: Chrome, index: int) -> None:
    until(lambda: elements(browser, "#gallery button"))[index].click()
    until(lambda: elements(browser, f'#gallery button[data-index="{index}"][aria-pressed="true"]'))


def asked_for(browser: Chrome) -> set[str]:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}


def test_a_sample_is_answered_and_a_class_added(browser: Chrome, served: Any, run: Path) -> None:
    examples = Examples.read(run / "examples.safetensors")
    first = int(np.flatnonzero(examples.labels == 0)[0])
    with listening(served()) as address:
        opened(browser, address)
        pick(browser, first)
        expected = load_classifier(run).probabilities(examples.features)[first]
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
        reasons = [row.text for row in elements(browser, "#reasons tbody tr")]
        assert 0 < len(reasons) <= 6
        assert all(row.split()[1][0] in "+−" for row in reasons)
        assert elements(browser, "#attributes") != []
        assert not browser.find_element("id", "attributes").is_displayed()
        browser.find_element("id", "more").click()
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
        browser.find_element("id", "add-button").click()
        until(lambda: f"Say in what it differs from {HOSTILE}" in text(browser, "#add-error"))
        browser.find_element("id", "differ").click()
        (changed,) = elements(browser, "#differences input")
        assert changed.get_attribute("name") == "legs"
        changed.clear()
        changed.send_keys("1.75")
        browser.find_element("id", "add-button").click()
        until(lambda: "answers from now on" in text(browser, "#added-text"))
        assert text(browser, "#add-error") == ""
        until(lambda: text(browser, "#answered-by") == "Answered by run-v2.")
        assert text(browser, "h1") == "run-v2"
        assert text(browser, "#added-table").split()[:4] == ["Scores", "U", "S", "H"]
        assert load_classifier(run.with_name("run-v2")).classes[-1] == "<img src=x onerror='window.hurt=1'>"
        lines = (run.with_name("run-v2") / "semantics.csv").read_text().splitlines()
        new, like = (line.rsplit(",", 6)[1:] for line in (lines[-1], lines[1]))
        assert (new[0], new[1:]) == ("1.75", like[1:])
        browser.find_element("css selector", "details summary").click()
        assert "<img src=x onerror='window.hurt=1'>added" in text(browser, "#classes").replace("\n", "")
        # A name that is taken is refused in words.
        name.send_keys(HOSTILE)
        browser.find_element("id", "differ").click()
        browser.find_element("id", "add-button").click()
        until(lambda: "already; choose another name" in text(browser, "#add-error"))

        assert browser.execute_script("return window.hurt") is None
        assert elements(browser, "main img") == []
        assert [entry for entry in browser.get_log("browser") if "409" not in entry["message"]] == []
        assert all(url.startswith((address, "data:")) for url in asked_for(browser))


def test_several_pictures_are_answered_and_one_that_is_broken_says_so(
    browser: Chrome, served: Any, run: Path, tmp_path: Path
) -> None:
    from serve.test_api import pixels

    files = [tmp_path / f"picture {n}.png" for n in range(3)]
    for n, file in enumerate(files):
        Image.fromarray(np.roll(np.arange(64, dtype=np.uint8), 9 * n).reshape(8, 8)).save(file)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with listening(served(extractor=pixels)) as address:
        opened(browser, address)
        until(lambda: [e for e in elements(browser, "#drop") if e.is_displayed()])
        # What is dropped, pasted or chosen comes before anything else.
        assert elements(browser, "main input, main select, main button")[2].get_attribute("id") == "file"
        browser.find_element("id", "file").send_keys("\n".join(map(str, [*files, broken])))
        until(lambda: text(browser, "#asked-name") == "picture 0.png")
        classes = load_classifier(run).classes
        expected = [load_classifier(run).probabilities(pixels(f.read_bytes())[None])[0] for f in files]
        said = [
            f"{f.name}\n{classes[p.argmax()]}, {100 * p.max():.1f}%{', unsure' * bool(p.max() < 0.5)}"
            for f, p in zip(files, expected, strict=True)
        ]
        until(lambda: [e.text for e in elements(browser, "#mine button")][:3] == said)
        until(lambda: "not a readable image file" in text(browser, "#mine li.wrong"))
        assert "not a readable image file" in text(browser, "#pictures-error")
        elements(browser, "#mine button")[2].click()
        until(lambda: text(browser, "#asked-name") == "picture 2.png")
        assert text(browser, "#ranks li").endswith(f"{100 * expected[2].max():.1f}%")
        assert text(browser, "#pictures-error") == ""
        # A question that fails takes the old answer away.
        elements(browser, "#mine button")[3].click()
        until(lambda: "not a readable image file" in text(browser, "#pictures-error"))
        assert not browser.find_element("id", "answered").is_displayed()
        assert text(browser, "#nothing") == "No answer."
        paste = (
            "const [name, type] = arguments, data = new DataTransfer();"
            "data.items.add(new File([new Uint8Array([1])], name, { type }));"
            "document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, cancelable: true }))"
        )
        browser.execute_script(paste, "letter.txt", "text/plain")
        until(lambda: text(browser, "#pictures-error") == "letter.txt is not a picture.")
        browser.execute_script(paste, "pasted.png", "image/png")
        until(lambda: len(elements(browser, "#mine li")) == 5)


def test_a_phone_offers_its_camera(browser: Chrome, served: Any, request: pytest.FixtureRequest) -> None:
    from serve.test_api import pixels

    off: dict[str, Any] = {"enabled": False}
    request.addfinalizer(lambda: browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", off))
    with listening(served(extractor=pixels)) as address:
        opened(browser, address)
        until(lambda: [e for e in elements(browser, "#drop") if e.is_displayed()])
        assert not browser.find_element("id", "camera").is_displayed()
        touch: dict[str, Any] = {"enabled": True, "maxTouchPoints": 5}
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", touch)
        opened(browser, address, width=390)
        until(lambda: [e for e in elements(browser, "#camera") if e.is_displayed()])
        assert browser.find_element("id", "photo").get_attribute("capture") == "environment"


def test_a_sentence_describes_a_class_where_there_is_an_encoder(
    browser: Chrome, served: Any, run: Path
) -> None:
    app = served(encode=lambda sentence: np.full(6, 0.1 * len(sentence), np.float32))
    with listening(app) as address:
        opened(browser, address)
        until(lambda: elements(browser, "#like option"))
        browser.find_element("id", "new-name").send_keys("okapi")
        browser.find_element("css selector", '#described-by option[value="text"]').click()
        assert not browser.find_element("id", "like").is_displayed()
        browser.find_element("id", "text").send_keys("horse")
        browser.find_element("id", "add-button").click()
        until(lambda: "answers from now on" in text(browser, "#added-text"))
    described = (run.with_name("run-v2") / "semantics.csv").read_text().splitlines()[-1]
    assert described == "okapi,0.5,0.5,0.5,0.5,0.5,0.5"


@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1280, "light")])
def test_accessible(
    width: int, theme: str, browser: Chrome, served: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Rules of axe-core, after a question, with everything opened; no scrolling sideways.

    The theme changes colours alone, and the width places alone: two pairs show all four.
    """
    from serve.test_api import pixels

    feature = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    request.addfinalizer(lambda: browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []}))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with listening(served(extractor=pixels)) as address:
        opened(browser, address, width)
        pick(browser, 3)
        until(lambda: elements(browser, "#reasons tbody tr"))
        browser.find_element("id", "more").click()
        browser.find_element("id", "differ").click()
        browser.find_element("css selector", "details summary").click()
        browser.find_element("id", "file").send_keys(str(broken))
        until(lambda: text(browser, "#pictures-error"))
        pick(browser, 3)
        assert violations(browser) == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_keyboard_does_everything(browser: Chrome, served: Any) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    def press(*keys: str) -> None:
        ActionChains(browser).send_keys(*keys).perform()

    with listening(served()) as address:
        opened(browser, address)
        until(lambda: elements(browser, "#gallery button"))
        reached = []
        for _ in range(60):
            press(Keys.TAB)
            reached.append(browser.switch_to.active_element.get_attribute("id"))
            if browser.switch_to.active_element.get_attribute("data-index") == "2":
                break
        press(Keys.ENTER)
        until(lambda: elements(browser, '#gallery button[data-index="2"][aria-pressed="true"]'))
        until(lambda: elements(browser, "#reasons tbody tr"))
        assert {"theme", "of-class", "another"} <= set(reached)
        for _ in range(200):
            press(Keys.TAB)
            reached.append(browser.switch_to.active_element.get_attribute("id"))
            if reached[-1] == "add-button":
                break
        assert {"more", "new-name", "like", "attribute", "differ", "add-button"} <= set(reached)


def test_it_asks_for_a_token_and_fits_a_phone(browser: Chrome, served: Any) -> None:
    with listening(served(token="secret", read_only=True)) as address:
        opened(browser, address, width=390)
        field = until(lambda: [e for e in elements(browser, "#token") if e.is_displayed()])[0]
        assert [e.text for e in elements(browser, "[role=alert]") if e.text] == []  # nothing was typed yet
        assert violations(browser) == []
        field.send_keys("guess")
        field.submit()
        until(lambda: text(browser, "#token-error") == "That is not the token.")
        field.clear()
        field.send_keys("secret")
        field.submit()
        pick(browser, 3)
        until(lambda: elements(browser, "#reasons tbody tr"))
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
