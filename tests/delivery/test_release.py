"""The steps of a release: version and changelog agree, and the image from staging is the one that is released."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from smp import __version__
from tests.support.programs import Programs

ROOT: Final = Path(__file__).parents[2]

CHANGELOG: Final = """# Changelog

## 1.3.0 (unreleased)

- Later.

## 1.2.0 (2026-02-28)

The second.

- One thing.

## 1.1.0 (2026-01-31)

## 1.0.0rc1 (2026-01-01)

- Try it.
"""

NAME: Final = "registry.example.com/acme/smp"
DIGEST: Final = "sha256:" + "ab" * 32
OTHER: Final = "sha256:" + "cd" * 32
COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"
PROMOTE: Final = ("promote", NAME, "acme/smp", COMMIT)


class Source:
    """A source tree of version 1.2.0 with the release script, and stand-ins for the programs that it calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "release.sh", folder / "scripts")
        (folder / "src" / "smp").mkdir(parents=True)
        self.set_version("1.2.0")
        (folder / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
        (folder / "dist").mkdir()
        for name in ("smp-1.2.0.tar.gz", "smp-1.2.0-py3-none-any.whl", "smp-production.yaml"):
            (folder / "dist" / name).touch()
        (folder / "bin").mkdir()
        self.programs = Programs(folder / "bin")

    def set_version(self, version: str) -> None:
        (self.folder / "src" / "smp" / "__init__.py").write_text(f'__version__ = "{version}"\n', encoding="utf-8")

    def put_into_registry(self, tag: str, digest: str) -> None:
        self.programs.answer("docker", "inspect", f"{NAME}:{tag}", output=digest + "\n")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "scripts" / "release.sh", *arguments],
            env={"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


# --- version and changelog --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "tag", "error"),
    [
        ("1.2.0", "v1.2.0", ""),
        ("1.0.0rc1", "v1.0.0rc1", ""),
        ("1.2.0", "v1.2.1", "the source is 1.2.0: tag v1.2.0"),
        ("1.2.0", "1.2.0", "the source is 1.2.0: tag v1.2.0"),
        ("1.3.0", "v1.3.0", "write ## 1.3.0 (YYYY-MM-DD)"),
        ("1.4.0", "v1.4.0", "no entry for 1.4.0"),
        ("1.1.0", "v1.1.0", "no entry for 1.1.0"),
        ("1.2", "v1.2", "no version of the form"),
    ],
)
def test_a_tag_is_released_only_if_it_is_this_version_with_a_dated_changelog_entry(
    source: Source, version: str, tag: str, error: str
) -> None:
    source.set_version(version)
    done = source.run("check", tag)
    assert (done.returncode == 0) is (error == "")
    assert error in done.stderr


def test_the_release_notes_are_the_changelog_entry_of_the_version(source: Source) -> None:
    assert source.run("notes").stdout == "The second.\n\n- One thing.\n"


