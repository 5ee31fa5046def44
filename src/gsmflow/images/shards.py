"""Runs images through a backbone, one shard at a time.

A shard is at most 128 images. Its file is named after the backbone and the very images (name, size, time of
change) that it was computed from. The next attempt reuses shards that are unchanged and computes all others
again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.compute.devices import resolve_device
from gsmflow.compute.distributed_map import Cluster, results
from gsmflow.images.backbone import Backbone, BackboneSpec
from gsmflow.images.feature_table import Contents, Shard, Unreadable
from gsmflow.images.listing import Listing
from gsmflow.images.opening import open_backbone
from gsmflow.images.reading import UnreadableImage, read_image, strict_size

SHARD = 128  # images of a shard, the most that a kill loses
_READERS = 4  # images decoded at a time

Computed = tuple[NDArray[np.float32], dict[int, str]]
"""Features (n, D) of the readable images, and the reasons why others cannot be read, by position."""

Told = Callable[[int, int], None]
"""Receives the number of images that are done, and the number of all images."""


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

    def open(self) -> Callable[[Sequence[str]], Computed]:
        """Open the backbone.

        Raises
        ------
        InputError
            A file or a package is missing, or it is another backbone.
        """
        backbone = open_backbone(self.spec, resolve_device(self.device))
        return lambda names: computed(backbone, self.root, names, self.batch_size)


@dataclass(frozen=True)
class Opened:
    """As `Reading`, with a backbone that is open already and stays in this process.

    Parameters
    ----------
    root : Path
        The folder that the names are relative to.
    backbone : Backbone
        The opened backbone.
    batch_size : int
        Images the backbone takes at a time.
    """

    root: Path
    backbone: Backbone
    batch_size: int

    def open(self) -> Callable[[Sequence[str]], Computed]:
        """The function of names; there is nothing to open."""
        return lambda names: computed(self.backbone, self.root, names, self.batch_size)


def shards_of(
    backbone: Backbone,
    listing: Listing,
    work: Reading | Opened,
    cluster: Cluster | None,
    parts: Path | None,
    told: Told,
) -> Iterator[Shard]:
    """All shards in order. Those in `parts` are from earlier attempts; `work` computes the others and stores
    them there.
    """
    total = len(listing.names)
    told(0, total)
    spans = [(start, listing.names[start : start + SHARD]) for start in range(0, total, SHARD)]
    files = [_file(parts, _key(backbone.spec, listing.root, names, work.batch_size)) for _, names in spans]
    missing = [
        names
        for (_, names), file in zip(spans, files, strict=True)
        if not _is_kept(file, listing.root, names)
    ]
    computations: Iterator[Computed] = results(work, missing, cluster) if missing else iter(())
    awaited = iter([*missing, None])
    following = next(awaited)
    for (start, names), file in zip(spans, files, strict=True):
        if names is following:
            part, following = next(computations), next(awaited)
            if file:
                import torch

                from gsmflow.files.tensors import write_tensors

                reasons = {str(index): reason for index, reason in part[1].items()}
                write_tensors(file, {"features": torch.from_numpy(part[0])}, reasons)
        else:
            assert file
            part = _kept_part(file)
            if part is None:
                raise InputError(f"{file}: was changed meanwhile; run the same command again")
        yield Shard(start, start + len(names), *part)
        told(start + len(names), total)


def _file(parts: Path | None, key: str) -> Path | None:
    return parts / f"{key}.safetensors" if parts else None


def _is_kept(file: Path | None, root: Path, names: Sequence[str]) -> bool:
    """Whether a part is there and complete, and its unreadable images are still unreadable."""
    part = _kept_part(file) if file and file.exists() else None
    # They may have become readable: a disk that was missing may be back.
    return part is not None and all(_is_unreadable(root / names[index]) for index in part[1])


def _key(spec: BackboneSpec, root: Path, names: Sequence[str], batch_size: int) -> str:
    """A name for the features of exactly these files from exactly this backbone."""
    digest = hashlib.sha256(json.dumps([spec.to_dict(), batch_size]).encode())
    for name in names:
        stamp = "missing"
        with suppress(OSError):
            known = os.stat(root / name)
            stamp = f"{known.st_size} {known.st_mtime_ns}"
        digest.update(f"\0{name}\0{stamp}".encode())
    return digest.hexdigest()[:32]


def _kept_part(file: Path) -> tuple[NDArray[np.float32], dict[int, str]] | None:
    """The content of a part; None if it is damaged and has to be computed again."""
    from gsmflow.files.tensors import read_tensors

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


def computed(backbone: Backbone, root: Path, names: Sequence[str], batch_size: int) -> Computed:
    """Read, prepare and run the images of these names, some at a time."""

    def prepared(name: str) -> NDArray[np.float32] | UnreadableImage:
        try:
            return backbone.prepare(read_image(root / name))
        except UnreadableImage as error:
            return error

    batches: list[NDArray[np.float32]] = []
    reasons: dict[int, str] = {}
    waiting: list[NDArray[np.float32]] = []
    origins: list[str] = []

    def flush() -> None:
        if waiting:
            batches.append(_checked(backbone.features(np.stack(waiting)), [root / name for name in origins]))
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
    return (np.concatenate(batches) if batches else np.zeros((0, 0), np.float32)), reasons


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


def contents_of(listing: Listing, shards: Iterable[Shard]) -> Contents:
    """The content of all shards together, without their features."""
    readable: list[int] = []
    unreadable: list[Unreadable] = []
    dims = 0
    for shard in shards:
        readable += [i for i in range(shard.start, shard.stop) if i - shard.start not in shard.reasons]
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
    if not readable:
        first = unreadable[0]
        raise InputError(
            f"{listing.root / first.name}: {first.reason}; none of the {len(unreadable)} images can be read"
        )
    return Contents((len(readable), dims), np.array(readable, np.int64), tuple(unreadable))
