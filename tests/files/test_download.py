"""Downloads from a server that breaks off, lies about lengths, and changes its mind."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pooch")

from gsmflow.base.errors import InputError
from gsmflow.files import download as module
from gsmflow.files.download import download
from support.unreliable import Unreliable, serving

CONTENT = np.random.default_rng(0).bytes(1_000_003)
DIGITS = hashlib.sha256(CONTENT).hexdigest()
LARGEST = 2_000_000


def bring(manner: Unreliable, to: Path, sha256: str = "") -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    with serving(manner) as address:
        download(address, to, sha256=sha256, largest=LARGEST, told=lambda *now: told.append(now), pause=0)
    return told


def refused(manner: Unreliable, to: Path, *words: str, sha256: str = "") -> None:
    with pytest.raises(InputError) as error:
        bring(manner, to, sha256)
    said = str(error.value)
    assert "\n" not in said
    assert all(word in said for word in words), said
    assert not to.exists()


def test_a_file_arrives_and_nothing_else_stays(tmp_path: Path) -> None:
    told = bring(Unreliable(CONTENT), tmp_path / "x.zip", DIGITS)
    assert (tmp_path / "x.zip").read_bytes() == CONTENT
    assert [each.name for each in tmp_path.iterdir()] == ["x.zip"]
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_a_download_that_breaks_off_is_continued_where_it_ended(tmp_path: Path) -> None:
    manner = Unreliable(CONTENT, breaks_after=300_000)
    bring(manner, tmp_path / "x.zip", DIGITS)
    assert (tmp_path / "x.zip").read_bytes() == CONTENT
    assert manner.asked == ["", "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_the_next_command_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manner = Unreliable(CONTENT, breaks_after=400_000)
    with serving(manner) as address:

        def interrupt(done: int, total: int) -> None:
            if done >= 400_000:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            download(address, tmp_path / "x.zip", largest=LARGEST, told=interrupt)
        assert not (tmp_path / "x.zip").exists()
        begun = (tmp_path / "x.zip.part").stat().st_size
        download(address, tmp_path / "x.zip", sha256=DIGITS, largest=LARGEST)
    assert begun > 100_000
    assert manner.asked[:2] == ["", f"bytes={begun}-"]
    assert [each.name for each in tmp_path.iterdir()] == ["x.zip"]


def test_a_file_that_changed_meanwhile_is_not_mixed_with_the_old_one(tmp_path: Path) -> None:
    other = CONTENT[::-1]
    manner = Unreliable(other, headers={"ETag": '"2"'})
    with serving(manner) as address:
        (tmp_path / "x.zip.part").write_bytes(CONTENT[:1000])
        (tmp_path / "x.zip.part.json").write_text(
            f'{{"address": "{address}", "total": {len(other)}, "version": "\\"1\\""}}'
        )
        download(address, tmp_path / "x.zip", largest=LARGEST)
    assert manner.asked == ["bytes=1000-"]
    assert (tmp_path / "x.zip").read_bytes() == other


@pytest.mark.parametrize("lie", ["ignores_ranges", "wrong_part"])
def test_a_server_that_sends_another_part_spoils_nothing(tmp_path: Path, lie: str) -> None:
    manner = Unreliable(CONTENT, breaks_after=600_000, **{lie: True})
    if lie == "ignores_ranges":  # then there is no end to it
        refused(manner, tmp_path / "x.zip", "cannot be brought")
        manner.breaks_after = 0
    else:
        manner.content, manner.breaks_after = CONTENT[:500_000], 0
    bring(manner, tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == manner.content


def test_a_part_of_another_address_is_not_continued(tmp_path: Path) -> None:
    (tmp_path / "x.zip.part").write_bytes(b"other")
    (tmp_path / "x.zip.part.json").write_text(
        '{"address": "http://127.0.0.1:1/x", "total": 9, "version": ""}'
    )
    manner = Unreliable(CONTENT)
    bring(manner, tmp_path / "x.zip", DIGITS)
    assert manner.asked == [""]


def test_a_length_that_is_too_great_is_no_file(tmp_path: Path) -> None:
    refused(Unreliable(CONTENT, claims=len(CONTENT) + 5), tmp_path / "x.zip", "cannot be brought")


def test_a_length_that_is_too_small_does_not_pass_the_checksum(tmp_path: Path) -> None:
    refused(Unreliable(CONTENT, claims=len(CONTENT) - 5), tmp_path / "x.zip", "SHA-256", sha256=DIGITS)


def test_a_length_beyond_what_may_be_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    refused(Unreliable(CONTENT, claims=1 << 40), tmp_path / "x.zip", "1024.0 GiB")
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_length_that_does_not_end_is_refused(tmp_path: Path) -> None:
    refused(Unreliable(CONTENT * 3, claims=-1), tmp_path / "x.zip", "long, more than")


def test_a_disk_that_is_too_small_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SPARE", 1 << 60)
    refused(Unreliable(CONTENT), tmp_path / "x.zip", "free", "still to come")


def test_another_checksum_is_refused_and_the_file_removed(tmp_path: Path) -> None:
    refused(Unreliable(CONTENT), tmp_path / "x.zip", "SHA-256", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_brought_again(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(CONTENT)
    manner = Unreliable(b"other")
    bring(manner, tmp_path / "x.zip", DIGITS)
    bring(manner, tmp_path / "x.zip")
    assert manner.asked == []


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (500, 4), (503, 4)])
def test_what_the_server_refuses_is_told(tmp_path: Path, status: int, tries: int) -> None:
    manner = Unreliable(CONTENT, status=status)
    refused(manner, tmp_path / "x.zip", str(status))
    assert len(manner.asked) == tries


def test_packed_once_more_is_refused(tmp_path: Path) -> None:
    refused(Unreliable(CONTENT, headers={"Content-Encoding": "gzip"}), tmp_path / "x.zip", "gzip")


def test_no_server_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be brought"):
        download("http://127.0.0.1:9/x.zip", tmp_path / "x.zip", largest=LARGEST, pause=0)
