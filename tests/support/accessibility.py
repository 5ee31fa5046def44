"""axe-core's rules of accessibility, on the page that is open in the browser."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


def violations(browser: Chrome) -> list[str]:
    """Rules that the page breaks, each with the elements that do; skips the test where axe-core is not installed."""
    package = find_spec("axe_core_python")
    if package is None or package.origin is None:
        pytest.skip("axe-core is not here: pip install axe-core-python")
    browser.execute_script((Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    browser.set_script_timeout(60)
    broken = browser.execute_async_script(
        "axe.run({resultTypes: ['violations']}).then((r) => arguments[0](r.violations))"  # not what passes, in detail
    )
    return [f"{rule['id']}: {[node['html'][:200] for node in rule['nodes']]}" for rule in broken]
