"""What is easy to guess in a password: repeats, neighbours in the alphabet or on a keyboard, and known names.

The functions take time that is linear in the length of the password. They ignore case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

SERVICE_WORDS: Final = ("smp", "subscription", "management", "platform")
"""The words of the service's name. They are listed in the guide to the API."""

_NAME_PART_MIN: Final = 3
"""The shortest part of an email address that counts as a name; shorter ones occur in many words."""

_NAME_MAX: Final = 320
_RUN_MIN: Final = 3
_PASSES: Final = 3
"""Passes over repeats of repeats: `aabbaabb` is `abab` after the first pass, and `ab` after the second."""

_REPEAT: Final = re.compile(r"(.{1,16}?)\1+", re.DOTALL)
_SEPARATORS: Final = re.compile(r"[\W_]+")
_NOT_LETTERS: Final = re.compile(r"[\W\d_]+")

_KEYBOARD_ROWS: Final = (
    "`1234567890-=",
    "~!@#$%^&*()_+",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "qwertzuiopü+",
    "asdfghjklöä",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "ёйцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
    "йцукенгшщзхї",
    "фівапролджє",
    ";ςερτυθιοπ",
    "ασδφγηξκλ",
    "ζχψωβνμ",
    # The columns of the first layout.
    *("1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "8ik,", "9ol.", "0p;/"),
    # The end of a row of digits, and its beginning.
    "90123",
)
_NEIGHBOURS: Final = frozenset(pair for row in _KEYBOARD_ROWS for way in (row, row[::-1]) for pair in pairwise(way))


def names_in(email: str) -> list[str]:
    """Return the names that an email address contains, the longest first: the address, and its parts."""
    folded = email.casefold()[:_NAME_MAX]
    parts = {folded, *folded.split("@"), *_SEPARATORS.split(folded)}
    return sorted((part for part in parts if len(part) >= _NAME_PART_MIN), key=len, reverse=True)


def without_patterns(password: str, names: Iterable[str]) -> tuple[str, str]:
    """Return what is left of the password without runs, names and blanks: as it is, and with its repeats made one."""
    folded = password.casefold()
    once = folded
    for _ in range(_PASSES):
        once = _REPEAT.sub(r"\1", once)
    names = list(names)
    return _remainder(folded, names), _remainder(once, names)


def cores(text: str) -> set[str]:
    """Return the words that the text may be built around: without digits and signs at its ends, or between letters."""
    folded = text.casefold()
    words = set(_NOT_LETTERS.split(folded)) - {""}
    letters = [index for index, char in enumerate(folded) if char.isalpha()] or [0]
    found = {folded, folded.strip("0123456789"), folded[letters[0] : letters[-1] + 1], _NOT_LETTERS.sub("", folded)}
    return found | words if len(words) == 1 else found


def _remainder(text: str, names: Iterable[str]) -> str:
    for name in names:
        # A control character stands for the name, so that what is around it does not become a run.
        text = text.replace(name, "\x00")
    return "".join(char for char in _without_runs(text) if char.isprintable() and not char.isspace())


def _without_runs(text: str) -> str:
    kept = []
    start = 0
    for end in range(1, len(text) + 1):
        if end < len(text) and _are_neighbours(text[end - 1], text[end]):
            continue
        if end - start < _RUN_MIN:
            kept.append(text[start:end])
        start = end
    return "".join(kept)


def _are_neighbours(one: str, other: str) -> bool:
    return one == other or abs(ord(one) - ord(other)) == 1 or (one, other) in _NEIGHBOURS
