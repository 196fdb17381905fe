"""Decisions are one page each, in one form, and name what enforces them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

LINES_MAX = 90
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))


def complaints(name: str, text: str) -> list[str]:
    """What is wrong with the decision of this file name and text."""
    found = []
    match = re.fullmatch(r"(\d{4})-[a-z0-9]+(-[a-z0-9]+)*\.md", name)
    if match is None:
        return ["is not named NNNN-words.md"]
    if not text.startswith(f"# {int(match[1])}. "):
        found.append("does not begin with its number")
    headings = [name for name in re.findall(r"^## (.*)$", text, re.MULTILINE) if name != "Alternatives considered"]
    if headings != ["Context", "Decision", "Consequences", "Enforced by"]:
        found.append(f"has the headings {headings}")
    if len(text.splitlines()) > LINES_MAX:
        found.append("is longer than a page")
    enforced = text.partition("## Enforced by")[2]
    if not re.search(r"`(tests|src|migrations|pyproject\.toml)", enforced):
        found.append("names nothing that enforces it")
    paths = re.findall(r"`((?:src|tests|docs|migrations)/[\w/.-]+)`", text)
    found += [f"names {path}, which is not there" for path in paths if not (ROOT / path).exists()]
    return found


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_the_form(path: Path) -> None:
    """Context, decision, alternatives if any, consequences, and what in the repository enforces it."""
    assert complaints(path.name, path.read_text(encoding="utf-8")) == []


def test_decisions_are_numbered_without_a_gap() -> None:
    """So that a number names one."""
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_a_decision_without_the_form_is_found() -> None:
    """The rules can fail, each of them."""
    assert complaints("one.md", "") == ["is not named NNNN-words.md"]
    found = complaints("0007-words.md", "# 8. Words\n## Context\n`tests/nowhere.py`\n" + "\n" * LINES_MAX)
    assert len(found) == 5
