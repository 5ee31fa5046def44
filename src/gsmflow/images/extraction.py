"""From images to a table of features, in shards that remain if the program is killed.

``features.npz`` gets arrays ``features`` (N x D), ``labels``, ``names``, ``split`` where it is given, and
``backbone``, the description that runs remember. Beside it, while at work, ``features.npz.parts/`` holds one
file a shard of at most 128 images, named after the backbone and the very images (name, size, time of change)
it was computed from. The next attempt reuses shards that are unchanged and computes all others again. Images
that cannot be read are listed in ``features.unreadable.csv``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.compute.distributed_map import Cluster
from gsmflow.files.atomic import check_writable, folder_for, held, sweep
from gsmflow.images.backbone import BACKBONES, Backbone, BackboneSpec
from gsmflow.images.feature_table import (
    Extracted,
    Shard,
    Unreadable,
    finished_table,
    write_table,
    write_unreadable,
)
from gsmflow.images.listing import Listing, list_labelled
from gsmflow.images.opening import open_backbone
from gsmflow.images.shards import Opened, Reading, Told, contents_of, shards_of


@dataclass(frozen=True)
class Features:
    """Features of the readable images of a listing, in memory.

    Parameters
    ----------
    features : NDArray[np.float32]
        (n, D) of the readable images.
    readable : NDArray[np.int64]
        (n,) their positions in the listing.
    unreadable : tuple[Unreadable, ...]
        The images that cannot be read.
    """

    features: NDArray[np.float32]
    readable: NDArray[np.int64]
    unreadable: tuple[Unreadable, ...]


def features_of(
    backbone: Backbone, listing: Listing, *, batch_size: int = 32, told: Told = lambda done, total: None
) -> Features:
    """The features of all images of a listing, in memory.

    Raises
    ------
    InputError
        None of them is readable, or the backbone gives values that are not finite.
    """
    work = Opened(listing.root, backbone, batch_size)
    shards = list(shards_of(backbone, listing, work, None, None, told))
    contents = contents_of(listing, shards)
    return Features(
        np.concatenate([shard.features for shard in shards if len(shard.features)]),
        contents.readable,
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
    that the same backbone computed from the same images is not changed. At most a few shards are in memory at a time.

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
        return finished_table(backbone.spec, listing, out)
    parts = out.with_name(f"{out.name}.parts")
    done = 0  # images that have features

    def counted(shards: Iterator[Shard]) -> Iterator[Shard]:
        nonlocal done
        for shard in shards:
            done += len(shard.features)
            yield shard

    with folder_for(out), held(parts, worth=lambda: done > 0):
        if out.exists():  # by now
            return finished_table(backbone.spec, listing, out)
        sweep(parts)
        for left in out.parent.iterdir():
            if left.name.startswith(f".{out.name}.") and left.suffix == ".tmp":
                left.unlink(missing_ok=True)
        work = here = Opened(listing.root, backbone, batch_size)
        if cluster:
            work = Reading(listing.root.absolute(), backbone.spec, batch_size, device)
        contents = contents_of(listing, counted(shards_of(backbone, listing, work, cluster, parts, told)))
        write_unreadable(out, contents.unreadable)
        # Read from the parts once more, so that not all of them are in memory.
        again = shards_of(backbone, listing, here, None, parts, lambda *_: None)
        write_table(out, backbone.spec, listing, contents, again)
        shutil.rmtree(parts, ignore_errors=True)
    return Extracted(contents.shape, contents.unreadable)


@dataclass(frozen=True)
class Pictures:
    """The table of features of some pictures.

    Parameters
    ----------
    file : Path
        The table.
    listing : Listing
        The pictures it was computed from.
    spec : BackboneSpec
        The backbone, with its sha256.
    shape : tuple[int, int]
        (n, D) of the features.
    unreadable : tuple[Unreadable, ...]
        The pictures that were left out.
    there_already : bool
        Whether the table existed before, from the same pictures and the same backbone.
    """

    file: Path
    listing: Listing
    spec: BackboneSpec
    shape: tuple[int, int]
    unreadable: tuple[Unreadable, ...]
    there_already: bool


def extract_images(
    images: Path,
    spec: BackboneSpec,
    out: Path,
    *,
    root: Path | None = None,
    batch_size: int = 32,
    cluster: Cluster | None = None,
    device: str = "auto",
    listed: Callable[[Listing], None] = lambda listing: None,
    told: Told = lambda done, total: None,
) -> Pictures:
    """From pictures to a table of features: list them, open the backbone, write the table.

    Parameters
    ----------
    images : Path
        A folder or a CSV that [`list_labelled`][gsmflow.images.listing.list_labelled] takes.
    spec : BackboneSpec
        The backbone that makes the features.
    out : Path
        The .npz file to write, see [`extract`][gsmflow.images.extraction.extract].
    root : Path | None
        The folder that a CSV's paths are relative to; None: the CSV's own.
    batch_size : int
        Images the backbone takes at a time.
    cluster : Cluster | None
        Computes shards on a Ray cluster; None: on this machine.
    device : str
        A device as [`resolve_device`][gsmflow.compute.devices.resolve_device] names it.
    listed : Callable[[Listing], None]
        Receives the pictures before the first is read.
    told : Callable[[int, int], None]
        Receives how many pictures are done, of how many.

    Raises
    ------
    InputError
        There are no pictures, the backbone cannot be opened or is one that a cluster does not know, or `extract`
        refuses.
    """
    from gsmflow.compute.devices import resolve_device

    if out.suffix != ".npz":
        raise InputError(f"{out}: expected a name ending in .npz")
    check_writable(out.parent)
    if cluster:
        BACKBONES.check_known_elsewhere(spec.kind)
    listing = list_labelled(images, root)
    spec.check()
    listed(listing)
    backbone = open_backbone(spec, resolve_device(device))
    there_already = out.exists()
    table = extract(backbone, listing, out, batch_size=batch_size, cluster=cluster, device=device, told=told)
    return Pictures(out, listing, backbone.spec, table.shape, table.unreadable, there_already)
