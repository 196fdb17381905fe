"""The guides work as written: their commands run against a real process and print what the pages show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.examples import program
from tests.support.pages import ADDRESS, ADMIN_EMAIL, ADMIN_PASSWORD, DOCS, missing_output, run_commands, shown_output
from tests.support.processes import Service, serving

GUIDES = ["api-guide.md", "gating.md", "bring-your-own-users.md"]


@pytest.fixture
def service(environ: dict[str, str], database_url: str, folder: Path) -> Iterator[Service]:
    settings = {"SMP_DATABASE_URL": database_url, "SMP_ADMIN_EMAIL": ADMIN_EMAIL, "SMP_ADMIN_PASSWORD": ADMIN_PASSWORD}
    with serving(environ | settings, folder) as service:
        yield service


@pytest.mark.parametrize("name", GUIDES)
def test_every_command_of_a_guide_prints_what_the_page_shows(name: str, service: Service, folder: Path) -> None:
    program("curl")
    page = (DOCS / name).read_text(encoding="utf-8")
    done = run_commands(page, service.environ, {ADDRESS: service.port}, folder)
    assert done.returncode == 0, done.stderr
    assert missing_output(page, done.stdout) == [], done.stdout


def test_output_that_is_missing_or_in_another_order_is_found() -> None:
    page = '```json\n{"a":…}\nb\n```\n'
    assert [pattern.pattern for pattern in shown_output(page)] == [r'\{"a":.*\}', "b"]
    assert missing_output(page, '{"a":1}\nb\n') == []
    assert missing_output(page, 'b\n{"a":1}\n') == ["b"]
    assert missing_output(page, "b\n") == [r'\{"a":.*\}']
