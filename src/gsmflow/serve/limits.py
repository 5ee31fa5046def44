"""Limits that requests must meet before they are read: token, size, time and number."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gsmflow.serve.pages import ADDRESSES

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_OPEN = (*ADDRESSES, "/health", "/docs", "/redoc", "/openapi.json", "/favicon.ico")
_OPEN_FOLDER = "/static-offline-docs/"


@dataclass(frozen=True)
class Limits:
    """Limits of a service.

    Parameters
    ----------
    megabytes : float
        Largest body of a request.
    seconds : float
        Longest time from a request's first byte to its answer.
    adding_seconds : float
        The same for a request that adds a class.
    waiting : int
        Most requests at a time, those being computed and those that wait.
    computing : int
        Most requests computed at a time.
    token : str
        What requests must bring as ``Authorization: Bearer``; empty for nothing.
    hosts : tuple[str, ...]
        Names the service answers to, () for any. On loopback this keeps a web page from reaching the service
        under a name of its own (DNS rebinding).
    """

    megabytes: float = 32
    seconds: float = 30
    adding_seconds: float = 600
    waiting: int = 64
    computing: int = 2
    token: str = ""
    hosts: tuple[str, ...] = LOOPBACK


class Guard:
    """Refuses requests beyond a limit, with a fitting status and one line that names the limit."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits = app, limits
        self._bytes = int(limits.megabytes * 2**20)
        self._under_way = 0
        self._too_large = (
            f"the request is larger than {limits.megabytes:g} MiB; send fewer samples, or a smaller image"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refused(scope)
        if refusal:
            await refusal(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._limited(scope, receive, send)
        finally:
            self._under_way -= 1

    def _refused(self, scope: Scope) -> JSONResponse | None:
        limits, headers = self._limits, {k: v.decode("latin-1") for k, v in scope["headers"]}
        host = _hostname(headers.get(b"host", ""))
        if limits.hosts and host not in limits.hosts:
            return _said(421, f"this service does not go by the name '{host}'; start it with --host")
        path = scope["path"]
        if limits.token and path not in _OPEN and not path.startswith(_OPEN_FOLDER):
            given = headers.get(b"authorization", "").encode()
            if not hmac.compare_digest(given, f"Bearer {limits.token}".encode()):
                needed = "a token is needed: Authorization: Bearer TOKEN"
                wrong = "that is not the token this service was started with"
                return _said(401, wrong if given else needed, {"WWW-Authenticate": "Bearer"})
        length = headers.get(b"content-length", "0")
        if length.isdecimal() and int(length) > self._bytes:
            return _said(413, self._too_large, {"Connection": "close"})
        if self._under_way >= limits.waiting and path != "/health":
            return _said(
                503, f"{limits.waiting} requests are waiting already; try again", {"Retry-After": "1"}
            )
        return None

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        read, complete, begun = 0, False, False

        async def counted() -> Message:
            nonlocal read, complete
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if read > self._bytes:
                    raise HTTPException(413, self._too_large)  # FastAPI passes on no other exception
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        limits = self._limits
        adding = scope["method"] == "POST" and scope["path"] == "/v1/classes"
        seconds = limits.adding_seconds if adding else limits.seconds
        try:
            async with asyncio.timeout(seconds):
                await self._app(scope, counted, noted)
        except TimeoutError:
            if begun:
                raise
            if complete:
                refusal = _said(503, f"no answer within {seconds:g} seconds; ask for less at a time")
            else:
                refusal = _said(408, f"the request was not complete within {seconds:g} seconds")
            await refusal(scope, receive, send)


def _said(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


def _hostname(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
