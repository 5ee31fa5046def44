"""``gsmflow serve``: a finished run as an HTTP service with a page."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.cli import options
from gsmflow.cli.grouping import grouped
from gsmflow.cli.options import MovedOptions
from gsmflow.cli.saying import say

if TYPE_CHECKING:
    from gsmflow.serve.limits import Limits


_host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
_port = click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0: any that is free.",
)
_token = click.option(
    "--token",
    envvar="GSMFLOW_TOKEN",
    show_envvar=True,
    default="",
    help="Ask for it in every request: Authorization: Bearer TOKEN.",
)
_read_only = click.option("--read-only", is_flag=True, help="Take no new classes.")
_max_mb = click.option(
    "--max-mb",
    default=32.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="MiB of a request.",
)
_timeout = click.option(
    "--timeout",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds a request may take, its arrival included; adding a class may take 20 times as long.",
)
_at_once = click.option(
    "--at-once",
    default=2,
    show_default=True,
    type=click.IntRange(1),
    help="Requests computed at a time.",
)
_waiting = click.option(
    "--waiting",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="Requests at a time, those that wait included; more are refused.",
)


@dataclass(frozen=True)
class ServiceOptions:
    """Where the service listens, and what it takes from whom."""

    host: Annotated[str, _host]
    port: Annotated[int, _port]
    token: Annotated[str, _token]
    read_only: Annotated[bool, _read_only]
    max_mb: Annotated[float, _max_mb]
    timeout: Annotated[float, _timeout]
    at_once: Annotated[int, _at_once]
    waiting: Annotated[int, _waiting]

    def limits(self) -> Limits:
        """The same as the service takes it."""
        from gsmflow.serve.limits import LOOPBACK, Limits

        return Limits(
            megabytes=self.max_mb,
            seconds=self.timeout,
            adding_seconds=20 * self.timeout,
            waiting=self.waiting,
            computing=self.at_once,
            token=self.token,
            hosts=LOOPBACK if self.host in LOOPBACK else (),
        )


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@grouped(service=ServiceOptions, moved=MovedOptions)
@click.option(
    "--encoder",
    metavar="FOLDER|NAME",
    help="The text encoder that made RUN's semantics, if it was moved. With it, new classes can be described by a "
    "text.  [default: where RUN found it]",
)
@options.data_root_option
@options.device_option
def serve(
    run: Path,
    service: ServiceOptions,
    moved: MovedOptions,
    encoder: str | None,
    data_root: Path,
    device: str,
) -> None:
    """Answer requests with the classifier of RUN until told to stop (Ctrl-C or SIGTERM).

    The page is at /, the API reference at /docs. Adding a class writes a new version of the run into a folder beside
    it.
    """
    from gsmflow.compute.devices import check_device, resolve_device
    from gsmflow.runs.finished import check_finished
    from gsmflow.runs.folder import load_backbone
    from gsmflow.runs.whole import check_whole
    from gsmflow.semantics.encoder import check_encoder

    check_finished(run)
    check_device(device)
    if moved.backbone or moved.weights:
        load_backbone(run).moved(moved.backbone, moved.weights)
    if encoder:
        check_encoder(encoder)
    check_whole(run)
    host = service.host
    listening = _listen(host, service.port)  # a port that is taken is refused at once
    try:
        import uvicorn

        from gsmflow.serve.app import create_app
    except ModuleNotFoundError as error:
        raise InputError(f"serve needs {error.name}: {installing('serve')}") from None
    from gsmflow.cli.display_concerns import tell_concerns
    from gsmflow.data.warnings import recorded
    from gsmflow.serve.images import extractor_of
    from gsmflow.serve.limits import LOOPBACK
    from gsmflow.serve.service import Service
    from gsmflow.serve.texts import encoders_for

    where = resolve_device(device)
    images: dict[str, Any] = {}
    try:
        images["extractor"] = extractor_of(run, where, backbone=moved.backbone, weights=moved.weights)
    except InputError as error:
        if moved.backbone or moved.weights:
            raise
        say(f"no images can be labelled: {error}", indent=2)  # features still can
        images["no_images"] = "the backbone of this run is not at hand, so it takes no images"
    loaded = Service(run, data_root=data_root, device=where, **images)
    try:
        encoders = encoders_for(loaded.version.describer, encoder, where)
        if encoders:
            loaded.encode, loaded.encode_name = encoders.sentence, encoders.name
    except InputError as error:
        if encoder:
            raise
        say(f"no class can be described by a text: {error}", indent=2)
    if host not in LOOPBACK and not service.token:
        say(f"anyone who reaches {host} can use this service; --token asks for a token", indent=2)
    tell_concerns(recorded(loaded.version.metrics))
    app = create_app(loaded, service.limits(), read_only=service.read_only)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"{run} on http://{shown}:{listening.getsockname()[1]} (Ctrl-C stops it)")
    config = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        limit_concurrency=4 * service.waiting,
        timeout_graceful_shutdown=max(1, round(service.timeout)),
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
