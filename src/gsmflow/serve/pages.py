"""The page: its files, with a policy that allows no content from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

from fastapi import APIRouter
from fastapi.responses import Response

# The page loads nothing from elsewhere, and the data that it shows cannot add scripts.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SCRIPTS = ("page.js", "asking.js", "answer.js", "samples.js", "adding.js")
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    **{f"/{name}": (name, "text/javascript; charset=utf-8") for name in _SCRIPTS},
}
ADDRESSES = tuple(_FILES)
"""Routes of the page. It can be seen without a token, to sign in."""


def page() -> APIRouter:
    """The routes of the page."""
    router = APIRouter(include_in_schema=False)
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    for address, (name, kind) in _FILES.items():
        content = (resources.files("gsmflow.serve") / "page" / name).read_bytes()
        router.add_api_route(address, _constant(Response(content, media_type=kind, headers=headers)))
    return router


def _constant(response: Response) -> Callable[[], Response]:
    return lambda: response
