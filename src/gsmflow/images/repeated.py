"""The same picture twice: in training and test, or under two labels."""

from __future__ import annotations

import os
from contextlib import suppress

from gsmflow.base.errors import InputError
from gsmflow.data.concern import Concern
from gsmflow.files.checksums import digest_of
from gsmflow.images.listing import Listing

_SHOWN = 5


def repeated(listing: Listing) -> list[Concern]:
    """Image files of a listing with equal bytes, where they lie in different parts or have different labels.

    Only files of equal size are read. Files that cannot be read are skipped; extraction reports them.
    """
    of_size: dict[int, list[int]] = {}
    for index, name in enumerate(listing.names):
        with suppress(OSError):
            of_size.setdefault(os.stat(listing.root / name).st_size, []).append(index)
    of_content: dict[str, list[int]] = {}
    for size, group in of_size.items():
        if size and len(group) > 1:
            for index in group:
                with suppress(InputError):
                    of_content.setdefault(digest_of(listing.root / listing.names[index]), []).append(index)
    concerns = []
    same = [group for group in of_content.values() if len(group) > 1]
    for values, where, remedy in (
        (
            listing.split,
            "in two parts of the data",
            "scores are better than they should be; remove one of each",
        ),
        (listing.labels, "under two labels", "correct the labels, or remove them"),
    ):
        pairs = []
        if values is None:
            continue
        for group in same:
            other = next((index for index in group if values[index] != values[group[0]]), None)
            if other is not None:
                pairs.append(f"{listing.names[group[0]]} and {listing.names[other]}")
        if pairs:
            more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
            pictures = "1 picture is" if len(pairs) == 1 else f"{len(pairs)} pictures are"
            told = f"{pictures} there twice, {where}: {', '.join(sorted(pairs)[:_SHOWN])}{more}; {remedy}."
            concerns.append(Concern("repeated", told))
    return concerns
