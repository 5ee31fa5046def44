"""Connecting to a Ray cluster."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing

_PATIENCE = 5.0  # seconds to wait for a cluster's first answer


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster.

    Raises
    ------
    InputError
        Ray is not installed, or no cluster answers.
    """
    try:
        import ray
    except ImportError:
        raise InputError(f"ray: needs Ray; {installing('ray')}", parameter="on") from None
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    already = ray.is_initialized()
    host, colon, port = address.rpartition(":")
    if not already and colon and port.isdigit():
        try:  # Ray itself would wait for minutes
            socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
        except OSError as error:
            raise InputError(
                f"ray:{address}: no cluster answers ({_one_line(error)})", parameter="on"
            ) from None
    if not already:
        try:
            ray.init(
                address or None,
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(
                f"ray:{address}: no cluster answers ({_one_line(error)})", parameter="on"
            ) from None
    with redirect_stdout(sys.stderr):  # or Ray would report lost workers between our own output
        try:
            yield ray
        finally:
            if not already:
                ray.shutdown()


def parse_place(text: str | None) -> str | None:
    """The address in ``ray`` or ``ray:ADDRESS``; None for None.

    Raises
    ------
    InputError
        The text is neither.
    """
    if text is None:
        return None
    kind, _, address = text.partition(":")
    if kind != "ray":
        raise InputError(f"{text}: expected ray, ray:auto or ray:HOST:PORT", parameter="on")
    return address


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
