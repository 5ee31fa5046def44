"""What a person sees while images are read: progress, and which images were left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gsmflow.base.suggest import listed

if TYPE_CHECKING:
    from gsmflow.images.feature_table import Unreadable
    from gsmflow.images.listing import Listing

_PLAIN_SECONDS = 10  # between lines where the terminal is not live
_SHOWN = 5  # unreadable images named one by one


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function that is told (done, total) and shows it on stderr: a bar in a terminal, lines elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True, markup=False)
    if console.is_terminal:
        with Progress(console=console) as bar:
            task = bar.add_task(what)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    last = time.monotonic()

    def told(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > _PLAIN_SECONDS:
            last = time.monotonic()
            click.echo(f"  {done} of {total} {what}", err=True)

    yield told


def tell_passed_over(listing: Listing) -> None:
    """Name the files that are no images by their ending."""
    if listing.passed_over:
        count = len(listing.passed_over)
        files = "1 file that is no image" if count == 1 else f"{count} files that are no images"
        click.echo(f"passed over {files}: {listed(listing.passed_over)}", err=True)


def classes_of(listing: Listing, unreadable: Sequence[Unreadable]) -> set[str]:
    """The classes of the images that could be read."""
    without = {each.name for each in unreadable}
    return {c for name, c in zip(listing.names, listing.labels or (), strict=False) if name not in without}


def tell_without_images(listing: Listing, unreadable: Sequence[Unreadable]) -> None:
    """Name the classes that no image is left of: a run takes them for unseen ones."""
    without = ({*(listing.labels or ())} - classes_of(listing, unreadable)) | set(listing.empty)
    if without:
        click.echo(f"without an image that can be read, so unseen: {listed(sorted(without))}", err=True)


def tell_unreadable(unreadable: Sequence[Unreadable], file: Path | None) -> None:
    """Name the images that were left out, and the file that lists them all."""
    for each in unreadable[:_SHOWN]:
        click.echo(f"left out {each.name}: {each.reason}", err=True)
    if len(unreadable) > _SHOWN:
        click.echo(f"left out {len(unreadable) - _SHOWN} more", err=True)
    if unreadable and file:
        images = "1 image" if len(unreadable) == 1 else f"{len(unreadable)} images"
        click.echo(f"{images} could not be read, listed in {file}", err=True)