def test_the_changelog_has_an_entry_for_the_current_version() -> None:
    done = subprocess.run([ROOT / "scripts" / "release.sh", "notes"], capture_output=True, check=False)
    assert done.returncode == 0
    headings = re.findall(r"(?m)^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert headings[0].startswith(f"{__version__} (")
    assert all(re.fullmatch(r"\d+\.\d+\.\d+\S* \((unreleased|\d{4}-\d{2}-\d{2})\)", heading) for heading in headings)


def test_wrong_arguments_are_an_error(source: Source) -> None:
    for arguments in ((), ("check",), ("promote", NAME), ("fail", "x"), ("notes", "1.2.0")):
        assert "usage: " in source.run(*arguments).stderr


# --- the image --------------------------------------------------------------------------------------------------------


def test_the_image_of_the_commit_is_tagged_only_after_its_provenance_is_verified(source: Source) -> None:
    source.put_into_registry(COMMIT, DIGEST)
    source.put_into_registry("1.2.0", DIGEST)
    source.programs.answer("docker", "create")
    source.programs.answer("gh", "attestation", "verify", output="verified")
    done = source.run(*PROMOTE)
    assert done.stdout == f"{NAME}@{DIGEST}\n", done.stderr
    calls = [" ".join(call) for call in source.programs.calls()]
    (verified,) = [number for number, call in enumerate(calls) if call.startswith("gh attestation verify")]
    (tagged,) = [number for number, call in enumerate(calls) if " create " in call]
    assert verified < tagged
    assert calls[tagged] == f"docker buildx imagetools create --tag {NAME}:1.2.0 {NAME}@{DIGEST}"
    for condition in (
        f"oci://{NAME}@{DIGEST} --repo acme/smp",
        "--signer-workflow acme/smp/.github/workflows/main.yml",
        f"--source-ref refs/heads/main --source-digest {COMMIT}",
        "--deny-self-hosted-runners",
    ):
        assert condition in calls[verified]


@pytest.mark.parametrize(
    ("built", "tagged", "gh_code", "error"),
    [
        (DIGEST, DIGEST, 1, f"was not built from {COMMIT} by the main workflow"),
        (None, DIGEST, 0, f"the registry has no {NAME}:{COMMIT}"),
        ("latest", DIGEST, 0, "the registry returned no digest"),
        (DIGEST, OTHER, 0, f"is {OTHER} in the registry, not {DIGEST}"),
    ],
    ids=["other-provenance", "never-built", "no-digest", "tag-of-another-image"],
)
def test_any_other_image_is_not_released(
    source: Source, built: str | None, tagged: str, gh_code: int, error: str
) -> None:
    source.programs.answer("docker", "inspect", f"{NAME}:{COMMIT}", output=built or "", code=built is None)
    source.put_into_registry("1.2.0", tagged)
    source.programs.answer("docker", "create")
    source.programs.answer("gh", "attestation", "verify", code=gh_code)
    done = source.run(*PROMOTE)
    assert (done.returncode, done.stdout) == (1, "")
    assert error in done.stderr
    assert tagged == OTHER or not [call for call in source.programs.calls() if "create" in call]


# --- the release ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.2.0", "1.0.0rc1"])
def test_a_release_has_the_changelog_entry_and_all_files_and_a_candidate_is_a_prerelease(
    source: Source, version: str
) -> None:
    source.set_version(version)
    source.programs.answer("gh", "release", "create")
    assert source.run("publish", "acme/smp", f"v{version}").returncode == 0
    (call,) = source.programs.calls()
    assert {*call} >= {"--verify-tag", *(f"dist/{file.name}" for file in (source.folder / "dist").iterdir())}
    assert call[call.index("--notes") + 1] == source.run("notes").stdout.strip()
    assert ("--prerelease" in call) is (version != "1.2.0")


@pytest.mark.parametrize("missing", ["*.whl", "*.tar.gz", "*.yaml"])
def test_a_release_with_a_missing_file_is_not_published(source: Source, missing: str) -> None:
    for file in (source.folder / "dist").glob(missing):
        file.unlink()
    assert f"dist has no {missing.removeprefix('*')} file" in source.run("publish", "acme/smp", "v1.2.0").stderr
    assert source.programs.calls() == []


def test_the_credentials_of_the_cluster_are_in_a_private_file_only_during_the_rollout(tmp_path: Path) -> None:
    seen, kubectl = tmp_path / "seen", tmp_path / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\nexec > {seen}\necho "$KUBECONFIG"\nls -l "$KUBECONFIG" | cut -c 1-10\ncat "$KUBECONFIG"\nexit 1\n'
    )
    kubectl.chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "KUBE_CONFIG": "clusters: []\nusers: [secret]",
        "OVERLAY": "dev",
        "IMAGE": f"{NAME}@{DIGEST}",
    }
    done = subprocess.run(
        ["make", "rollout"], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    file, mode, *content = seen.read_text().splitlines()
    assert (mode, content) == ("-rw-------", ["clusters: []", "users: [secret]"])
    assert not Path(file).exists()
    assert "secret" not in done.stdout + done.stderr
