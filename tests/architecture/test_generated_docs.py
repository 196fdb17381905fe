"""What is drawn from the code is what stands in ``docs/``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smp.bootstrap.generated_docs import COMMAND, DOCUMENTS, lifecycle, render, write_documents
from smp.domain.subscription.lifecycle import TRANSITIONS, Action, Status
from tests.architecture.source import ROOT

DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_is_what_the_code_draws(name: str) -> None:
    """Else somebody changed one and not the other."""
    assert (DOCS / name).read_text(encoding="utf-8") == render(name), f"run: {COMMAND}"


def test_every_document_is_written(tmp_path: Path) -> None:
    """Each whole, with the notice that it is generated, and ending in one newline."""
    write_documents(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(DOCUMENTS)
    for name in DOCUMENTS:
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert COMMAND in text.splitlines()[0]
        assert text.endswith("\n")
        assert not text.endswith("\n\n")


def test_the_diagram_has_every_move_and_no_other() -> None:
    """One arrow for each row of the table, and one out of each final status."""
    arrows = re.findall(r"^    (\S+) --> (\S+?)(?::|$)", lifecycle(), re.MULTILINE)
    moves = [("[*]" if move.source is None else move.source.value, move.target.value) for move in TRANSITIONS]
    assert arrows == [*moves, ("expired", "[*]"), ("cancelled", "[*]")]


def test_the_tables_have_every_cell() -> None:
    """A row for each action with a column for each status, and a row for each move with its event."""
    text = lifecycle()
    for action in Action:
        (row,) = re.findall(rf"^\| `{action}` (\|(?: (?:refused|`\w+`) \|){{{len(Status) + 1}}})$", text, re.MULTILINE)
        legal = [move.target.value for move in TRANSITIONS if move.action is action]
        assert sorted(re.findall(r"`(\w+)`", row)) == sorted(legal)
    for move in TRANSITIONS:
        assert f"`{move.event}`" in text
        assert all(guard.condition in text for guard in move.guards)
