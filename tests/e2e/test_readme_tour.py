"""The tour in the README works as written, in both languages: all commands run against a real process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import ADDRESS, ADMIN_EMAIL, ADMIN_PASSWORD, ROOT, commands, run_commands
from tests.support.processes import Service, serving, short_folder


def readme(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture
def service(environ: dict[str, str], folder: Path) -> Iterator[Service]:
    """A service with an embedded PostgreSQL, as `make run` starts it."""
    settings = {"SMP_DATA_DIR": str(folder), "SMP_ADMIN_EMAIL": ADMIN_EMAIL, "SMP_ADMIN_PASSWORD": ADMIN_PASSWORD}
    with serving(environ | settings, folder) as service:
        yield service
        assert service.stop() == 0, service.log.read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing, which the tour is written for")
@pytest.mark.parametrize("name", ["README.md", "README.ru.md"])
def test_every_command_of_the_tour_does_what_the_text_says(name: str, service: Service) -> None:
    """Every role gets the responses of the tour, and `smp doctor` finds no problem."""
    with short_folder() as folder:
        done = run_commands(readme(name), service.environ, {ADDRESS: service.port}, folder)
    assert done.returncode == 0, done.stderr
    assert "problems" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0].startswith('{"id":')
    assert '"role":"admin"' in lines[0]
    assert '"feature":"seats","allowed":true,"value":5,"reason":"granted"' in done.stdout
    assert '"feature":"teleport","allowed":false,"value":null,"reason":"feature_not_in_plan"' in done.stdout
    paid = [line for line in lines if '"status":"active"' in line and '"cancel_at":null' in line]
    assert paid[0] == paid[1], "the same key gives the same answer"
    assert '"revision":2,"price":{"amount":2490' in done.stdout
    assert '"feature":"export","allowed":true' in done.stdout
    assert done.stdout.rstrip().endswith("Nothing is wrong.")


def test_both_languages_show_the_same_commands() -> None:
    assert commands(readme("README.md")) == commands(readme("README.ru.md"))
