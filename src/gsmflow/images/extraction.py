"""All images through a backbone, in shards that survive a kill, into a table of features.

``features.npz`` gets arrays ``features`` (N x D), ``labels``, ``names``, ``split`` where it is given, and
``backbone``, the description that runs remember. Beside it, while at work, ``features.npz.parts/`` holds one
file a shard of at most 128 images, named after the backbone and the very images (name, size, time of change)
it was made of: what is unchanged is taken over by the next attempt, and anything else is made anew. Images
that cannot be read are listed in ``features.unreadable.csv``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.compute.devices import resolve_device
from gsmflow.compute.distributed_map import Cluster, results
from gsmflow.files.atomic import (
    lock,
    make_folder,
    read_tensors,
    sweep,
    write_tensors,
)
from gsmflow.images.backbone import Backbone, BackboneSpec
from gsmflow.images.feature_table import (
    Extracted,
    Unreadable,
    _Contents,
    _finished,
    _Shard,
    _write_table,
    _write_unreadable,
)
from gsmflow.images.listing import Listing
from gsmflow.images.opening import open_backbone
from gsmflow.images.reading import UnreadableImage, read_image, strict_size

SHARD = 128  # images: what a kill loses at most
_READERS = 4  # images decoded at a time

Made = tuple[NDArray[np.float32], dict[int, str]]
"""Features (n, D) of the readable ones among some images, and why the others, by position, are not."""

Told = Callable[[int, int], None]
"""Receives how many images are done, of how many."""


@dataclass(frozen=True)
class Features:
    """Features of the readable images of a listing, in memory.

    Parameters
    ----------
    features : NDArray[np.float32]
        (n, D) of the readable images.
    kept : NDArray[np.int64]
        (n,) their positions in the listing.
    unreadable : tuple[Unreadable, ...]
        The others.
    """

    features: NDArray[np.float32]
    kept: NDArray[np.int64]
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True)
class Reading:
    """From names of images to their features, as [`gsmflow.compute.distributed_map`][gsmflow.compute.distributed_map]
    does it.

    Parameters
    ----------
    root : Path
        The folder that the names are relative to.
    spec : BackboneSpec
        The backbone, which every worker opens itself.
    batch_size : int
        Images the backbone takes at a time.
    device : str
        A device as [`resolve_device`][gsmflow.compute.devices.resolve_device] names it.
    """

    root: Path
    spec: BackboneSpec
    batch_size: int
    device: str = "auto"

    def open(self) -> Callable[[Sequence[str]], Made]:
        """Open the backbone.

        Raises
        ------
        InputError
            A file or a package is missing, or it is another backbone.
        """
        backbone = open_backbone(self.spec, resolve_device(self.device))
        return lambda names: _computed(backbone, self.root, names, self.batch_size)


@dataclass(frozen=True)
class _Opened:
    """The same with a backbone that is open already; it stays in this process."""

    root: Path
    backbone: Backbone
    batch_size: int

    def open(self) -> Callable[[Sequence[str]], Made]:
        return lambda names: _computed(self.backbone, self.root, names, self.batch_size)


def features_of(
    backbone: Backbone, listing: Listing, *, batch_size: int = 32, told: Told = lambda done, total: None
) -> Features:
    """Features of all images of a listing, kept in memory.

    Raises
    ------
    InputError
        None of them is readable, or the backbone gives values that are not finite.
    """
    work = _Opened(listing.root, backbone, batch_size)
    found = list(_shards(backbone, listing, work, None, None, told))
    contents = _contents(listing, found)
    return Features(
        np.concatenate([shard.features for shard in found if len(shard.features)]),
        contents.kept,
        contents.unreadable,
    )


def extract(
    backbone: Backbone,
    listing: Listing,
    out: Path,
    *,
    batch_size: int = 32,
    cluster: Cluster | None = None,
    device: str = "auto",
    told: Told = lambda done, total: None,
) -> Extracted:
    """Write the features of all images to `out`, continuing what an earlier attempt began.

    The same images, backbone, batch size and machine give the same file, bit for bit, interrupted or not. A file
    that is there already and was made of the same images by the same backbone is left as it is. No more than a
    few shards are in memory at a time.

    Parameters
    ----------
    backbone : Backbone
        The opened backbone.
    listing : Listing
        The images, their labels and parts.
    out : Path
        The .npz file to write.
    batch_size : int
        Images the backbone takes at a time.
    cluster : Cluster | None
        Computes shards on a Ray cluster, whose workers open the backbone themselves; None: on this machine.
    device : str
        Where the cluster's workers compute.
    told : Told
        Called with the number of images that are done and of all images.

    Raises
    ------
    InputError
        `out` does not end in .npz, holds something else, or cannot be written; none of the images is readable;
        the backbone gives values that are not finite; another process is making the same table; the cluster
        does not answer.
    """
    if out.suffix != ".npz":
        raise InputError(f"{out}: expected a name ending in .npz")
    if out.exists():
        return _finished(backbone.spec, listing, out)
    make_folder(out.parent)
    parts = out.with_name(f"{out.name}.parts")
    make_folder(parts)
    with lock(parts):
        if out.exists():  # by now
            return _finished(backbone.spec, listing, out)
        sweep(parts)
        for left in out.parent.iterdir():
            if left.name.startswith(f".{out.name}.") and left.suffix == ".tmp":
                left.unlink(missing_ok=True)
        work = here = _Opened(listing.root, backbone, batch_size)
        if cluster:
            work = Reading(listing.root.absolute(), backbone.spec, batch_size, device)
        contents = _contents(listing, _shards(backbone, listing, work, cluster, parts, told))
        _write_unreadable(out, contents.unreadable)
        # From the parts once more: they are all there by now, and need not all be in memory.
        again = _shards(backbone, listing, here, None, parts, lambda *_: None)
        _write_table(out, backbone.spec, listing, contents, again)
        shutil.rmtree(parts, ignore_errors=True)
    return Extracted(contents.shape, contents.unreadable)


def _shards(
    backbone: Backbone,
    listing: Listing,
    work: Reading | _Opened,
    cluster: Cluster | None,
    parts: Path | None,
    told: Told,
) -> Iterator[_Shard]:
    """All shards in order: what an earlier attempt left in `parts`, and the others made by `work`, and left there."""
    total = len(listing.names)
    told(0, total)
    spans = [(start, listing.names[start : start + SHARD]) for start in range(0, total, SHARD)]
    files = [_file(parts, _key(backbone.spec, listing.root, names, work.batch_size)) for _, names in spans]
    missing = [
        names
        for (_, names), file in zip(spans, files, strict=True)
        if not _is_kept(file, listing.root, names)
    ]
    made: Iterator[Made] = results(work, missing, cluster) if missing else iter(())
    awaited = iter([*missing, None])
    following = next(awaited)
    for (start, names), file in zip(spans, files, strict=True):
        if names is following:
            found, following = next(made), next(awaited)
            if file:
                reasons = {str(index): reason for index, reason in found[1].items()}
                write_tensors(file, {"features": torch.from_numpy(found[0])}, reasons)
        else:
            assert file
            found = _kept_part(file)
            if found is None:
                raise InputError(f"{file}: was changed meanwhile; run the same command again")
        yield _Shard(start, start + len(names), *found)
        told(start + len(names), total)


def _file(parts: Path | None, key: str) -> Path | None:
    return parts / f"{key}.safetensors" if parts else None


def _is_kept(file: Path | None, root: Path, names: Sequence[str]) -> bool:
    """Whether a part is there, whole, and what could not be read then cannot be read now."""
    found = _kept_part(file) if file and file.exists() else None
    # A disk that was away, say, may be back.
    return found is not None and all(_is_unreadable(root / names[index]) for index in found[1])


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
        with strict_size():
            read_image(path)
    except UnreadableImage:
        return True
    return False


def _computed(backbone: Backbone, root: Path, names: Sequence[str], batch_size: int) -> Made:
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

    with strict_size(), ThreadPoolExecutor(_READERS) as readers:
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


def _contents(listing: Listing, shards: Iterable[_Shard]) -> _Contents:
    """What shards hold, without holding them."""
    kept: list[int] = []
    unreadable: list[Unreadable] = []
    dims = 0
    for shard in shards:
        kept += [i for i in range(shard.start, shard.stop) if i - shard.start not in shard.reasons]
        unreadable += [
            Unreadable(listing.names[shard.start + index], reason) for index, reason in shard.reasons.items()
        ]
        if len(shard.features):
            width = shard.features.shape[1]
            if dims and width != dims:
                raise InputError(
                    f"{listing.root / listing.names[shard.start]}: {width} feature dimensions, those before have "
                    f"{dims}; use a backbone that gives as many for every image"
                )
            dims = width
    if not kept:
        first = unreadable[0]
        raise InputError(
            f"{listing.root / first.name}: {first.reason}; none of the {len(unreadable)} images can be read"
        )
    return _Contents((len(kept), dims), np.array(kept, np.int64), tuple(unreadable))
