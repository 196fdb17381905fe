"""The generated pages in ``docs/`` are up to date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smp.bootstrap.generated_docs import COMMAND, DOCUMENTS, lifecycle, render, write_documents
from smp.domain.subscription.lifecycle import TRANSITIONS, Action, Status
from tests.architecture.source import ROOT

DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_generated_page_is_what_the_code_generates(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == render(name), f"run: {COMMAND}"


def test_every_generated_page_begins_with_a_notice_and_ends_with_one_newline(tmp_path: Path) -> None:
    write_documents(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(DOCUMENTS)
    for name in DOCUMENTS:
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert COMMAND in text.splitlines()[0]
        assert text.endswith("\n")
        assert not text.endswith("\n\n")


def test_the_diagram_has_one_arrow_for_each_transition_and_each_final_status() -> None:
    arrows = re.findall(r"^    (\S+) --> (\S+?)(?::|$)", lifecycle(), re.MULTILINE)
    transitions = [
        ("[*]" if transition.source is None else transition.source.value, transition.target.value)
        for transition in TRANSITIONS
    ]
    assert arrows == [*transitions, ("expired", "[*]"), ("cancelled", "[*]")]


def test_the_tables_have_a_row_for_each_action_and_each_transition() -> None:
    text = lifecycle()
    for action in Action:
        (row,) = re.findall(rf"^\| `{action}` (\|(?: (?:refused|`\w+`) \|){{{len(Status) + 1}}})$", text, re.MULTILINE)
        allowed = [transition.target.value for transition in TRANSITIONS if transition.action is action]
        assert sorted(re.findall(r"`(\w+)`", row)) == sorted(allowed)
    for transition in TRANSITIONS:
        assert f"`{transition.event}`" in text
        assert all(guard.condition in text for guard in transition.guards)
