"""``gsmflow data get``: published data sets, from the archives of their authors.

There are no published checksums of these archives. So the content is checked by the fingerprint of the split
([`gsmflow.sources.published`][gsmflow.sources.published]).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from zipfile import ZipInfo

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import instead_of, listed
from gsmflow.data.problem import Counts
from gsmflow.files.atomic import arriving_folder, held, make_folder, write_checksums
from gsmflow.files.checksums import CHECKSUMS, digest_of
from gsmflow.files.download import Told, download
from gsmflow.files.unpack import members_of, unpack
from gsmflow.sources import presplit, xlsa17
from gsmflow.sources.layouts import find
from gsmflow.sources.published import KNOWN

PUBLISHED, AUTHORS = "published", "authors"
DOWNLOADS = "downloads"  # the folder of archives, within the folder of the data sets
_LARGEST = 16 << 30  # most bytes of an archive
_XLSA17 = (f"{xlsa17.FEATURES}.mat", f"{xlsa17.SEMANTICS}_splits.mat")
_PRESPLIT = (presplit.DATA, presplit.LABEL)


@dataclass(frozen=True)
class Archive:
    """An archive of several data sets.

    Parameters
    ----------
    file : str
        Its file name.
    address : str
        Where it was published.
    holds : tuple[str, ...]
        Names of data sets.
    """

    file: str
    address: str
    holds: tuple[str, ...]


_ARCHIVES: Mapping[str, tuple[Archive, ...]] = {
    PUBLISHED: (
        Archive(
            "xlsa17.zip",
            "https://datasets.d2.mpi-inf.mpg.de/xian/xlsa17.zip",
            ("AWA1", "AWA2", "APY", "CUB", "SUN"),
        ),
        Archive("cvpr18xian.zip", "https://datasets.d2.mpi-inf.mpg.de/xian/cvpr18xian.zip", ("FLO",)),
    ),
    AUTHORS: (
        Archive(
            "GSMFlow_data.zip",
            "https://www.dropbox.com/s/5sprhvavkb3pu5m/GSMFlow_data.zip?dl=1",
            ("AWA2", "APY", "CUB", "FLO"),
        ),
    ),
}


@dataclass(frozen=True)
class Obtained:
    """A data set in its folder.

    Parameters
    ----------
    name : str
        The data set.
    folder : Path
        Where it is.
    split : str
        The name of its split.
    samples : int
        N.
    archive : Path | None
        The archive it came from; None if the folder existed before.
    """

    name: str
    folder: Path
    split: str
    samples: int
    archive: Path | None


def obtain(
    name: str,
    *,
    data_root: Path,
    origin: str = PUBLISHED,
    sha256: str = "",
    told: Told = lambda done, total: None,
) -> Obtained:
    """Obtain a published data set. Its folder appears in one step, complete and checked.

    The archive stays under ``downloads/`` for the other data sets it holds.

    Parameters
    ----------
    name : str
        AWA1, AWA2, APY, CUB, SUN or FLO, in any case.
    data_root : Path
        The folder of the named data sets.
    origin : str
        ``published`` for the archives of Xian et al.; ``authors`` for the archive of GSMFlow's authors, in which CUB
        and FLO are pre-split; an address; or a local zip file.
    sha256 : str
        The checksum of the archive. With a checksum an unknown split is accepted.
    told : Told
        Called with the number of bytes that have arrived.

    Raises
    ------
    InputError
        There is no such data set, or it is not in that archive; its folder exists and holds something else; the archive
        cannot be downloaded, is damaged or unsafe; or its content is not the data set of that name.
    """
    known = KNOWN.get(name.upper())
    if known is None:
        raise InputError(f"{name}: no published data set; {instead_of(name, KNOWN)}")
    if sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise InputError(f"{sha256}: expected 64 hexadecimal digits", parameter="sha256")
    archive = _archive_of(known.name, origin)
    if folder := find(data_root, known.name):
        counts, split = _look(folder)
        return Obtained(known.name, folder, split, counts.samples, None)
    downloads = data_root / DOWNLOADS
    file = downloads / archive.file if archive else Path(origin)
    if archive is None:
        _check_digits(file, sha256)
    begun = [file, file.with_name(f"{file.name}.part")] if archive else []
    with held(data_root, worth=lambda: any(each.exists() for each in begun)):
        if archive:
            make_folder(downloads)
            download(archive.address, file, sha256=sha256.lower(), largest=_LARGEST, told=told)
        try:
            return _install(file, known.name, data_root, trusted=bool(sha256))
        except InputError:
            if archive and not _readable(file):
                file.unlink(missing_ok=True)
            raise


def _archive_of(name: str, origin: str) -> Archive | None:
    """The archive to download; None for a local file."""
    if origin in _ARCHIVES:
        for archive in _ARCHIVES[origin]:
            if name in archive.holds:
                return archive
        holds = [each for archive in _ARCHIVES[origin] for each in archive.holds]
        raise InputError(f"{origin}: has no {name}, only {listed(holds)}", parameter="origin")
    address = urlsplit(origin)
    if address.scheme in ("http", "https") and address.netloc:
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(address.path).stem).strip(".") or "archive"
        # Two addresses may end in the same file name.
        return Archive(f"{stem[:60]}-{hashlib.sha256(origin.encode()).hexdigest()[:8]}.zip", origin, (name,))
    if not os.path.isfile(origin):
        raise InputError(
            f"{origin}: expected {PUBLISHED}, {AUTHORS}, an address (https://...) or a zip file that is here",
            parameter="origin",
        )
    return None


def _check_digits(file: Path, sha256: str) -> None:
    if sha256 and digest_of(file) != sha256.lower():
        raise InputError(
            f"{file}: its SHA-256 is not {sha256[:12].lower()}...; it is damaged or another file"
        )


def _readable(file: Path) -> bool:
    try:
        return bool(members_of(file))
    except InputError:
        return False


def _install(file: Path, name: str, data_root: Path, *, trusted: bool) -> Obtained:
    places = _places(file, name)
    with arriving_folder(data_root / name, alone=True, remedy="free space") as new:
        unpack(file, places, new)
        counts, split = _look(new)
        if not trusted and not split.endswith(f"Proposed Splits, {name}"):
            raise InputError(
                f"{file}: {name} in it has the split '{split}', expected the Proposed Splits of {name}; it is not what "
                "was published, or was made anew",
                remedy="where you trust it, give its checksum by `sha256`, or unpack it yourself",
            )
        if CHECKSUMS not in os.listdir(new):
            write_checksums(new, sorted(os.listdir(new)), {})
    return Obtained(name, data_root / name, split, counts.samples, file)


def _places(file: Path, name: str) -> list[PurePosixPath]:
    """The files of a data set in an archive: those in the outermost folder with its name and the necessary files."""
    members = members_of(file)
    folders: dict[PurePosixPath, set[str]] = {}
    for place in members:
        folders.setdefault(place.parent, set()).add(place.name)
    fitting = [
        folder
        for folder, names in folders.items()
        if folder.name.lower() == name.lower() and (names.issuperset(_XLSA17) or names.issuperset(_PRESPLIT))
    ]
    if not fitting:
        raise InputError(
            f"{file}: holds no folder {name} with {' and '.join(_XLSA17)}, or {' and '.join(_PRESPLIT)}; its folders "
            f"are {listed(sorted(map(str, folders)))}"
        )
    chosen = min(fitting, key=lambda folder: (len(folder.parts), str(folder)))
    return sorted(place for place in members if place.parent == chosen and _wanted(members[place]))


def _wanted(info: ZipInfo) -> bool:
    return info.filename.lower().endswith((".mat", ".txt"))


def _look(folder: Path) -> tuple[Counts, str]:
    """Sizes and split of a data set in either layout."""
    names = os.listdir(folder)
    read: Callable[[Path], tuple[Counts | None, str]] = xlsa17.survey
    if set(names).issuperset(_PRESPLIT) and _XLSA17[0] not in names:
        read = presplit.survey
    elif not set(names).issuperset(_XLSA17):
        raise InputError(
            f"{folder}: is there already, without {' and '.join(_XLSA17)}",
            remedy="move it elsewhere, or name another `data_root`",
        )
    counts, split = read(folder)
    assert counts is not None  # there is a feature file
    return counts, split
