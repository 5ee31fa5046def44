"""``gsmflow data get``: download published data sets and unpack them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gsmflow.cli import options
from gsmflow.cli.completion import complete_published
from gsmflow.cli.saying import say

_MEGABYTE = 1_000_000


@click.command("data get")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_published)
@click.option(
    "--from",
    "origin",
    default="published",
    show_default=True,
    metavar="WHICH|URL|FILE",
    help="published: the archives of Xian et al.; authors: that of GSMFlow's authors, with CUB and FLO pre-split; "
    "or an address; or a zip file that is here already.",
)
@click.option("--sha256", default="", metavar="DIGITS", help="Checksum that the archive must have.")
@options.data_root_option
@options.as_json
def data_get(names: tuple[str, ...], origin: str, sha256: str, data_root: Path, as_json: bool) -> None:
    """Download the published data sets NAME (AWA1, AWA2, APY, CUB, SUN, FLO) and unpack them.

    If it is interrupted, the same command continues. A folder appears only when it is complete and its split agrees
    with the published one. Archives stay in downloads/ under --data-root, for the other data sets in them.
    """
    from gsmflow.cli.progress import counting
    from gsmflow.sources.obtaining import obtain

    told = []
    for name in names:
        with _told_how_to_continue(), counting("MB") as count:

            def arrived(done: int, total: int, count=count) -> None:
                if total:  # some servers do not say
                    count(round(done / _MEGABYTE), round(total / _MEGABYTE))

            obtained = obtain(name, data_root=data_root, origin=origin, sha256=sha256, told=arrived)
        told.append(
            {
                "name": obtained.name,
                "folder": str(obtained.folder),
                "samples": obtained.samples,
                "split": obtained.split,
                "archive": str(obtained.archive) if obtained.archive else None,
            }
        )
        state = f"from {obtained.archive}" if obtained.archive else "was there already"
        say(f"{obtained.folder}: {obtained.samples} samples, {obtained.split}; {state}", indent=2)
    if as_json:
        click.echo(json.dumps({"data": told}))


@contextmanager
def _told_how_to_continue() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        say("gsmflow: what has arrived is kept; the same command continues", indent=2)
        raise
