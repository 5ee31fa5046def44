"""The table of features that extraction writes, and the images it left out."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.files.atomic import (
    write_bytes,
    write_file,
)
from gsmflow.images.backbone import BackboneSpec
from gsmflow.images.listing import Listing


@dataclass(frozen=True)
class Unreadable:
    """An image that was left out, and why.

    Parameters
    ----------
    name : str
        The path of the image, as in the listing.
    reason : str
        Why it cannot be read, in words.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Extracted:
    """What a table of features holds.

    Parameters
    ----------
    shape : tuple[int, int]
        (n, D): images that were read, dimensions of their features.
    unreadable : tuple[Unreadable, ...]
        The images that were left out.
    """

    shape: tuple[int, int]
    unreadable: tuple[Unreadable, ...]


def unreadable_file(out: Path) -> Path:
    """The file that lists the unreadable images of a table of features."""
    return out.with_name(f"{out.stem}.unreadable.csv")


# -- shards -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shard:
    """Images start, ..., stop - 1 of a listing.

    Parameters
    ----------
    start : int
        The position of the first image.
    stop : int
        One past the position of the last image.
    features : NDArray[np.float32]
        (n, D) features of the readable images.
    reasons : dict[int, str]
        Why the others cannot be read, by position from `start`.
    """

    start: int
    stop: int
    features: NDArray[np.float32]
    reasons: dict[int, str]


@dataclass(frozen=True)
class Contents:
    """What all shards together hold.

    Parameters
    ----------
    shape : tuple[int, int]
        (n, D): images that were read, dimensions of their features.
    readable : NDArray[np.int64]
        (n,) positions of the readable images.
    unreadable : tuple[Unreadable, ...]
        The images that were left out.
    """

    shape: tuple[int, int]
    readable: NDArray[np.int64]
    unreadable: tuple[Unreadable, ...]


# -- the table --------------------------------------------------------------------------------


def write_table(
    out: Path, spec: BackboneSpec, listing: Listing, contents: Contents, shards: Iterable[Shard]
) -> None:
    """Write what numpy.savez would write, with one shard in memory at a time."""

    def chosen(values: Sequence[str]) -> NDArray[np.str_]:
        return np.array([values[index] for index in contents.readable])

    arrays = {"names": chosen(listing.names)}
    if listing.labels is not None:
        arrays["labels"] = chosen(listing.labels)
    if listing.split is not None:
        arrays["split"] = chosen(listing.split)
    arrays["backbone"] = np.array(json.dumps(spec.to_dict()))

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            with archive.open("features.npy", "w", force_zip64=True) as member:
                header = {"descr": "<f4", "fortran_order": False, "shape": contents.shape}
                npy.write_array_header_1_0(member, header)
                rows = 0
                for shard in shards:
                    member.write(np.ascontiguousarray(shard.features, "<f4").tobytes())
                    rows += len(shard.features)
            if rows != contents.shape[0]:
                raise InputError(f"{out}: images changed while they were read; run the same command again")
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy.write_array(member, array, allow_pickle=False)

    write_file(out, write)


def write_unreadable(out: Path, unreadable: Sequence[Unreadable]) -> None:
    """Write the list of images that were left out beside the table. If there are none, remove that list."""
    file = unreadable_file(out)
    if not unreadable:
        file.unlink(missing_ok=True)
        return
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("path", "reason"))
    rows.writerows((each.name, each.reason) for each in unreadable)
    write_bytes(file, text.getvalue().encode())


def read_unreadable(out: Path) -> tuple[Unreadable, ...]:
    """The images that were left out of a table, as they are listed beside it."""
    file = unreadable_file(out)
    if not file.exists():
        return ()
    with open(file, encoding="utf-8", newline="") as lines:
        return tuple(Unreadable(each["path"], each["reason"]) for each in csv.DictReader(lines))


def finished_table(spec: BackboneSpec, listing: Listing, out: Path) -> Extracted:
    """The content of an existing table, if it is of the same images and backbone."""
    from gsmflow.files.rows import read_rows

    rows = read_rows(out)
    left_out = read_unreadable(out)
    place = {name: index for index, name in enumerate(listing.names)}
    places = [place.get(name, -1) for name in rows.names or ()]
    same = set(rows.names or ()) | {each.name for each in left_out} == set(listing.names)
    for given, there in ((listing.labels, rows.labels), (listing.split, rows.split)):
        same = same and (given is None) == (there is None)
        same = same and (given is None or tuple(given[i] for i in places) == there)
    known = BackboneSpec.from_dict(rows.backbone, f"{out}: backbone") if rows.backbone else None
    if not same or known is None or not known.same_as(spec):
        what = "other images or classes" if not same else "another backbone"
        raise InputError(
            f"{out}: is there already, made of {what}", remedy="delete it, or choose another `out`"
        )
    count, dims = rows.features.shape
    return Extracted((count, dims), left_out)
