"""The prose of source, documents and messages: some words are avoided because readers stumble over them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import pytest

from tests.architecture.source import ROOT

FILES: Final = sorted(
    path
    for pattern in ("src/**/*.py", "src/**/*.md", "migrations/**/*.py", "docs/**/*.md", "*.md", "Makefile")
    for path in ROOT.glob(pattern)
    if path.is_file()
)

WORDS: Final = (
    "told",
    "tells",
    "hears",
    "whoever",
    "nobody",
    "anew",
    "meanwhile",
    "mend",
    "mends",
    "mended",
    "dealt out",
    "of ours",
    "of its own",
    "is content",
    "looked at now and then",
)
# In names too: `_told` is the word "told".
AVOIDED: Final = re.compile(
    "(?<![a-z])(?:" + "|".join(word.replace(" ", r"\s+") for word in WORDS) + ")(?![a-z])", re.IGNORECASE
)

EXCEPTIONS: Final[Mapping[str, str]] = {}
"""Lines in which an avoided word is right, each with the reason."""


def avoided_words(text: str) -> list[str]:
    """The avoided words in ``text``; lines of :data:`EXCEPTIONS` are not read."""
    lines = (line for line in text.splitlines() if line.strip() not in EXCEPTIONS)
    return [" ".join(word.split()) for word in AVOIDED.findall("\n".join(lines))]


def test_the_prose_has_no_avoided_words() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): words
        for path in FILES
        if (words := avoided_words(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_every_exception_is_a_line_of_a_file() -> None:
    """An exception whose line is gone has no use."""
    lines = {line.strip() for path in FILES for line in path.read_text(encoding="utf-8").splitlines()}
    assert set(EXCEPTIONS) - lines == set()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the caller is told so", ["told"]),
        ("Nobody reads it", ["Nobody"]),
        ("def _told(self):", ["told"]),
        ("a thread of\n    its own", ["of its own"]),
        ("the house stands, amended; of course", []),
    ],
)
def test_an_avoided_word_is_found(text: str, words: list[str]) -> None:
    """Regardless of case, in names, and across the end of a line."""
    assert avoided_words(text) == words
