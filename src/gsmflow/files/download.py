"""Bringing a file from an address: what broke off is continued, and nothing is believed about its length.

The file appears at once, complete and compared with its checksum, through pooch. What has arrived so far lies in
``NAME.part`` beside it, with ``NAME.part.json``, which says what it is a part of.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.files.atomic import write_json

Told = Callable[[int, int], None]
"""Receives how many bytes have arrived, and of how many; 0 where that is not known."""

_CHUNK = 1 << 18
_TRIES = 4  # in a row in which nothing new arrives
_SECONDS = 60  # without a byte
_SPARE = 64 << 20  # bytes that stay free on the disk


def download(
    address: str,
    to: Path,
    *,
    sha256: str = "",
    largest: int,
    told: Told = lambda done, total: None,
    pause: float = 1.0,
) -> Path:
    """Bring the file at an address; one that is there already, with that checksum, stays.

    Parameters
    ----------
    address : str
        ``http://`` or ``https://``.
    to : Path
        The file to write, in a folder that exists.
    sha256 : str
        64 hexadecimal digits the file must have; empty where none is known.
    largest : int
        Bytes; a longer file is refused.
    told : Told
        Told as it arrives.
    pause : float
        Seconds before the second try in a row in which nothing new arrives; each further one waits twice as long.

    Raises
    ------
    InputError
        Pooch is missing, the server does not answer, refuses, or breaks off again and again; the file is too long
        for `largest` or for the disk, or has another checksum.
    """
    try:
        import pooch
    except ImportError as error:
        raise InputError(f"{address}: needs pooch: {installing('data')} ({error})") from None
    pooch.get_logger().setLevel("ERROR")
    part = to.with_name(f"{to.name}.part")
    bring = _Resuming(part, largest, told, pause)
    try:
        pooch.retrieve(address, f"sha256:{sha256}" if sha256 else None, to.name, to.parent, downloader=bring)
    except InputError:
        raise
    except ValueError:  # pooch's word for another checksum
        raise InputError(
            f"{address}: its SHA-256 is not {sha256[:12]}..., so it is damaged or another file; it was removed",
            remedy="try again, or ask who published it for its checksum",
        ) from None
    except OSError as error:
        raise InputError(
            f"{to}: cannot be written ({error.strerror or error})", remedy="free space"
        ) from None
    finally:
        if not part.exists():
            _record(part).unlink(missing_ok=True)
    return to


def _record(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


class _Broken(Exception):
    """The connection ended before the file did."""


@dataclass
class _Resuming:
    """What pooch calls to bring a file: it continues the part that is there.

    Parameters
    ----------
    part : Path
        Where bytes arrive.
    largest : int
        Bytes at most.
    told : Told
        Told as they arrive.
    pause : float
        Seconds before another try in which nothing arrives.
    """

    part: Path
    largest: int
    told: Told
    pause: float
    _reason: str = field(default="", init=False)

    def __call__(self, fname: str, action: Any, pooch: Any, *, check_only: bool | None = None) -> None:
        """Bring the file at the address `fname` to the place `action`."""
        address, output_file = fname, str(action)
        vain = best = 0  # a server that makes it begin again and again gets no further than before
        while True:
            before = self._there(address)
            try:
                self._once(address, before)
                break
            except _Broken as error:
                arrived = self._there(address)
                vain = 0 if arrived > max(best, before) else vain + 1
                best = max(best, before, arrived)
                if vain == _TRIES:
                    state = f"; {self.part} has what arrived" if arrived else ""
                    raise InputError(
                        f"{address}: cannot be brought ({error}){state}",
                        remedy="try again later, which continues it; or fetch it by other means and name the file",
                    ) from None
                if vain:
                    time.sleep(self.pause * 2 ** (vain - 1))
        self.part.replace(output_file)

    def _there(self, address: str) -> int:
        """Bytes of this very file that arrived before."""
        with suppress(OSError, ValueError, TypeError):
            if json.loads(_record(self.part).read_bytes())["address"] == address:
                return self.part.stat().st_size
        return 0

    def _once(self, address: str, before: int) -> None:
        """One connection: all that is left of the file, or `_Broken`."""
        import requests
        from urllib3.exceptions import HTTPError

        asked = {"Accept-Encoding": "identity"}
        said = json.loads(_record(self.part).read_bytes()) if before else {}
        if before:
            asked["Range"] = f"bytes={before}-"
            if said.get("version"):
                asked["If-Range"] = said["version"]
        try:
            with requests.get(address, stream=True, timeout=(15, _SECONDS), headers=asked) as answer:
                self._take(address, answer, before, said.get("total", 0))
        except (requests.RequestException, HTTPError) as error:
            raise _Broken(_why(error)) from None

    def _take(self, address: str, answer: Any, before: int, expected: int) -> None:
        if answer.status_code == 416:  # what is there is no part of what is now at the address
            self.part.unlink(missing_ok=True)
            raise _Broken("it has changed since it was begun")
        if answer.status_code >= 500 or answer.status_code in (408, 429):
            raise _Broken(f"the server says {answer.status_code} {answer.reason}")
        if answer.status_code >= 400:
            raise InputError(
                f"{address}: the server says {answer.status_code} {answer.reason}",
                remedy="it may have moved: look where it was published, and name the address or the file",
            )
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise InputError(f"{address}: comes packed once more ({answer.headers['Content-Encoding']})")
        length = _number(answer.headers.get("Content-Length"))
        first, whole = _range(answer.headers.get("Content-Range"))
        if not (answer.status_code == 206 and before and first == before):
            if answer.status_code == 206:
                self.part.unlink(missing_ok=True)
                raise _Broken("the server sends another part than was asked for")
            before = expected = 0
        total = whole or (before + length if length else 0)
        if expected and total and total != expected:
            self.part.unlink(missing_ok=True)
            raise _Broken("it has changed since it was begun")
        self._check(address, total, before)
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        record = {"address": address, "total": total, "version": "" if version.startswith("W/") else version}
        write_json(_record(self.part), record)
        done = before
        with open(self.part, "ab" if before else "wb") as file:
            for chunk in answer.raw.stream(_CHUNK, decode_content=False):
                done += len(chunk)
                if done > self.largest:
                    file.truncate(0)
                self._check(address, done, done)
                file.write(chunk)
                self.told(done, total)
        if total and done < total:
            raise _Broken(f"it ends after {done} of {total} bytes")

    def _check(self, address: str, total: int, before: int) -> None:
        """Refuse a file that is too long for what it may be, or for the disk."""
        if total > self.largest:
            raise InputError(
                f"{address}: is {total / 2**30:.1f} GiB long, more than the {self.largest / 2**30:.1f} GiB that it may "
                "be; it is not what was published"
            )
        free = shutil.disk_usage(self.part.parent).free
        if total - before > max(0, free - _SPARE):
            raise InputError(
                f"{self.part.parent}: {free / 2**30:.1f} GiB free, but {(total - before) / 2**30:.1f} GiB are still to "
                "come",
                remedy="free space, or name another `data_root`",
            )


def _why(error: Exception) -> str:
    """The innermost reason of a failed connection, in a few words."""
    inner: Any = error
    while isinstance(getattr(inner, "reason", None), Exception) or (
        inner.args and isinstance(inner.args[0], Exception)
    ):
        reason = getattr(inner, "reason", None)
        inner = reason if isinstance(reason, Exception) else inner.args[0]
    return " ".join(str(inner).split())[:160] or type(inner).__name__


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0


def _range(text: str | None) -> tuple[int, int]:
    """First byte and whole length of ``bytes 5-9/10``; -1 and 0 where that is not said."""
    unit, _, said = (text or "").partition(" ")
    span, _, whole = said.partition("/")
    first = span.partition("-")[0]
    if unit != "bytes" or not first.isdigit():
        return -1, 0
    return int(first), _number(whole)
