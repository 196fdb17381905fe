"""Decisions: each is one page in the same form, with its date, its status, and what enforces it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.source import ROOT

LINES_MAX: Final = 90
HEADINGS: Final = ["Context", "Decision", "Alternatives considered", "Consequences", "Enforced by"]
DECISIONS: Final = sorted((ROOT / "docs" / "adr").glob("*.md"))
STATUS: Final = re.compile(r"^Status: accepted, 20\d\d-\d\d-\d\d\.( |$)", re.MULTILINE)


def complaints(name: str, text: str) -> list[str]:
    """Return what is wrong with a decision that has this file name and text."""
    found = []
    match = re.fullmatch(r"(\d{4})-[a-z0-9]+(-[a-z0-9]+)*\.md", name)
    if match is None:
        return ["is not named NNNN-words.md"]
    if not text.startswith(f"# {int(match[1])}. "):
        found.append("does not begin with its number")
    if not STATUS.search(text.partition("\n## ")[0]):
        found.append("has no line `Status: accepted, YYYY-MM-DD.` below its title")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    if headings != HEADINGS:
        found.append(f"has the headings {headings} instead of {HEADINGS}")
    if len(text.splitlines()) > LINES_MAX:
        found.append(f"has more than {LINES_MAX} lines")
    enforced = text.partition("## Enforced by")[2]
    if not re.search(r"`(tests|src|migrations|pyproject\.toml)", enforced):
        found.append("names nothing that enforces it")
    paths = re.findall(r"`((?:src|tests|docs|migrations)/[\w/.-]+)`", text)
    found += [f"names {path}, which does not exist" for path in paths if not (ROOT / path).exists()]
    return found


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_status_date_alternatives_and_what_enforces_it(path: Path) -> None:
    assert complaints(path.name, path.read_text(encoding="utf-8")) == []


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_each_fault_of_a_decision_is_found() -> None:
    assert complaints("one.md", "") == ["is not named NNNN-words.md"]
    found = complaints("0007-words.md", "# 8. Words\n## Context\n`tests/nowhere.py`\n" + "\n" * LINES_MAX)
    assert len(found) == 6
