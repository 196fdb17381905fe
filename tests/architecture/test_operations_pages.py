"""The pages in docs/operations: each command, option, make target, setting, file and Kubernetes object exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import pytest
import yaml

from smp.adapters.cli.program import build_program
from smp.bootstrap.runtime import ProcessServices
from smp.bootstrap.settings import FILE_SUFFIX, VARIABLES
from tests.architecture.source import ROOT

PAGES: Final = {
    path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "operations").glob("*.md"))
}
TEXT: Final = "\n".join(PAGES.values())


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of ``smp``. In a code block it must be complete; in running text an argument may be missing."""

    arguments: list[str]
    is_complete: bool


def calls(text: str) -> Iterator[Call]:
    """Yield every call of ``smp``."""
    for language in ("sh", "ini"):
        for block in blocks(text, language):
            yield from (
                Call(arguments, is_complete=True) for line in block.splitlines() for arguments in arguments_in(line)
            )
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", prose):
        yield from (Call(arguments, is_complete=False) for arguments in arguments_in(code))


def arguments_in(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each ``smp`` in the line, also behind another program or a pipe."""
    for part in re.split(r"\||&&|[;<>]", line):
        found = re.search(r"^(?:.*[ =/])?smp (.*)$", part.strip())
        if found and not part.strip().startswith("journalctl") and "\N{HORIZONTAL ELLIPSIS}" not in found[1]:
            yield shlex.split(found[1])


def parse(arguments: list[str]) -> None:
    """Parse the arguments without running the command.

    Raises:
        click.UsageError: if the program refuses them.
    """
    program: click.Command = build_program(ProcessServices({}))
    context = program.make_context("smp", [], resilient_parsing=True)
    while isinstance(program, click.Group):
        name, *arguments = arguments or ["nothing"]
        found = program.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name}")
        program = found
        if isinstance(program, click.Group):
            context = program.make_context(name, [], parent=context, resilient_parsing=True)
    program.make_context(program.name, arguments, parent=context)


def complaints(text: str) -> list[str]:
    """Return each command that the program refuses, with the reason."""
    found = []
    for call in calls(text):
        try:
            parse(call.arguments)
        except click.UsageError as wrong:
            if call.is_complete or not isinstance(wrong, click.MissingParameter):
                found.append(f"smp {shlex.join(call.arguments)}: {wrong.format_message()}")
    return found


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder that has the backup file of the pages, because ``smp restore`` checks that it exists."""
    (tmp_path / "smp.dump").touch()
    monkeypatch.chdir(tmp_path)


def test_the_program_accepts_every_command_on_the_pages() -> None:
    assert complaints(TEXT) == []
    used = {call.arguments[0] for call in calls(TEXT)}
    assert {"serve", "migrate", "expire", "admin", "api-key", "backup", "restore", "doctor", "settings"} <= used


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nsmp nonsense\n```",
        "```sh\nsmp migrate --chekc\n```",
        "Run `smp doctor --deep`.",
        "```sh\nsmp backup - | ssh host smp restore\n```",
        "`kubectl exec deployment/smp -- smp api-key remove x`",
        "```ini\nExecStart=/opt/smp/bin/smp server\n```",
        "```sh\nsmp admin create\n```",
    ],
)
def test_a_wrong_command_is_found_in_code_and_in_text(text: str) -> None:
    assert len(complaints(text)) == 1


def test_every_setting_on_the_pages_exists() -> None:
    known = {variable.name for variable in VARIABLES}
    known |= {f"{variable.name}{FILE_SUFFIX}" for variable in VARIABLES if variable.secret}
    named = set(re.findall(r"\bSMP_[A-Z_]*[A-Z]", TEXT))
    assert len(named) > 10
    assert named <= known


def test_the_settings_in_the_systemd_unit_have_allowed_values() -> None:
    (unit,) = blocks(PAGES["install.md"], "ini")
    given = dict(
        pair.split("=", 1) for line in re.findall(r"^Environment=(.*)$", unit, re.MULTILINE) for pair in line.split()
    )
    kinds = {variable.name: variable.kind for variable in VARIABLES}
    assert len(given) > 3
    for name, value in given.items():
        if not name.endswith(FILE_SUFFIX):
            kinds[name].parse(value)


def test_systemd_waits_longer_than_the_service_may_take_to_stop() -> None:
    (unit,) = blocks(PAGES["install.md"], "ini")
    (stop_s,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    (grace_s,) = (variable.default for variable in VARIABLES if variable.name == "SMP_SHUTDOWN_GRACE_S")
    assert int(stop_s) > int(str(grace_s))


def test_every_make_target_on_the_pages_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", TEXT))
    assert named
    assert named <= targets


def test_every_file_on_the_pages_exists() -> None:
    named = re.findall(r"`((?:tests|src|docs|k8s|observability)/[\w./-]+)`", TEXT)
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_kubernetes_object_on_the_pages_is_in_the_manifests() -> None:
    made = set()
    for file in (ROOT / "k8s").rglob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if isinstance(document, dict) and "kind" in document:
                made.add((document["kind"].lower(), document.get("metadata", {}).get("name")))
    named = set(re.findall(r"\b(deployment|cronjob|job|cluster)[/ ](smp(?:-[a-z]+)*)\b", TEXT))
    assert len(named) > 2
    assert named <= made


def test_the_runbook_has_one_section_for_each_alert_with_its_severity_and_what_to_do() -> None:
    rules = yaml.safe_load((ROOT / "observability" / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    alerts = {
        rule["alert"]: rule["labels"]["severity"]
        for group in rules["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert len(alerts) > 10
    runbook = PAGES["monitoring-and-alerts.md"]
    assert dict(re.findall(r"^### (Smp[A-Za-z]+)\n\n\*(page|ticket)\* ", runbook, re.MULTILINE)) == alerts
    for section in runbook.split("\n### ")[1:]:
        assert "\n- **Look at** " in section, section
        assert "\n- **Do**" in section, section
