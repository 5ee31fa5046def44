"""The report in a real browser: it draws, sorts, zooms, goes dark, fits a phone, and asks the network for nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from support.accessibility import violations

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

Pages = Callable[..., str]


def opened(browser: Chrome, page: str, folder: Path, width: int = 1200) -> Path:
    """A page, open in the browser with nothing in its logs."""
    file = folder / "report.html"
    file.write_text(page)
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(file.as_uri())
    return file


def elements(browser: Chrome, selector: str) -> list[WebElement]:
    return browser.find_elements("css selector", selector)


def requested(browser: Chrome) -> list[str]:
    """Addresses the page asked for."""
    events: list[dict[str, Any]] = [
        json.loads(entry["message"])["message"] for entry in browser.get_log("performance")
    ]
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


def test_it_draws_everything_without_errors_or_requests(
    browser: Chrome, runs: tuple[Path, Path], page_of: Pages, tmp_path: Path
) -> None:
    file = opened(browser, page_of(runs[0]), tmp_path)
    assert browser.get_log("browser") == []
    assert [url for url in requested(browser) if not url.startswith("data:")] == [file.as_uri()]
    figures = elements(browser, "figure")
    assert len(figures) >= 8
    for figure in figures:
        svg = figure.find_element("css selector", "svg[role=img]")
        assert svg.size["width"] > 250
        assert svg.size["height"] > 150
        assert svg.get_attribute("aria-label")
        marks = svg.find_elements("css selector", "path, circle, rect, polyline")
        assert len(marks) >= 2, figure.text
        assert "NaN" not in (svg.get_attribute("outerHTML") or "")
    pictures = elements(browser, ".strip img")
    assert len(pictures) == 16
    assert all(browser.execute_script("return arguments[0].naturalWidth", each) > 8 for each in pictures)


def test_tables_sort_both_ways(
    browser: Chrome, runs: tuple[Path, Path], page_of: Pages, tmp_path: Path
) -> None:
    opened(browser, page_of(runs[0]), tmp_path)
    table = elements(browser, "table.sortable")[0]
    heads = table.find_elements("css selector", "th")
    column = [head.text for head in heads].index("accuracy")

    def shown() -> list[float]:
        cells = table.find_elements("css selector", f"tbody td:nth-child({column + 1})")
        return [float(cell.get_attribute("textContent") or "") for cell in cells]

    unsorted = shown()
    for direction, expected in (("ascending", sorted(unsorted)), ("descending", sorted(unsorted)[::-1])):
        heads[column].find_element("css selector", "button").click()
        assert heads[column].get_attribute("aria-sort") == direction
        assert shown() == expected
    assert unsorted != expected


def test_hover_zoom_and_legend(
    browser: Chrome, runs: tuple[Path, Path], page_of: Pages, tmp_path: Path
) -> None:
    from selenium.webdriver import ActionChains

    opened(browser, page_of(runs[0]), tmp_path)
    figure = next(f for f in elements(browser, "figure") if "Real and synthetic features" in f.text)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", figure)
    svg = figure.find_element("css selector", "svg[role=img]")
    tip = elements(browser, "#tip")[0]
    assert not tip.is_displayed()
    circle = svg.find_elements("css selector", "circle")[0]
    ActionChains(browser).move_to_element(circle).perform()
    assert tip.is_displayed()
    assert any(kind in tip.text for kind in ("real", "synthetic"))
    before = len(svg.find_elements("css selector", "circle, rect"))
    reset = figure.find_element("css selector", "button.reset")
    assert not reset.is_displayed()
    ActionChains(browser).move_to_element_with_offset(svg, -150, -80).click_and_hold().move_by_offset(
        180, 100
    ).release().perform()
    assert reset.is_displayed()
    reset.click()
    assert not reset.is_displayed()
    svg = figure.find_element("css selector", "svg[role=img]")
    assert len(svg.find_elements("css selector", "circle, rect")) == before
    view = figure.find_element("css selector", "select")
    places = svg.find_elements("css selector", "circle")[5].get_attribute("cx")
    view.send_keys("t")
    svg = figure.find_element("css selector", "svg[role=img]")
    assert svg.find_elements("css selector", "circle")[5].get_attribute("cx") != places


def test_chosen_classes_stand_out_and_others_stay_grey(
    browser: Chrome, runs: tuple[Path, Path], page_of: Pages, tmp_path: Path
) -> None:
    opened(browser, page_of(runs[0]), tmp_path)
    figure = next(f for f in elements(browser, "figure") if "Real and synthetic features" in f.text)

    def colours() -> dict[str, int]:
        fills = browser.execute_script(
            "return [...arguments[0].querySelectorAll('svg[role=img] circle')].map(c => c.getAttribute('stroke') === "
            "'var(--surface)' ? c.getAttribute('fill') : c.getAttribute('stroke'))",
            figure,
        )
        return {fill: fills.count(fill) for fill in set(fills)}

    before = colours()
    assert {"var(--faint)", "var(--c-0)", "var(--c-3)"} <= set(before)
    assert "var(--c-4)" not in before
    pressed = [e.get_attribute("aria-pressed") for e in figure.find_elements("css selector", "button.entry")]
    assert (len(pressed), pressed.count("true")) == (8, 4)
    other = figure.find_elements("css selector", "button.entry")[pressed.index("false")]
    other.click()
    after = colours()
    assert after["var(--c-4)"] == before["var(--faint)"] - after["var(--faint)"] > 0
    assert browser.switch_to.active_element.get_attribute("aria-pressed") == "true"


def test_zoomed_bars_keep_the_zero_line(
    browser: Chrome, runs: tuple[Path, Path], page_of: Pages, tmp_path: Path
) -> None:
    from selenium.webdriver import ActionChains

    opened(browser, page_of(runs[0]), tmp_path)
    figure = next(f for f in elements(browser, "figure") if "Variance along principal directions" in f.text)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", figure)
    svg = figure.find_element("css selector", "svg[role=img]")
    ActionChains(browser).move_to_element_with_offset(svg, -60, -90).click_and_hold().move_by_offset(
        120, 60
    ).release().perform()
    assert figure.find_element("css selector", "button.reset").is_displayed()
    ticks = [t.text for t in figure.find_elements("css selector", "svg text.tick[text-anchor=end]")]
    assert "0" in ticks


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_light_and_dark_can_be_read(
    theme: str,
    browser: Chrome,
    runs: tuple[Path, Path],
    page_of: Pages,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """By the system's setting and by hand; text stands out from what is behind it by WCAG's 4.5."""
    from selenium.webdriver.support.select import Select

    feature = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    request.addfinalizer(lambda: browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []}))
    opened(browser, page_of(*runs), tmp_path)

    def background() -> float:
        return _luminance(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))

    assert (background() < 0.2) == (theme == "dark")
    for part in ("h1", ".quiet", "td", "th button", "figcaption", ".badge", ".up", ".down", "a"):
        front, back = browser.execute_script(
            "let e = document.querySelector(arguments[0]), b = e, c = getComputedStyle(e).color;"
            "while (b.parentElement && getComputedStyle(b).backgroundColor === 'rgba(0, 0, 0, 0)') b = b.parentElement;"
            "return [c, getComputedStyle(b).backgroundColor]",
            part,
        )
        bright, dim = sorted((_luminance(front), _luminance(back)), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, (part, front, back)
    other = "light" if theme == "dark" else "dark"
    Select(elements(browser, "#theme")[0]).select_by_value(other)
    assert (background() < 0.2) == (other == "dark")
    Select(elements(browser, "#theme")[0]).select_by_value("auto")
    shot = tmp_path / "shot.png"
    browser.save_screenshot(str(shot))
    with Image.open(shot) as image:
        colours = image.convert("RGB").getcolors(1 << 24)
    assert colours
    assert len(colours) > 20  # something is drawn


def test_a_phone_shows_it_without_scrolling_sideways(
    browser: Chrome, runs: tuple[Path, Path], page_of: Pages, tmp_path: Path
) -> None:
    opened(browser, page_of(*runs), tmp_path, width=390)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    small = browser.execute_script(
        "return [...document.querySelectorAll('p, td, th, figcaption')].filter("
        "e => parseFloat(getComputedStyle(e).fontSize) < 12).length"
    )
    assert small == 0
    cues = [e for e in elements(browser, ".cue") if e.is_displayed()]
    wide = browser.execute_script(
        "return [...document.querySelectorAll('.wide, .plot')].filter(e => e.scrollWidth > e.clientWidth + 2)"
        ".map(e => [e.tabIndex, e.getAttribute('role')])"
    )
    assert len(cues) == len(wide) > 1
    assert all(each == [0, "region"] for each in wide)
    assert {cue.text for cue in cues} == {"Scroll sideways for the rest"}


def test_the_keyboard_reaches_tables_and_links(
    browser: Chrome, runs: tuple[Path, Path], page_of: Pages, tmp_path: Path
) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    opened(browser, page_of(runs[0]), tmp_path)
    ActionChains(browser).send_keys(Keys.TAB).perform()
    assert browser.switch_to.active_element.text == "Skip to the summary"
    reached = set()
    for _ in range(60):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        reached.add(browser.switch_to.active_element.text)
    assert {"Generation shifts", "accuracy", "1 upright (unseen)"} <= reached


def test_hostile_class_names_do_nothing(
    browser: Chrome, hostile: Path, page_of: Pages, tmp_path: Path
) -> None:
    opened(browser, page_of(hostile), tmp_path)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.hurt") is None
    names = browser.execute_script(
        "return [...document.querySelectorAll('tbody td:first-child')].map(e => e.textContent)"
    )
    assert "<script>window.hurt = 1</script>" in names


def _luminance(colour: str) -> float:
    """Relative luminance of a CSS rgb() colour, 0 to 1."""
    numbers = colour[colour.index("(") + 1 : -1].split(",")[:3]
    linear = [
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (float(n) / 255 for n in numbers)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1280, "light")])
def test_accessible(
    width: int,
    theme: str,
    browser: Chrome,
    runs: tuple[Path, Path],
    page_of: Pages,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Rules of axe-core. The theme changes colours alone, and the width places alone: two pairs show all four."""
    feature = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    request.addfinalizer(lambda: browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []}))
    for page in (page_of(runs[0]), page_of(*runs)):
        opened(browser, page, tmp_path, width)
        assert violations(browser) == []
