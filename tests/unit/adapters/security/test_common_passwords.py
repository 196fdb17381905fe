from __future__ import annotations

from pathlib import Path

import pytest

from smp.adapters.security import common_passwords
from smp.adapters.security.common_passwords import CommonPasswordList
from tests.support.builders import PASSWORD

COMMON = CommonPasswordList()


@pytest.mark.parametrize("password", ["password", "PassWord", "123456789987654321", "1QAZ2wsx3edc4rfv", "qwerty"])
def test_a_listed_password_is_common_ignoring_case(password: str) -> None:
    assert COMMON.contains(password)


@pytest.mark.parametrize(
    "password",
    ["passwordpassword", "PasswordPASSWORD", "qwertyqwertyqwerty", "1234512345123451234512345", "love" * 256],
)
def test_a_repeated_listed_password_is_common(password: str) -> None:
    """At least four characters, twice or more."""
    assert COMMON.contains(password)


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "",
        "a" * 20,
        "é" * 15,
        "abc" * 5,
        "12" * 10,
        "passwordpasswor",
        "passwordpassword!",
        "password password",
        "xqzjxqzjxqzjxqzj",
        " password",
        "\x00" * 15,
        "\ud800" * 15,
    ],
)
def test_other_passwords_are_not_common(password: str) -> None:
    """Including repetitions of something short or not listed."""
    assert not COMMON.contains(password)


def test_an_additional_list_of_passwords_is_used(tmp_path: Path) -> None:
    """One password a line, ignoring case; blanks count, empty lines do not."""
    file = tmp_path / "list.txt"
    file.write_bytes("\ufeffOur Company 2026\r\n\n  blank  \nStraße des 17. Juni\nlast line without end".encode())
    listed = CommonPasswordList(file)
    listed.load()
    for password in (
        "our company 2026",
        "Our Company 2026Our Company 2026",
        "  blank  ",
        "STRASSE DES 17. JUNI",
        "last line without end",
        "password",
    ):
        assert listed.contains(password)
    for password in ("", "blank", "our company", "\ufeffour company 2026"):
        assert not listed.contains(password)


def test_a_list_that_cannot_be_read_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    """A missing file, a folder, or no text."""
    with pytest.raises(FileNotFoundError):
        CommonPasswordList(tmp_path / "nothing").load()
    with pytest.raises(IsADirectoryError):
        CommonPasswordList(tmp_path).load()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnicodeDecodeError):
        CommonPasswordList(tmp_path / "binary").load()


def test_a_list_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common_passwords, "FILE_BYTES_MAX", 12)
    file = tmp_path / "list.txt"
    file.write_text("twelve bytes")
    assert CommonPasswordList(file).contains("twelve bytes")
    file.write_text("thirteen bytes")
    with pytest.raises(ValueError, match="larger than 12 bytes"):
        CommonPasswordList(file).load()


def test_the_list_is_read_once_on_first_use(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    listed = CommonPasswordList(file)
    file.write_text("added later")
    assert listed.contains("added later")
    file.unlink()
    assert listed.contains("added later")
