"""What Dockerfile and .dockerignore say; what the image made of them does is in image_checks.py."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from smp import __version__
from smp.adapters.http.health import live
from smp.bootstrap.settings import VARIABLES, Environment, load_settings

ROOT: Final = Path(__file__).parents[2]
DEFAULTS: Final = {variable.name: variable.default for variable in VARIABLES}
PROGRAMS: Final = ("sh", "cat", "cut", "dirname", "id", "mktemp", "rm", "sed")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the build: what it begins with, and its other instructions, a line each."""

    base: str
    name: str
    instructions: Sequence[str]

    def all_of(self, kind: str) -> list[str]:
        """What the instructions of this kind say."""
        return [line.partition(" ")[2] for line in self.instructions if line.startswith(f"{kind} ")]

    def only(self, kind: str) -> str:
        """What the one instruction of this kind says."""
        (said,) = self.all_of(kind)
        return said


def stages() -> list[Stage]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^\s*#.*\n", "", text)
    lines = [re.sub(r"\s+", " ", line) for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip()]
    found: list[Stage] = []
    for line in lines:
        if line.startswith("FROM "):
            base, _, name = line.removeprefix("FROM ").partition(" AS ")
            found.append(Stage(base, name, []))
        else:
            found[-1] = Stage(found[-1].base, found[-1].name, [*found[-1].instructions, line])
    return found


@pytest.fixture(scope="module")
def final() -> Stage:
    """The stage that the image is."""
    return stages()[-1]


def installs() -> list[str]:
    """Every single command that installs packages."""
    runs = [run for stage in stages() for run in stage.all_of("RUN")]
    return [command for run in runs for command in run.split("&&") if re.search(r"pip\b.* install ", command)]


def test_the_base_is_one_image_for_ever() -> None:
    """By its whole version and its digest, at one place, in letters that Dependabot reads."""
    first, *others = stages()
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", first.base)
    known = {first.name}
    for stage in others:
        assert stage.base in known
        known.add(stage.name)


def test_the_base_has_a_python_that_is_tested() -> None:
    """The series is one that the package says it is for."""
    series = stages()[0].base.removeprefix("python:").rpartition(".")[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"Programming Language :: Python :: {series}" in project["classifiers"]


def test_nothing_is_installed_but_by_its_hash() -> None:
    """Or it has been made here, of what was; nothing brings along what no lock names."""
    commands = installs()
    assert len(commands) == 3
    for command in commands:
        assert "--no-deps" in command
        assert ("--require-hashes" in command and "--only-binary :all:" in command) or "--no-index" in command
    assert {name for command in commands for name in re.findall(r"requirements[\w-]*\.txt", command)} == {
        "requirements.txt",
        "requirements-build.txt",
    }


def test_the_version_on_the_label_is_the_programs(final: Stage) -> None:
    """Whoever builds need not tell."""
    assert f"VERSION={__version__}" in final.all_of("ARG")
    assert 'org.opencontainers.image.version="$VERSION"' in final.only("LABEL")


def test_it_is_nobody_by_number(final: Stage) -> None:
    """Kubernetes' runAsNonRoot needs a number; one this high is no account of the machine's."""
    user, _, group = final.only("USER").partition(":")
    assert int(user) == int(group) >= 10_000


def test_it_is_set_for_production_by_settings_that_exist(final: Stage) -> None:
    """All that is missing is the database."""
    environ = dict(pair.split("=", 1) for pair in shlex.split(final.only("ENV")))
    settings = load_settings({**environ, "SMP_DATABASE_URL": "postgresql://smp@db/smp"})
    assert (settings.environment, settings.host) == (Environment.PRODUCTION, "0.0.0.0")  # noqa: S104 - of the container


def test_it_is_asked_whether_it_lives_where_it_listens(final: Stage) -> None:
    """At the port that is set, by default the one that is exposed; with nothing but Python."""
    check = final.only("HEALTHCHECK")
    kind, *command = json.loads("[" + check.partition("CMD [")[2].rpartition("]")[0] + "]")
    assert (kind, command[0]) == ("python", "-I")
    assert f"'GET', '{next(iter(live.paths))}'" in command[-1]
    assert f"os.environ.get('SMP_PORT', '{DEFAULTS['SMP_PORT']}')" in command[-1]
    assert final.only("EXPOSE").split()[0] == str(DEFAULTS["SMP_PORT"])


def test_signals_reach_the_program(final: Stage) -> None:
    """It is started by itself, not by a shell, which would keep them."""
    assert (final.only("ENTRYPOINT"), final.only("CMD")) == ('["smp"]', '["serve"]')
    assert final.only("STOPSIGNAL") == "SIGTERM"


def test_the_builder_is_given_what_it_copies_and_nothing_else() -> None:
    """No secret, no data and no history can come into an image."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    given = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {
        source
        for stage in stages()
        for copy in stage.all_of("COPY")
        if not copy.startswith("--from=")
        for source in copy.split()[:-1]
    }
    assert given == copied
    assert all((ROOT / source).exists() for source in copied)


@pytest.fixture
def poor_machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with neither Docker nor podman."""
    for program in PROGRAMS:
        found = shutil.which(program)
        assert found is not None
        (tmp_path / program).symlink_to(found)
    return {"PATH": str(tmp_path), "HOME": str(tmp_path)}


def build(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "image.sh"], env=environ, capture_output=True, text=True, timeout=30, check=False
    )


def test_without_an_engine_it_is_said_what_to_install(poor_machine: dict[str, str]) -> None:
    """In one line; and nothing is installed behind anybody's back."""
    done = build(poor_machine)
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("image: no Docker daemon answers, and there is no podman mmdebstrap flock.")
    assert line.endswith("apt install podman runc mmdebstrap")


def test_the_pipeline_goes_on_where_no_image_can_be_built_at_all(poor_machine: dict[str, str]) -> None:
    """And says so."""
    done = build({**poor_machine, "UNLESS_IMPOSSIBLE": "1"})
    assert (done.returncode, done.stdout) == (0, "")
    reason, outcome = done.stderr.splitlines()
    assert reason.startswith("image: no Docker daemon answers")
    assert outcome == "image: not built on this machine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_a_build_machine_installs_what_is_missing_patiently(poor_machine: dict[str, str], tmp_path: Path) -> None:
    """Archives that do not answer are asked three times, then it is said."""
    for name in ("apt-get", "sleep"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> "$HOME/calls"\n[ {name} = sleep ]\n', encoding="utf-8")
        program.chmod(0o755)
    done = build({**poor_machine, "CI": "true"})
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "image: apt-get could not install podman runc mmdebstrap"
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert calls == ["apt-get update -qq", "sleep 5", "apt-get update -qq", "sleep 20", "apt-get update -qq"]
