"""Prometheus metrics of a service, in a registry of its own."""

from __future__ import annotations

import time

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TYPE = CONTENT_TYPE_LATEST


class Counts:
    """What is counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "gsmflow_requests",
            "Requests answered.",
            ("method", "path", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "gsmflow_request_seconds", "Time to answer a request.", ("path",), registry=self.registry
        )
        self.under_way = Gauge(
            "gsmflow_requests_under_way", "Requests not answered yet.", registry=self.registry
        )
        self.samples = Counter("gsmflow_samples", "Samples labelled.", registry=self.registry)
        self.classes = Gauge(
            "gsmflow_classes", "Classes of the version that answers.", registry=self.registry
        )
        self.added = Counter("gsmflow_classes_added", "Classes added.", registry=self.registry)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class Counting:
    """Counts every request of an application by method, address and status.

    The address is the route's pattern, or "other" without a route, so that requests cannot create new series.
    """

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self._app, self._counts = app, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._counts.under_way.track_inprogress():
            try:
                await self._app(scope, receive, watched)
            finally:
                route = getattr(scope.get("route"), "path", "other")
                method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD") else "other"
                self._counts.requests.labels(method, route, str(status)).inc()
                self._counts.seconds.labels(route).observe(time.perf_counter() - begun)
