"""Downloading a file: a download that broke off is continued, and the length a server states is not trusted.

The file appears only when it is complete and matches its checksum, through pooch. Until then what has arrived is in
``NAME.part`` beside it, and ``NAME.part.json`` says which file it is a part of.
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
from gsmflow.files.atomic import put_in_place, write_json

Told = Callable[[int, int], None]
"""Receives how many bytes have arrived, and how many there are in all; 0 if that is not known."""

_CHUNK = 1 << 18
_TRIES = 4  # attempts in a row in which nothing new arrives
_SECONDS = 60  # without a byte, after which a connection is given up
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
    """Download a file. An existing file with the same checksum is left as it is.

    Parameters
    ----------
    address : str
        ``http://`` or ``https://``.
    to : Path
        The file to write, in a folder that exists.
    sha256 : str
        The checksum of the file, 64 hexadecimal digits; empty if it is not known.
    largest : int
        Most bytes; a longer file is refused.
    told : Told
        Called as bytes arrive.
    pause : float
        Seconds to wait before a second attempt if nothing new arrived; each further wait is twice as long.

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
    except ValueError:  # pooch raises it for another checksum
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
    """The downloader that pooch calls; it continues a partial file.

    Parameters
    ----------
    part : Path
        The partial file.
    largest : int
        Most bytes.
    told : Told
        Called as bytes arrive.
    pause : float
        Seconds to wait before another attempt if nothing new arrived.
    """

    part: Path
    largest: int
    told: Told
    pause: float
    _reason: str = field(default="", init=False)

    def __call__(self, fname: str, action: Any, pooch: Any, *, check_only: bool | None = None) -> None:
        """Download the address `fname` to the file `action`."""
        address, output_file = fname, Path(action)
        vain = best = 0  # starting over again and again is no progress
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
        put_in_place(self.part, output_file)

    def _there(self, address: str) -> int:
        """How many bytes of this file arrived before."""
        with suppress(OSError, ValueError, TypeError):
            if json.loads(_record(self.part).read_bytes())["address"] == address:
                return self.part.stat().st_size
        return 0

    def _once(self, address: str, before: int) -> None:
        """Download the rest of the file over one connection, or raise `_Broken`."""
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
        if answer.status_code == 416:  # the partial file is not a part of what the address has now
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
        """Refuse a file that is longer than allowed, or too long for the disk."""
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
    """First byte and whole length in ``bytes 5-9/10``; -1 and 0 if they are not stated."""
    unit, _, said = (text or "").partition(" ")
    span, _, whole = said.partition("/")
    first = span.partition("-")[0]
    if unit != "bytes" or not first.isdigit():
        return -1, 0
    return int(first), _number(whole)
