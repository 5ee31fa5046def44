"""Messages about images that were skipped or left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gsmflow.base.suggest import listed
from gsmflow.cli.display_concerns import tell_concerns
from gsmflow.cli.saying import say
from gsmflow.data.warnings import of_names
from gsmflow.images.repeated import repeated

if TYPE_CHECKING:
    from gsmflow.images.extraction import Pictures
    from gsmflow.images.feature_table import Unreadable
    from gsmflow.images.listing import Listing

_CLASSES = 40  # classes in a table
_SHOWN = 5  # unreadable images named one by one


def tell_passed_over(listing: Listing) -> None:
    """Name the files whose ending is not that of an image, and labelled images that are there twice."""
    if listing.labels:
        tell_concerns([*of_names(sorted(set(listing.labels))), *repeated(listing)])
    if listing.remark:
        say(listing.remark, indent=2)
    if listing.passed_over:
        count = len(listing.passed_over)
        files = "1 file that is no image" if count == 1 else f"{count} files that are no images"
        say(f"passed over {files}: {listed(listing.passed_over)}", indent=2)


def classes_of(listing: Listing, unreadable: Sequence[Unreadable]) -> set[str]:
    """The classes of the images that could be read."""
    without = {each.name for each in unreadable}
    return {c for name, c in zip(listing.names, listing.labels or (), strict=False) if name not in without}


def tell_without_images(listing: Listing, unreadable: Sequence[Unreadable]) -> None:
    """Name the classes without any readable image: a run treats them as unseen classes."""
    without = ({*(listing.labels or ())} - classes_of(listing, unreadable)) | set(listing.empty)
    if without:
        say(f"without an image that can be read, so unseen: {listed(sorted(without))}", indent=2)


def tell_unreadable(unreadable: Sequence[Unreadable], file: Path | None) -> None:
    """Name the images that were left out, and the file that lists them all."""
    for each in unreadable[:_SHOWN]:
        say(f"left out {each.name}: {each.reason}", indent=2)
    if len(unreadable) > _SHOWN:
        say(f"left out {len(unreadable) - _SHOWN} more", indent=2)
    if unreadable and file:
        images = "1 image" if len(unreadable) == 1 else f"{len(unreadable)} images"
        say(f"{images} could not be read, listed in {file}", indent=2)


def extract_shown(make: Callable[..., Pictures], out: Path) -> Pictures:
    """Make a table of features. Progress and the images that were skipped or left out are printed on stderr.

    Parameters
    ----------
    make : Callable[..., Pictures]
        Makes the table; is given `listed` and `told` as
        [`extract_images`][gsmflow.images.extraction.extract_images] is.
    out : Path
        The table.
    """
    from gsmflow.cli.progress import counting
    from gsmflow.images.feature_table import unreadable_file

    with _told_how_to_continue(out), counting("images") as told:
        table = make(listed=tell_passed_over, told=told)
    if table.spec.note:
        say(table.spec.note, indent=2)
    tell_unreadable(table.unreadable, unreadable_file(out))
    tell_without_images(table.listing, table.unreadable)
    return table


@contextmanager
def _told_how_to_continue(out: Path) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        if out.with_name(f"{out.name}.parts").exists():
            say(f"gsmflow: what is done is stored beside {out}; the same command continues", indent=2)
        raise


def pictures_table(folder: Path, listing: Listing, without: Sequence[str]) -> None:
    """Print how many pictures of each class there are, which classes have none, and the command that trains on them."""
    from rich.console import Console

    from gsmflow.cli.wide import show_table

    console = Console(markup=False, highlight=False)
    counts = listing.counts()
    parts = Counter(listing.split or ())
    said = f"{folder}: {len(listing.names)} pictures of {len(counts)} classes"
    said += f" ({', '.join(f'{count} in {part}' for part, count in parts.items())})" if parts else ""
    soft = not console.is_terminal
    console.print(said, soft_wrap=soft)
    lines = [(name, str(count)) for name, count in counts.items()]
    show_table(console, ("class", "pictures"), lines[:_CLASSES])
    if len(lines) > _CLASSES:
        console.print(f"and {len(lines) - _CLASSES} classes more; all: --json")
    if without:
        console.print(f"without pictures, so unseen: {listed(without)}", soft_wrap=soft)
    else:
        console.print(
            "every class has pictures; name others to be recognised too: --classes at train", soft_wrap=soft
        )
    console.print("`gsmflow train` makes features of the pictures and trains on them.", soft_wrap=soft)
