"""``gsmflow serve``: a finished run as an HTTP service with a page."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Any

import click

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.cli import options


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free."
)
@click.option(
    "--token",
    envvar="GSMFLOW_TOKEN",
    show_envvar=True,
    default="",
    help="Ask for it in every request: Authorization: Bearer TOKEN.",
)
@click.option(
    "--backbone",
    metavar="FILE",
    help="Where the run's own .onnx or TorchScript file lies now, if it was moved.",
)
@click.option("--weights", metavar="FILE", help="Where the weights of the run's timm backbone lie now.")
@click.option(
    "--encoder",
    metavar="FOLDER|NAME",
    help="The text encoder that RUN's semantics were made with: new classes can then be described by a text.",
)
@click.option("--read-only", is_flag=True, help="Take no new classes.")
@click.option(
    "--max-mb",
    default=32.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="MiB of a request.",
)
@click.option(
    "--timeout",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds a request may take, its arrival included; adding a class may take 20 times as long.",
)
@click.option(
    "--at-once", default=2, show_default=True, type=click.IntRange(1), help="Requests computed at a time."
)
@click.option(
    "--waiting",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="Requests at a time, those that wait included; more are refused.",
)
@options.data_root
@options.device
def serve(
    run: Path,
    host: str,
    port: int,
    token: str,
    backbone: str | None,
    weights: str | None,
    encoder: str | None,
    read_only: bool,
    max_mb: float,
    timeout: float,
    at_once: int,
    waiting: int,
    data_root: Path,
    device: str,
) -> None:
    """Answer requests with the classifier of RUN until told to stop (Ctrl-C or SIGTERM).

    The page is at /, the API reference at /docs. A class that is added becomes a new version of
    the run, in a folder beside it.
    """
    try:
        import uvicorn

        from gsmflow.serve.app import create_app
    except ModuleNotFoundError as error:
        raise InputError(f"serve needs {error.name}: {installing('serve')}") from None
    from gsmflow.compute.devices import resolve_device
    from gsmflow.serve.guard import LOOPBACK, Limits
    from gsmflow.serve.images import extractor_of
    from gsmflow.serve.service import Service
    from gsmflow.serve.texts import encoder_of

    where = resolve_device(device)
    images: dict[str, Any] = {}
    try:
        images["extractor"] = extractor_of(run, where, backbone=backbone, weights=weights)
    except InputError as error:
        if backbone or weights:
            raise
        click.echo(f"no images can be labelled: {error}", err=True)  # features still can
        images["no_images"] = "the backbone of this run is not at hand, so it takes no images"
    service = Service(run, data_root=data_root, device=where, **images)
    if encoder:
        service.encode = encoder_of(encoder, len(service.version.dimensions), where)
    limits = Limits(
        megabytes=max_mb,
        seconds=timeout,
        adding_seconds=20 * timeout,
        waiting=waiting,
        computing=at_once,
        token=token,
        hosts=LOOPBACK if host in LOOPBACK else (),
    )
    if host not in LOOPBACK and not token:
        click.echo(f"anyone who reaches {host} can use this service; --token asks for a token", err=True)
    app = create_app(service, limits, read_only=read_only)
    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"{run} on http://{shown}:{listening.getsockname()[1]} (Ctrl-C stops it)")
    config = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        limit_concurrency=4 * waiting,
        timeout_graceful_shutdown=max(1, round(timeout)),
    )
    # uvicorn finishes what was asked, then raises the signal once more; it has been obeyed by then.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises
    ------
    InputError
        The address is not of this machine, or the port is taken or not allowed.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"--host {host} --port {port}: cannot listen there ({reason}); choose others"
        ) from None
