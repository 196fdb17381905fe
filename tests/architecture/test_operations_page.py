"""What docs/operations.md tells people to type exists: commands, options, make targets, settings, objects, sections."""

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

PAGE: Final = ROOT / "docs" / "operations.md"
TEXT: Final = PAGE.read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The page's blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Call:
    """``smp`` with these arguments; in a block it can be copied as it stands, in a line of text it may be a mention."""

    arguments: list[str]
    is_whole: bool


def calls(text: str) -> Iterator[Call]:
    """Every call of ``smp`` on the page."""
    for language in ("sh", "ini"):
        for block in blocks(text, language):
            yield from (
                Call(arguments, is_whole=True) for line in block.splitlines() for arguments in arguments_in(line)
            )
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", prose):
        yield from (Call(arguments, is_whole=False) for arguments in arguments_in(code))


def arguments_in(line: str) -> Iterator[list[str]]:
    """What follows the program's name, be it run by another one or at the end of a pipe."""
    for part in re.split(r"\||&&|[;<>]", line):
        found = re.search(r"^(?:.*[ =/])?smp (.*)$", part.strip())
        if found and not part.strip().startswith("journalctl") and "\N{HORIZONTAL ELLIPSIS}" not in found[1]:
            yield shlex.split(found[1])


def parse(arguments: list[str]) -> None:
    """Let the program understand the arguments, without doing anything. Raises click.UsageError."""
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
    """Each command on the page that the program would not understand, and why."""
    found = []
    for call in calls(text):
        try:
            parse(call.arguments)
        except click.UsageError as wrong:
            if call.is_whole or not isinstance(wrong, click.MissingParameter):
                found.append(f"smp {shlex.join(call.arguments)}: {wrong.format_message()}")
    return found


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the file that ``smp restore`` is given on the page."""
    (tmp_path / "smp.dump").touch()
    monkeypatch.chdir(tmp_path)


def test_every_command_on_the_page_is_understood() -> None:
    """A renamed option is found here, and not in the night in which somebody needs the page."""
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
def test_a_wrong_command_is_found(text: str) -> None:
    """Wherever it stands."""
    assert len(complaints(text)) == 1


def test_every_setting_on_the_page_is_one() -> None:
    """And the values in the systemd unit are taken."""
    known = {variable.name for variable in VARIABLES}
    known |= {f"{variable.name}{FILE_SUFFIX}" for variable in VARIABLES if variable.secret}
    named = set(re.findall(r"\bSMP_[A-Z_]*[A-Z]", TEXT))
    assert len(named) > 10
    assert named <= known


def test_the_unit_sets_what_can_be_set() -> None:
    """Each value is one that the setting takes."""
    (unit,) = blocks(TEXT, "ini")
    given = dict(
        pair.split("=", 1) for line in re.findall(r"^Environment=(.*)$", unit, re.MULTILINE) for pair in line.split()
    )
    kinds = {variable.name: variable.kind for variable in VARIABLES}
    assert len(given) > 3
    for name, value in given.items():
        if not name.endswith(FILE_SUFFIX):
            kinds[name].parse(value)
    stop_s, grace_s = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE), 25
    assert stop_s
    assert int(stop_s[1]) > grace_s


def test_every_make_target_on_the_page_exists() -> None:
    """In the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", TEXT))
    assert named
    assert named <= targets


def test_every_test_and_file_of_ours_on_the_page_exists() -> None:
    """What it refers to can be read."""
    named = re.findall(r"`((?:tests|src|docs|k8s|observability)/[\w./-]+)`", TEXT)
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_object_of_kubernetes_on_the_page_exists() -> None:
    """In the manifests, by its kind and name."""
    made = set()
    for file in (ROOT / "k8s").rglob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if isinstance(document, dict) and "kind" in document:
                made.add((document["kind"].lower(), document.get("metadata", {}).get("name")))
    named = set(re.findall(r"\b(deployment|cronjob|job|cluster)[/ ](smp(?:-[a-z]+)*)\b", TEXT))
    assert len(named) > 2
    assert named <= made


def test_the_page_says_what_to_do_about_every_alert_and_about_no_other() -> None:
    """Under its name, with who is told."""
    rules = yaml.safe_load((ROOT / "observability" / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    alerts = {
        rule["alert"]: rule["labels"]["severity"]
        for group in rules["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    told = dict(re.findall(r"^### (Smp[A-Za-z]+)\n\n\*(page|ticket)\* ", TEXT, re.MULTILINE))
    assert len(alerts) > 10
    assert told == alerts
