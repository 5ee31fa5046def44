"""All images through a backbone, in shards that survive a kill, into a table of features.

``features.npz`` gets arrays ``features`` (N x D), ``labels``, ``names``, ``split`` where it is given, and
``backbone``, the description that runs remember. Beside it, while at work, ``features.npz.parts/`` holds one
file a shard of at most 128 images, named after the backbone and the very images (name, size, time of change)
it was made of: what is unchanged is taken over by the next attempt, and anything else is made anew. Images
that cannot be read are listed in ``features.unreadable.csv``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow.errors import InputError
from gsmflow.files import make_folder, read_tensors, write_bytes, write_file, write_tensors
from gsmflow.images.backbone import Backbone, BackboneSpec
from gsmflow.images.listing import Listing
from gsmflow.images.reading import UnreadableImage, read_image, strict_size

_SHARD = 128  # images: what a kill loses at most
_READERS = 4  # images decoded at a time

Told = Callable[[int, int], None]
"""Receives how many images are done, of how many."""


@dataclass(frozen=True)
class Unreadable:
    """An image that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Features:
    """features: (n, D) of the readable images. kept: (n,) their positions in the listing. unreadable: the others."""

    features: NDArray[np.float32]
    kept: NDArray[np.int64]
    unreadable: tuple[Unreadable, ...]


def features_of(
    backbone: Backbone, listing: Listing, *, batch_size: int = 32, told: Told = lambda done, total: None
) -> Features:
    """Features of all images of a listing, kept in memory.

    Raises
    ------
    InputError: none of them is readable, or the backbone gives values that are not finite.
    """
    return _joined(listing, _shards(backbone, listing, batch_size, None, told))


def extract(
    backbone: Backbone,
    listing: Listing,
    out: Path,
    *,
    batch_size: int = 32,
    told: Told = lambda done, total: None,
) -> Features:
    """Write the features of all images to `out`, continuing what an earlier attempt began.

    The same images, backbone, batch size and machine give the same file, bit for bit, interrupted or not. A file
    that is there already and was made of the same images by the same backbone is left as it is.

    Raises
    ------
    InputError: `out` does not end in .npz, holds something else, or cannot be written; none of the images is
        readable; the backbone gives values that are not finite.
    """
    if out.suffix != ".npz":
        raise InputError(f"{out}: expected a name ending in .npz")
    if out.exists():
        return _finished(backbone.spec, listing, out)
    make_folder(out.parent)
    parts = out.with_name(f"{out.name}.parts")
    make_folder(parts)
    made = _joined(listing, _shards(backbone, listing, batch_size, parts, told))
    _write_unreadable(out, made.unreadable)
    _write_table(out, backbone.spec, listing, made)
    shutil.rmtree(parts, ignore_errors=True)
    return made


def unreadable_file(out: Path) -> Path:
    """Where the unreadable images of a table of features are listed."""
    return out.with_name(f"{out.stem}.unreadable.csv")


# -- shards -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shard:
    """Images start, ..., stop - 1 of a listing: features of the readable ones, and reasons for the others."""

    start: int
    stop: int
    features: NDArray[np.float32]
    reasons: dict[int, str]


def _shards(
    backbone: Backbone, listing: Listing, batch_size: int, parts: Path | None, told: Told
) -> Iterator[_Shard]:
    total = len(listing.names)
    told(0, total)
    with strict_size(), ThreadPoolExecutor(_READERS) as readers:
        for start in range(0, total, _SHARD):
            names = listing.names[start : start + _SHARD]
            file = (
                parts / f"{_key(backbone.spec, listing.root, names, batch_size)}.safetensors"
                if parts
                else None
            )
            found = _kept_part(file) if file and file.exists() else None
            if found and not all(_is_unreadable(listing.root / names[index]) for index in found[1]):
                found = None  # what could not be read then (a disk that was away, say) can be read now
            if found is None:
                found = _computed(backbone, listing.root, names, batch_size, readers)
                if file:
                    reasons = {str(index): reason for index, reason in found[1].items()}
                    write_tensors(file, {"features": torch.from_numpy(found[0])}, reasons)
            yield _Shard(start, start + len(names), *found)
            told(start + len(names), total)


def _key(spec: BackboneSpec, root: Path, names: Sequence[str], batch_size: int) -> str:
    """A name for the features of these very files by this very backbone."""
    digest = hashlib.sha256(json.dumps([spec.to_dict(), batch_size]).encode())
    for name in names:
        stamp = "missing"
        with suppress(OSError):
            known = os.stat(root / name)
            stamp = f"{known.st_size} {known.st_mtime_ns}"
        digest.update(f"\0{name}\0{stamp}".encode())
    return digest.hexdigest()[:32]


