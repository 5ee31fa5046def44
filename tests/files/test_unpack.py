"""Archives that somebody else made."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from gsmflow.base.errors import InputError
from gsmflow.files.unpack import members_of, unpack


def archive(
    path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], how: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", how) as file:
        for info, content in members:
            file.writestr(info, content)
    return path


def special(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    return info


def refused(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as error:
        members_of(path)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), error.value


def test_files_are_unpacked_by_their_last_names(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", ("a/b/c.mat", b"one"), ("a/d.txt", b"two"))
    into = tmp_path / "into"
    into.mkdir()
    unpack(path, [PurePosixPath("a/b/c.mat"), PurePosixPath("a/d.txt")], into)
    assert {each.name: each.read_bytes() for each in into.iterdir()} == {"c.mat": b"one", "d.txt": b"two"}


@pytest.mark.parametrize("name", ["../x.mat", "a/../../x.mat", "/etc/x.mat", "a\\..\\x.mat", "C:/x.mat"])
def test_a_path_outside_is_refused(tmp_path: Path, name: str) -> None:
    refused(archive(tmp_path / "x.zip", ("good.mat", b"1"), (name, b"2")), "leads outside")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    refused(archive(tmp_path / "x.zip", (special("x.mat", kind), b"/etc/passwd")), "link or device")


def sized(path: Path, size: int) -> Path:
    """The archive with another unpacked size of its first member in its directory."""
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    return path


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    refused(sized(archive(tmp_path / "x.zip", ("x.mat", bytes(1 << 20))), 2 << 30), "unpack to 2.0 GiB")


def test_a_size_that_lies_is_damage(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", ("x.mat", bytes(1000)))
    sized(path, 10)
    with pytest.raises(InputError, match="damaged"):
        unpack(path, [PurePosixPath("x.mat")], tmp_path)
    assert (tmp_path / "x.mat").stat().st_size <= 10


def test_a_bit_that_turned_over_is_damage(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", ("x.mat", b"abcdefgh"), how=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"abcdefgh", b"abcdefgi"))
    with pytest.raises(InputError, match="damaged"):
        unpack(path, [PurePosixPath("x.mat")], tmp_path)


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"<!DOCTYPE html><html>not found</html>")
    refused(tmp_path / "x.zip", "a web page")
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 and no end")
    refused(tmp_path / "x.zip", "not a readable zip archive")
    refused(tmp_path / "none.zip", "no such file")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_path_twice_is_refused(tmp_path: Path) -> None:
    refused(archive(tmp_path / "x.zip", ("x.mat", b"1"), ("x.mat", b"2")), "twice")
