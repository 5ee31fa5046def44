"""Arrays from .npz files. Pickled objects are refused and never loaded."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.files.checksums import check
from gsmflow.files.guard import check_unpacked, first_bytes, is_pickle


def read_npz(path: Path, wanted: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read those of the wanted arrays that an .npz file has, by name in any case. Pickles are refused and never loaded.

    Raises
    ------
    InputError
        The file is missing, damaged, no .npz file, unpacks to more than the limit, lacks the first of the wanted
        arrays, or a wanted array holds objects.
    """
    head = first_bytes(check(path), 4)
    if not zipfile.is_zipfile(path):
        what = "a Python pickle, which is never loaded" if is_pickle(head) else "damaged or something else"
        raise InputError(
            f"{path}: not an .npz file but {what}; save it with numpy.savez({wanted[0]}=..., ...)"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            size = sum(info.file_size for info in members.values())
            check_unpacked(path, size)
            called = {name: _called(name, list(members)) for name in wanted}
            if called[wanted[0]] is None:
                there = f", only {listed(members)}" if members else ""
                raise InputError(
                    f"{path}: no array '{wanted[0]}'{there}; save it with numpy.savez({wanted[0]}=..., {wanted[1]}=...)"
                )
            return {name: _read_member(path, archive, members[at]) for name, at in called.items() if at}
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: needs more memory than there is; free memory or split it") from None
    except Exception as error:  # zip, decompression and array headers raise different errors
        reason = str(error) or type(error).__name__
        raise InputError(f"{path}: damaged or cut short ({reason[:120]}); save it anew") from None


def _called(name: str, members: Sequence[str]) -> str | None:
    """What an array is called in a file: by its very name, or by the only one that differs in case alone."""
    alike = [member for member in members if member.casefold() == name.casefold()]
    return name if name in alike else alike[0] if len(alike) == 1 else None


def _read_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    from numpy.lib import format as npy

    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    name = info.filename.removesuffix(".npy")
    with archive.open(info) as file:
        version = npy.read_magic(file)
        if version not in readers:
            raise InputError(f"{path}: {name}: array format {version}, expected a plain array")
        shape, _, dtype = readers[version](file)
    if dtype.hasobject:
        raise InputError(
            f"{path}: {name}: contains pickled objects, which are never loaded; save plain arrays (texts "
            "as numpy.array(list_of_str))"
        )
    # The size is checked before memory is allocated for what the header claims.
    if int(np.prod(shape, dtype=object)) * dtype.itemsize > info.file_size:
        raise InputError(f"{path}: {name}: holds less than its header says; save it anew")
    with archive.open(info) as file:
        return npy.read_array(file, allow_pickle=False)
