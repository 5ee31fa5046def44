"""Many requests at once, slow ones, and a service that is told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from gsmflow.cli import main
from gsmflow.runs.examples import Examples
from gsmflow.runs.folder import load_classifier, read_metrics


def samples(run: Path) -> NDArray[np.float32]:
    return Examples.read(run / "examples.safetensors").features


def test_concurrent_answers_are_each_their_own(served: Any, run: Path) -> None:
    """60 requests at once of different samples, and a class added among them: every answer is one version's."""
    features = samples(run)
    vector = [0.9, -0.4, 0.3, 0.2, 0.5, -0.1]

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=served())
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            asked = [
                client.post(
                    "/v1/predict", json={"features": features[i % 30 : i % 30 + 3].tolist(), "top": 1}
                )
                for i in range(60)
            ]
            added = client.post("/v1/classes", json={"name": "okapi", "semantics": vector})
            return await asyncio.gather(*asked[:20], added, *asked[20:])

    answers = asyncio.run(ask())
    assert answers.pop(20).status_code == 201
    versions = {
        name: load_classifier(run.with_name(name)).probabilities(features) for name in ("run", "run-v2")
    }
    for index, answer in enumerate(answers):
        assert answer.status_code == 200, answer.text
        expected = versions[answer.json()["run"]][index % 30 : index % 30 + 3]
        best = [prediction["classes"][0] for prediction in answer.json()["predictions"]]
        assert [entry["index"] for entry in best] == expected.argmax(axis=1).tolist()
        assert [e["probability"] for e in best] == pytest.approx(expected.max(axis=1), rel=1e-5)


def test_computing_and_waiting_are_bounded(served: Any) -> None:
    now, most = 0, 0
    lock, gate = threading.Lock(), threading.Event()

    def slow(content: bytes) -> NDArray[np.float32]:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        gate.wait(20)
        with lock:
            now -= 1
        return np.zeros(10, np.float32)

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(app=served(extractor=slow, computing=2, waiting=6))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            asked = [
                asyncio.ensure_future(client.post("/v1/predict/image", files={"image": b"x"}))
                for _ in range(15)
            ]
            while sum(each.done() for each in asked) < 9 or most < 2:  # nine are refused, two computed
                await asyncio.sleep(0.01)
            gate.set()
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    codes = asyncio.run(ask())
    assert sorted(codes) == [200] * 6 + [503] * 9
    assert most == 2


def test_what_takes_too_long_is_given_up(served: Any) -> None:
    done = threading.Event()

    def slow(content: bytes) -> NDArray[np.float32]:
        done.wait(5)
        return np.zeros(10, np.float32)

    async def stalled() -> Any:
        yield b"{"
        await asyncio.sleep(5)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=served(extractor=slow, seconds=1))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return [
                await client.post("/v1/predict/image", files={"image": b"x"}),
                await client.post("/v1/predict", content=stalled()),
            ]

    computing, arriving = asyncio.run(ask())
    done.set()
    assert (computing.status_code, arriving.status_code) == (503, 408)
    assert "1 seconds" in computing.json()["detail"]
    assert "not complete" in arriving.json()["detail"]


@contextmanager
def started(run: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`gsmflow serve` in a process of its own, and its port."""
    command = [sys.executable, "-m", "gsmflow", "serve", str(run), "--port", "0", *options]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert match, line
        yield process, int(match[1])
    finally:
        process.kill()
        process.communicate()


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").json()["status"] == "ok"
    except httpx.TransportError:
        return False


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_it_finishes_what_was_asked_and_stops(run: Path) -> None:
    body = json.dumps({"features": samples(run)[:1].tolist()}).encode()
    head = (
        "POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with started(run) as (process, port):
        address = f"http://127.0.0.1:{port}"
        assert answers(address)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as half:
            half.sendall(head.encode() + body[:20])
            # And this one
            until(lambda: "gsmflow_requests_under_way 2.0" in httpx.get(f"{address}/metrics").text)
            process.send_signal(signal.SIGTERM)
            until(lambda: not answers(address))
            assert process.poll() is None
            half.sendall(body[20:])
            answer = half.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 200")
        assert process.wait(10) == 0
        assert process.stderr
        told = [f"warning: {each['text']}" for each in read_metrics(run).get("warnings", [])]
        assert process.stderr.read().splitlines() == told


def test_a_port_that_is_taken_is_refused_in_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", str(run), "--port", port]) == 2
    said = capsys.readouterr().err
    assert f"--port {port}: cannot listen there" in said
    assert len(said.splitlines()) == 1
    assert main(["serve", str(run.parent)]) == 2
    assert "no run" in capsys.readouterr().err
