"""The kinds of values that a variable may have: how each is described, and how its text is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from smp.adapters.postgres.urls import server_urls
from smp.domain.errors import ValidationError
from smp.domain.user.user import Email


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: what is expected, in Markdown, and the parser of a variable's text.

    ``parse`` raises ValueError or KeyError for any other text; the message of a ValueError, if it has one, is shown
    after what is expected.
    """

    expected: str
    parse: Callable[[str], Any]

    @property
    def expected_text(self) -> str:
        """What is expected, without Markdown."""
        return self.expected.replace("`", "")


def integer(low: int, high: int, unit: str = "") -> Kind:
    """A whole number between two limits, both allowed."""

    def parse(text: str) -> int:
        # Digits only: int() would accept "1_000", "+5" and the digits of other scripts.
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return Kind(f"a whole number{unit} from {low} to {high}", parse)


def seconds(low: int, high: int) -> Kind:
    """A whole number of seconds."""
    return integer(low, high, " of seconds")


def choice(choices: type[StrEnum]) -> Kind:
    """One of the members of an enumeration."""
    return Kind(" or ".join(f"`{each}`" for each in choices), choices)


def _file_path(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def _folder_path(text: str) -> Path:
    path = Path(text).expanduser()
    if "\x00" in text or (path.exists() and not path.is_dir()):
        raise ValueError("it is not a folder")
    return path


def _host(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z.:_%-]{1,253}", text):
        raise ValueError
    return text


def _email(text: str) -> str:
    try:
        return Email(text).text
    except ValidationError:
        raise ValueError from None


def _database_url(text: str) -> str:
    if text.partition("://")[0] not in {"postgresql", "postgres"}:
        # The text is not shown: it may be a password that was pasted into the wrong variable.
        raise ValueError("it must begin with postgresql://, without the name of a driver")
    try:
        servers = [urlsplit(url) for url in server_urls(text)]
        _ = [server.port for server in servers]  # the property raises ValueError for a port that is not a number
    except ValueError:
        raise ValueError("its port or its brackets are wrong; write @ : / in a password as %40 %3A %2F") from None
    if not servers[0].path.strip("/"):
        raise ValueError("it has no database name; add /NAME at its end")
    return text


def _public_url(text: str) -> str:
    if not re.fullmatch(r"https?://[0-9A-Za-z.:\[\]-]+(?:/[0-9A-Za-z._~-]+)*/?", text):
        raise ValueError
    _ = urlsplit(text).port  # the property raises ValueError for a port that is not a number
    return text.rstrip("/")


SWITCH: Final = Kind(
    "`1`, `true`, `0` or `false`", lambda text: {"1": True, "true": True, "0": False, "false": False}[text]
)
PORT: Final = integer(1, 65_535)
HOST: Final = Kind("an address or a name of this machine", _host)
EMAIL: Final = Kind("an email address", _email)
PASSWORD: Final = Kind("a password", str)
FILE: Final = Kind("the path of a text file", _file_path)
FOLDER: Final = Kind("a folder that exists or can be created", _folder_path)
PUBLIC_URL: Final = Kind("a URL like `https://example.com` or `https://example.com/billing`", _public_url)
DATABASE_URL: Final = Kind("a URL like `postgresql://user:password@host:5432/name`", _database_url)
