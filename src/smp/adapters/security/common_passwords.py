"""Passwords that are tried first."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from smp.application.ports.common_passwords import CommonPasswords

FILE_BYTES_MAX: Final = 64 * 2**20
"""The largest list of one's own: held in memory it is several times that."""

REPEATED_LENGTH_MIN: Final = 4
"""Characters in the shortest listed password whose repetition is as common as itself."""


class CommonPasswordList(CommonPasswords):
    """The 30,000 most frequent passwords (of zxcvbn), and those of a file, without regard to case.

    A listed password of at least four characters that is merely repeated (``passwordpassword``) is common, too.
    The lists are read at first use, or by :meth:`load`.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._listed: frozenset[str] | None = None

    def load(self) -> None:
        """Read the lists now, so that a bad file is found at start.

        Raises:
            OSError: where the file cannot be read.
            ValueError: where it is not UTF-8 text or larger than ``FILE_BYTES_MAX``.
        """
        self._passwords()

    def contains(self, password: str) -> bool:
        """Whether the password, or what it repeats, is listed."""
        listed = self._passwords()
        folded = password.casefold()
        unit = folded[: _unit_length(folded)]
        return folded in listed or (len(unit) >= REPEATED_LENGTH_MIN and unit in listed)

    def _passwords(self) -> frozenset[str]:
        if self._listed is None:
            self._listed = frozenset(password.casefold() for password in self._read())
        return self._listed

    def _read(self) -> Iterator[str]:
        # Imported here because the module is one literal of 90,000 words: 0.15 s and 15 MiB for those who need it.
        yield from import_module("zxcvbn.frequency_lists").FREQUENCY_LISTS["passwords"]
        if self._file is None:
            return
        if self._file.stat().st_size > FILE_BYTES_MAX:
            raise ValueError(f"{self._file}: larger than {FILE_BYTES_MAX} bytes")
        with self._file.open(encoding="utf-8-sig") as lines:
            yield from (line.rstrip("\n") for line in lines if line != "\n")


def _unit_length(text: str) -> int:
    """The length of the smallest unit that, repeated, makes ``text``: its own length where nothing repeats."""
    # A text is a rotation of itself only by multiples of its smallest unit.
    return (text + text).find(text, 1)
