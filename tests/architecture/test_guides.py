"""The guides agree with the code and with each other: the index, the glossary, the limits and the included files."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from smp.application.attempt_limits import AttemptLimit, WindowLimit
from smp.domain.access import Reason
from smp.domain.events import ActorType
from smp.domain.subscription.lifecycle import Status
from smp.domain.user.user import Role
from tests.support.pages import DOCS, ROOT, included_files, with_included_files

INDEX: Final = "index.md"
PAGES: Final = sorted(path for path in DOCS.rglob("*.md") if path.name != INDEX)
NOT_SHOWN: Final = {"__pycache__", "dist", "node_modules"}
EXAMPLES: Final = sorted(
    path
    for path in (ROOT / "examples").rglob("*")
    if path.is_file() and path.name != "package-lock.json" and not NOT_SHOWN.intersection(path.parts)
)
LIMIT: Final = re.compile(r"^\| [^|]+ \| ([0-9,]+) ?(\w*)[^|]* \| `(smp\.[\w.]+)\.(\w+)` \|$", re.MULTILINE)
UNITS: Final = {"hours": timedelta(hours=1)}


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_the_index_links_to_every_page(page: Path) -> None:
    assert f"]({page.relative_to(DOCS).as_posix()})" in text_of(INDEX), f"add a line to docs/{INDEX}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_a_page_shows_the_files_of_the_examples_word_for_word(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert with_included_files(text) == text, "run: make docs"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_of_the_examples_is_shown_in_a_page(path: Path) -> None:
    shown = {name for page in PAGES for name, _ in included_files(page.read_text(encoding="utf-8"))}
    assert path.relative_to(ROOT).as_posix() in shown


@pytest.mark.parametrize("words", [Status, Reason, ActorType, Role], ids=lambda words: words.__name__)
def test_the_glossary_explains_every_value_that_callers_see(words: type[StrEnum]) -> None:
    text = text_of("glossary.md")
    assert [word.value for word in words if f"`{word.value}`" not in text] == []


def test_the_terms_of_each_part_of_the_glossary_are_in_alphabetical_order() -> None:
    for part in text_of("glossary.md").split("\n## ")[1:]:
        terms: list[str] = re.findall(r"^\| ([^|]+) \|", part, re.MULTILINE)[2:]
        assert terms == sorted(terms, key=str.casefold)


def test_the_limits_in_the_faq_are_those_of_the_code() -> None:
    rows = LIMIT.findall(text_of("faq.md"))
    assert len(rows) > 20
    for number, unit, module, name in rows:
        assert limit_in_code(module, name, unit) == int(number.replace(",", "")), f"docs/faq.md: {module}.{name}"


def limit_in_code(module: str, name: str, unit: str) -> object:
    """Return the limit with this name, in the unit of the page; ``None`` where the code has no such name."""
    value = getattr(import_module(module), name, None)
    if isinstance(value, AttemptLimit):
        return value.burst
    if isinstance(value, WindowLimit):
        return value.most
    if isinstance(value, timedelta):
        return value / UNITS[unit]
    return longest(value) if isinstance(value, str) else value


def longest(pattern: str) -> int:
    """Return how many characters a pattern such as `[a-z][a-z0-9]{0,62}` allows."""
    match = re.fullmatch(r"\[[^]]+\]\[[^]]+\]\{0,(\d+)\}", pattern)
    assert match is not None, pattern
    return 1 + int(match[1])