def _kept_part(file: Path) -> tuple[NDArray[np.float32], dict[int, str]] | None:
    """What a part holds; None where it is damaged and has to be made anew."""
    try:
        tensors, reasons = read_tensors(file)
        return tensors["features"].numpy(), {int(index): str(reason) for index, reason in reasons.items()}
    except (InputError, KeyError, AttributeError, ValueError):
        return None


def _is_unreadable(path: Path) -> bool:
    try:
        read_image(path)
    except UnreadableImage:
        return True
    return False


def _computed(
    backbone: Backbone, root: Path, names: Sequence[str], batch_size: int, readers: ThreadPoolExecutor
) -> tuple[NDArray[np.float32], dict[int, str]]:
    def prepared(name: str) -> NDArray[np.float32] | UnreadableImage:
        try:
            return backbone.prepare(read_image(root / name))
        except UnreadableImage as error:
            return error

    made: list[NDArray[np.float32]] = []
    reasons: dict[int, str] = {}
    waiting: list[NDArray[np.float32]] = []
    origins: list[str] = []

    def flush() -> None:
        if waiting:
            made.append(_checked(backbone.features(np.stack(waiting)), [root / name for name in origins]))
            waiting.clear()
            origins.clear()

    for index, picture in enumerate(readers.map(prepared, names)):
        if isinstance(picture, UnreadableImage):
            reasons[index] = str(picture)
            continue
        waiting.append(picture)
        origins.append(names[index])
        if len(waiting) == batch_size:
            flush()
    flush()
    return (np.concatenate(made) if made else np.zeros((0, 0), np.float32)), reasons


def _checked(features: NDArray[np.float32], files: Sequence[Path]) -> NDArray[np.float32]:
    if len(features) != len(files):
        raise InputError(f"the backbone gives {len(features)} feature vectors for {len(files)} images")
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if bad.size:
        raise InputError(
            f"{files[int(bad[0])]}: the backbone gives features that are not finite; use another backbone or "
            "leave the image out"
        )
    return features


def _joined(listing: Listing, shards: Iterator[_Shard]) -> Features:
    made: list[NDArray[np.float32]] = []
    kept: list[int] = []
    unreadable: list[Unreadable] = []
    for shard in shards:
        kept += [i for i in range(shard.start, shard.stop) if i - shard.start not in shard.reasons]
        unreadable += [
            Unreadable(listing.names[shard.start + index], reason) for index, reason in shard.reasons.items()
        ]
        if len(shard.features):
            made.append(shard.features)
    if not made:
        first = unreadable[0]
        raise InputError(
            f"{listing.root / first.name}: {first.reason}; none of the {len(unreadable)} images can be read"
        )
    return Features(np.concatenate(made), np.array(kept, np.int64), tuple(unreadable))


# -- the table --------------------------------------------------------------------------------


def _write_table(out: Path, spec: BackboneSpec, listing: Listing, made: Features) -> None:
    def chosen(values: Sequence[str]) -> NDArray[np.str_]:
        return np.array([values[index] for index in made.kept])

    arrays = {"features": made.features, "names": chosen(listing.names)}
    if listing.labels is not None:
        arrays["labels"] = chosen(listing.labels)
    if listing.split is not None:
        arrays["split"] = chosen(listing.split)
    arrays["backbone"] = np.array(json.dumps(spec.to_dict()))
    write_file(out, lambda file: np.savez(file, **arrays))


def _write_unreadable(out: Path, unreadable: Sequence[Unreadable]) -> None:
    file = unreadable_file(out)
    if not unreadable:
        file.unlink(missing_ok=True)
        return
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("path", "reason"))
    rows.writerows((each.name, each.reason) for each in unreadable)
    write_bytes(file, text.getvalue().encode())


def _finished(spec: BackboneSpec, listing: Listing, out: Path) -> Features:
    """What is in a table that was made of the same images by the same backbone."""
    from gsmflow.sources.table import read_rows

    rows = read_rows(out)
    left_out: tuple[Unreadable, ...] = ()
    file = unreadable_file(out)
    if file.exists():
        with open(file, encoding="utf-8", newline="") as lines:
            left_out = tuple(Unreadable(each["path"], each["reason"]) for each in csv.DictReader(lines))
    place = {name: index for index, name in enumerate(listing.names)}
    kept = [place.get(name, -1) for name in rows.names or ()]
    same = set(rows.names or ()) | {each.name for each in left_out} == set(listing.names)
    for given, there in ((listing.labels, rows.labels), (listing.split, rows.split)):
        same = same and (given is None) == (there is None)
        same = same and (given is None or tuple(given[i] for i in kept) == there)
    known = BackboneSpec.from_dict(rows.backbone, f"{out}: backbone") if rows.backbone else None
    if not same or known is None or not known.same_as(spec):
        what = "other images or classes" if not same else "another backbone"
        raise InputError(f"{out}: is there already, made of {what}; delete it, or choose another --out")
    return Features(rows.features, np.array(kept, np.int64), left_out)
