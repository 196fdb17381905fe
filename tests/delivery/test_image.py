"""The rules of Dockerfile, .dockerignore and scripts/image.sh; image_checks.py tests the image itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest

from smp import __version__

ROOT: Final = Path(__file__).parents[2]
COMMENTS: Final = re.compile(r"(?m)^\s*#.*\n")
DOCKERFILE: Final = re.sub(r"\\\n\s*", " ", COMMENTS.sub("", (ROOT / "Dockerfile").read_text(encoding="utf-8")))


def instructions(kind: str) -> list[str]:
    """Return the arguments of all instructions of this kind."""
    return re.findall(rf"(?m)^{kind} (.*)$", DOCKERFILE)


def test_the_base_is_pinned_in_one_place_and_has_a_supported_python() -> None:
    base, *others = instructions("FROM")
    found = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64} AS base", base)
    assert found
    assert all(other.split()[0] in {"base", "requirements"} for other in others)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"Programming Language :: Python :: {found[1]}" in project["classifiers"]


def test_every_package_is_installed_by_its_hash_or_built_in_the_image() -> None:
    commands = [command for run in instructions("RUN") for command in run.split("&&")]
    commands = [command for command in commands if re.search(r"pip\b.* install ", command)]
    assert len(commands) == 3
    for command in commands:
        assert "--no-deps" in command
        assert "--no-index" in command or ("--require-hashes" in command and "--only-binary :all:" in command)


def test_the_label_has_the_version_of_the_program() -> None:
    assert f"VERSION={__version__}" in instructions("ARG")


def test_the_builder_gets_only_the_files_that_it_copies() -> None:
    """So that no secret, no data and no history can get into an image."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    copied = {source for copy in instructions("COPY") if "--from=" not in copy for source in copy.split()[:-1]}
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)


def build_without_an_engine(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the script on a machine that has neither Docker nor podman."""
    for program in ("sh", "cat", "cut", "dirname", "id", "mktemp", "rm", "sed"):
        (folder / program).symlink_to(str(shutil.which(program)))
    environ = {"PATH": str(folder), "HOME": str(folder), **environ}
    return subprocess.run(
        [ROOT / "scripts" / "image.sh"], env=environ, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize(("environ", "code"), [({}, 3), ({"UNLESS_IMPOSSIBLE": "1"}, 0)])
def test_without_docker_and_podman_the_build_says_what_to_install(
    tmp_path: Path, environ: dict[str, str], code: int
) -> None:
    """It installs nothing. The pipeline accepts that a machine cannot build an image."""
    done = build_without_an_engine(tmp_path, **environ)
    assert (done.returncode, done.stdout) == (code, "")
    reason, *outcome = done.stderr.splitlines()
    assert reason.startswith("image: no Docker daemon answers")
    assert "these programs are missing: podman mmdebstrap flock." in reason
    assert reason.endswith("apt install podman runc mmdebstrap")
    assert outcome == ([] if code else ["image: not built on this machine"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_a_build_machine_tries_three_times_to_install_what_is_missing(tmp_path: Path) -> None:
    for name in ("apt-get", "sleep"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> "$HOME/calls"\n[ {name} = sleep ]\n', encoding="utf-8")
        program.chmod(0o755)
    done = build_without_an_engine(tmp_path, CI="true")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "image: apt-get could not install podman runc mmdebstrap"
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert calls == ["apt-get update -qq", "sleep 5", "apt-get update -qq", "sleep 20", "apt-get update -qq"]
