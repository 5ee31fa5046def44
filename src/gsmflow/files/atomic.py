"""Atomic writing: a file or folder is either the old one or the new one, even after a crash."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any, BinaryIO

from gsmflow.base.errors import InputError
from gsmflow.files.checksums import CHECKSUMS, digest_of, line_of

LOCK = ".lock"  # in a folder that one process at a time may write to
_ARRIVING = ".arriving"  # ends the names of temporary folders


def make_folder(path: Path) -> None:
    """Create a folder that can be written to.

    Raises
    ------
    InputError
        It cannot be created, is a file, or cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(
            f"{path}: cannot write there ({error.strerror})", remedy="choose another `out`"
        ) from None


def check_writable(folder: Path, parameter: str = "out") -> None:
    """Refuse a folder that cannot be created or written to, and leave nothing behind.

    Parameters
    ----------
    folder : Path
        A folder that exists or will be created.
    parameter : str
        The parameter that names the folder, for the message.

    Raises
    ------
    InputError
        The folder, or the nearest existing folder above it, is a file or cannot be written to.
    """
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(
            f"{folder}: cannot write there ({error.strerror})", remedy=f"choose another `{parameter}`"
        ) from None


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one atomic step; the content is on disk before the name changes.

    Raises
    ------
    InputError
        The disk is full or the folder cannot be written to; `path` is unchanged.
    """
    write_file(path, lambda file: file.write(content))


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace `path` in one atomic step by what `write` writes into the open file that it receives.

    Raises
    ------
    InputError
        The disk is full or the folder cannot be written to; `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        put_in_place(temporary, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error})",
            remedy="free space or choose another `out`",
        ) from None
    finally:
        with suppress(OSError):  # a read-only file system reports this also for files that do not exist
            temporary.unlink(missing_ok=True)


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a complete file to its final name, in one step; an older file of that name is replaced."""
    os.replace(temporary, path)


@contextmanager
def arriving_folder(
    target: Path, *, alone: bool = False, remedy: str = "free space or choose another `out`"
) -> Iterator[Path]:
    """A new folder to write into, which gets the name of `target` in one step when the block ends without an error.

    After an error nothing of it is left. An older folder of that name has to be removed within the block.

    Parameters
    ----------
    target : Path
        The final name, in a folder that exists.
    alone : bool
        No other process writes this folder, so that what killed processes left of it can be removed.
    remedy : str
        What to do if the folder cannot be written, for the message.

    Raises
    ------
    InputError
        The folder cannot be written, or there is a folder of that name with something in it.
    """
    prefix = f".{target.name[:50]}."
    for left in target.parent.glob(f"{escape(prefix)}*{_ARRIVING}") if alone else ():
        shutil.rmtree(left, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(
            prefix=prefix, suffix=_ARRIVING, dir=target.parent, ignore_cleanup_errors=True
        ) as temporary:
            folder = Path(temporary) / "new"  # with the usual permissions, unlike the temporary folder
            folder.mkdir()
            yield folder
            os.rename(folder, target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error})", remedy=remedy) from None


def json_bytes(value: Any) -> bytes:
    """`value` as indented JSON; NaN is refused, use None."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN is refused, use None."""
    write_bytes(path, json_bytes(value))


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises
    ------
    InputError
        The file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def write_checksums(folder: Path, names: Iterable[str], coming: Mapping[str, bytes]) -> None:
    """Write a list for ``sha256sum -c``: the SHA-256 of files in `folder`, and of contents that are written next."""
    digits = {name: digest_of(folder / name) for name in names}
    digits |= {name: hashlib.sha256(content).hexdigest() for name, content in coming.items()}
    write_bytes(folder / CHECKSUMS, "".join(line_of(*pair[::-1]) for pair in digits.items()).encode())


def sweep(folder: Path) -> None:
    """Remove the temporary files of killed writers. The caller must be the only one that writes there.

    Raises
    ------
    InputError
        A file cannot be removed.
    """
    for left in (path for part in (folder, folder / "checkpoint") for path in part.glob(".*.tmp")):
        try:
            left.unlink()
        except OSError as error:
            raise InputError(f"{left}: cannot be removed ({error.strerror}); remove it") from None


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock the folder for this process; the system releases it when the process ends, for any reason.

    Raises
    ------
    InputError
        Another process has locked it.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on this platform
        yield
        return
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{folder}: another process is writing there", remedy="wait, or choose another `out`"
            ) from None
        yield


@contextmanager
def held(folder: Path, *, worth: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Create a folder and lock it for this process. If the request is refused meanwhile, what is new is removed.

    Parameters
    ----------
    folder : Path
        The folder. What was in it before is never removed.
    worth : Callable[[], bool]
        Called after a refusal: whether the new content is worth keeping, such as a checkpoint.

    Raises
    ------
    InputError
        The folder cannot be written to, or another process has locked it; or the refusal itself.
    """
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    make_folder(folder)
    locked_before = (folder / LOCK).exists()
    with lock(folder):
        before = set(os.listdir(folder))  # only now: others may have been here until now
        if not locked_before:
            before.discard(LOCK)
        try:
            yield
        except InputError:
            if not worth():
                with suppress(OSError):
                    _clear(folder, before)
                    for each in new:  # from the innermost outwards
                        each.rmdir()
            raise


@contextmanager
def folder_for(path: Path) -> Iterator[None]:
    """Create the folder of a file that will be written. If the request is refused meanwhile, remove it again.

    Raises
    ------
    InputError
        The folder cannot be created or written to; or the refusal itself.
    """
    new = [each for each in path.parents if not each.exists()]
    make_folder(path.parent)
    try:
        yield
    except InputError:
        with suppress(OSError):
            for each in new:  # from the innermost outwards; one that is not empty stays
                each.rmdir()
        raise


def _clear(folder: Path, but: set[str]) -> None:
    """Remove everything in a folder except some names."""
    for name in set(os.listdir(folder)) - but:
        each = folder / name
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
