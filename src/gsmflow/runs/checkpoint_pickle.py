"""Whether a checkpoint of the authors' program can be unpickled, decided by the file without loading torch.

See [`gsmflow.runs.authors_checkpoint`][gsmflow.runs.authors_checkpoint].
"""

from __future__ import annotations

import pickletools
import re
import zipfile
from pathlib import Path
from typing import IO

from gsmflow.base.errors import InputError
from gsmflow.files.guard import check_unpacked, first_bytes

# All that a model's state dict needs. The size of each tensor is that of its storage in the file.
_MAKERS = re.compile(r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter)|torch \w+Storage")
# Opcodes that name functions and that PyTorch's own writer does not use.
_OTHER_NAMES = ("INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4")
# Most bytes of the pickle without the weights; those of the published program take ten thousand
_PICKLED = 1 << 20
_RECORDS = 10_000  # most records of an archive; those of the published program have about a hundred
_OLD_PICKLES = (
    5  # pickles in a file of the older format: three of the format, the dictionary, the names of storages
)


def look_over(path: Path) -> None:
    """Refuse a file that unpacks to too many bytes, or whose pickle builds anything but tensors, numbers and texts.

    Raises
    ------
    InputError
        The file is refused for one of these reasons.
    """
    try:
        _look_over(path)
    except InputError:
        raise
    except Exception as error:  # of the archive and the pickle
        raise not_loaded(path, error) from None


def not_loaded(path: Path, error: Exception) -> InputError:
    """The error of a checkpoint that is damaged or holds what is never loaded."""
    if isinstance(error, OSError):
        return InputError(f"{path}: cannot be read ({error.strerror or error})")
    reason = str(error).partition("\n")[0][:120]
    return InputError(
        f"{path}: not loaded: it is damaged, or holds other objects than tensors, numbers and texts, which could run "
        f"code ({reason})"
    )


def _look_over(path: Path) -> None:
    if first_bytes(path, 4) != b"PK\3\4":  # the way PyTorch distinguishes archives from older files
        with open(path, "rb") as file:
            for _ in range(_OLD_PICKLES):
                _check_pickle(path, file)
        return
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        if len(records) > _RECORDS:
            raise InputError(
                f"{path}: an archive of {len(records)} records, more than the {_RECORDS} allowed; it is no "
                "checkpoint of the published program"
            )
        check_unpacked(path, sum(record.file_size for record in records))
        for record in records:
            if record.filename.lower().endswith("/data.pkl"):  # PyTorch accepts each of these names
                with archive.open(record) as file:
                    _check_pickle(path, file)


def _check_pickle(path: Path, file: IO[bytes]) -> None:
    """Read one pickle to its end without executing it.

    Raises
    ------
    InputError
        It is too long, or builds something that a checkpoint does not need.
    ValueError
        It is not a pickle.
    """
    start = file.tell()
    for code, argument, _ in pickletools.genops(file):
        if file.tell() - start > _PICKLED:
            raise InputError(
                f"{path}: more than {_PICKLED} bytes beside the weights; it is no checkpoint of the published program"
            )
        named = str(argument) if code.name == "GLOBAL" else code.name
        if named in _OTHER_NAMES or (code.name == "GLOBAL" and not _MAKERS.fullmatch(named)):
            raise InputError(
                f"{path}: not loaded: it holds other objects than tensors, numbers and texts, which could run code "
                f"({named})"
            )
