"""A server on this machine that sends files as a bad network, or a bad server, would."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Unreliable:
    """What it sends, and how.

    Parameters
    ----------
    content: the file.
    breaks_after: bytes of each answer after which the connection ends; 0: never.
    claims: the length that it says the whole file has; None: the true one; -1: none.
    ignores_ranges: whether it sends the file from its beginning whatever is asked.
    wrong_part: whether it answers a range with another one.
    status: of every answer; 0: as is right.
    headers: further ones.
    asked: the ranges that were asked for; empty for all.
    """

    content: bytes
    breaks_after: int = 0
    claims: int | None = None
    ignores_ranges: bool = False
    wrong_part: bool = False
    status: int = 0
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"1"'})
    asked: list[str] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Send what was asked for, in this way."""
        wanted = request.headers.get("Range", "")
        self.asked.append(wanted)
        if self.status:
            request.send_error(self.status)
            return
        changed = request.headers.get("If-Range", self.headers.get("ETag")) != self.headers.get("ETag")
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        if self.ignores_ranges or changed:
            start = 0
        whole = len(self.content) if self.claims is None else self.claims
        if start >= len(self.content):
            request.send_response(416)
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            first = start + 7 * self.wrong_part
            request.send_header("Content-Range", f"bytes {first}-{whole - 1}/{whole}")
        if whole >= 0:
            request.send_header("Content-Length", str(whole - start))
        for name, value in self.headers.items():
            request.send_header(name, value)
        request.end_headers()
        rest = self.content[start:]
        request.wfile.write(rest[: self.breaks_after] if self.breaks_after else rest)
        request.close_connection = True


@contextmanager
def serving(manner: Unreliable) -> Iterator[str]:
    """The address of the file while it is served."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            manner.answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/data/files.zip"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
