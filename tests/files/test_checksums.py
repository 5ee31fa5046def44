"""Lists of checksums in the forms that programs write them, compared or said not to be understood."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gsmflow.base.errors import InputError
from gsmflow.files.checksums import LISTS, check, digest_of
from support.folders import table

FORMS = {
    "sha256sum": "{digits}  {name}\n",
    "sha256sum --binary": "{digits} *{name}\n",
    "of ./*": "{digits}  ./{name}\n",
    "of .\\*": "{digits}  .\\{name}\r\n",
    "upper-case digits": "{DIGITS}  {name}\n",
    "sha256sum --tag": "SHA256 ({name}) = {digits}\n",
    "openssl": "SHA2-256({name})= {digits}\n",
    "a tab": "{digits}\t{name}\n",
    "with comments": "# of the first of May\n\n{digits}  {name}\n\n",
    "others first": "{other}  absent.csv\n{digits}  {name}\n",
    "MD5": "{md5}  {name}\n",
    "MD5 and SHA-512, tagged": "MD5 ({name}) = {md5}\nSHA512 ({name}) = {sha512}\n",
}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be")


def listed(form: str, file: Path) -> str:
    content = file.read_bytes()
    digits = hashlib.sha256(content).hexdigest()
    return form.format(
        name=file.name,
        digits=digits,
        DIGITS=digits.upper(),
        other="0" * 64,
        md5=hashlib.md5(content).hexdigest(),
        sha512=hashlib.sha512(content).hexdigest(),
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_compared(form: str, encoding: str, tmp_path: Path) -> None:
    table(tmp_path / "data")
    file = tmp_path / "data" / "features.csv"
    text = listed(FORMS[form], file)
    text = f"\ufeff{text}" if encoding == "utf-16-be" else text
    (file.parent / "checksums.txt").write_bytes(text.encode(encoding))
    assert check(file) == file
    file.write_bytes(file.read_bytes().replace(b"0.1", b"0.2", 1))
    with pytest.raises(InputError, match=r"features\.csv: does not match its checksum in checksums\.txt"):
        check(file)


@pytest.mark.parametrize("name", LISTS)
def test_every_name_that_counts(name: str, tmp_path: Path) -> None:
    file = tmp_path / "features.csv"
    file.write_bytes(b"1,2\n")
    (tmp_path / name).write_text(listed(FORMS["sha256sum"], file))
    check(file)
    file.write_bytes(b"1,3\n")
    with pytest.raises(InputError, match=f"does not match its checksum in {name}"):
        check(file)


@pytest.mark.parametrize(
    "name", ["lo\u0308we.csv", "l\u00f6we.csv", "with  spaces.csv", "brackets [v2].csv", "(1).csv"]
)
def test_names_of_all_kinds(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(b"1,2\n")
    for form in ("sha256sum", "sha256sum --tag"):
        text = listed(FORMS[form], file)
        for written in {text, text.replace("o\u0308", "\u00f6")}:  # as another system writes the same name
            (tmp_path / "checksums.txt").write_text(written, encoding="utf-8")
            check(file)
            (tmp_path / "checksums.txt").write_text(
                written.replace(digest_of(file), "0" * 64), encoding="utf-8"
            )
            with pytest.raises(InputError, match="does not match"):
                check(file)


def test_a_name_with_a_line_break_as_sha256sum_escapes_it(tmp_path: Path) -> None:
    file = tmp_path / "odd\nname.csv"
    file.write_bytes(b"1,2\n")
    (tmp_path / "checksums.txt").write_text(f"\\{digest_of(file)}  odd\\nname.csv\n")
    check(file)
    file.write_bytes(b"1,3\n")
    with pytest.raises(InputError, match="does not match"):
        check(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"the data of May\n",
            r"checksums\.txt: line 1 is no checksum \('the data of May'\); expected '<64 hex",
        ),
        (b"abc123  features.csv\n", "line 1 is no checksum"),
        (b"\n\n", "lists no checksum"),
        (b"\xff\xfe\x00", "is not UTF-8 or UTF-16"),
        (b"caf\xe9\n", "is not UTF-8 or UTF-16"),
        (
            b"0" * 64 + b"  FLO/features.csv\n",
            r"names no file that is in its folder \(the first is 'FLO/features\.csv'\)",
        ),
    ],
)
def test_what_is_no_list_is_said_so(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "features.csv"
    file.write_bytes(b"1,2\n")
    (tmp_path / "checksums.txt").write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        check(file)
    assert "\n" not in str(refused.value)


def test_a_list_that_changed_is_read_again(tmp_path: Path) -> None:
    file, place = tmp_path / "features.csv", tmp_path / "checksums.txt"
    file.write_bytes(b"1,2\n")
    place.write_text(listed(FORMS["sha256sum"], file))
    check(file)
    place.write_text("0" * 63 + "1  features.csv\n# another size\n")
    with pytest.raises(InputError, match="does not match"):
        check(file)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_list_cut_anywhere_is_read_or_refused_and_never_calls_the_data_damaged(
    encoding: str, tmp_path: Path
) -> None:
    file = tmp_path / "features.csv"
    file.write_bytes(b"1,2\n")
    content = "".join(listed(FORMS[form], file) for form in ("sha256sum", "sha256sum --tag")).encode(encoding)
    for end in range(0, len(content), max(1, len(content) // 50)):
        (tmp_path / "checksums.txt").write_bytes(content[:end])
        try:
            check(file)
        except InputError as error:
            assert str(error).startswith(f"{tmp_path / 'checksums.txt'}: ")  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    """Longer than the system allows, as in a list that was damaged: refused in one line."""
    (tmp_path / "features.csv").write_text("x")
    (tmp_path / "checksums.txt").write_text(f"{'0' * 64}  {'n' * 5000}\n")
    with pytest.raises(InputError, match="names no file that is in its folder"):
        check(tmp_path / "features.csv")
