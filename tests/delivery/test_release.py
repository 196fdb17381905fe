"""From a tag to a release: version and changelog agree, and the image that was tried is the one that is released."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from delivery import images, manifests, publication, release
from delivery.__main__ import main
from delivery.failures import StepFailed
from delivery.images import Image
from smp import __version__
from tests.support.programs import Programs

ROOT: Final = Path(__file__).parents[2]

CHANGELOG: Final = """# Changelog

Words before.

## 1.3.0 (unreleased)

- Later.

## 1.2.0 (2026-02-28)

The second.

- One thing.
- Another, see [here](docs/time.md).

## 1.1.0 (2026-01-31)

- First.
"""

NAME: Final = "registry.example.com/acme/smp"
DIGEST: Final = "sha256:" + "ab" * 32
OTHER: Final = "sha256:" + "cd" * 32
COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source tree of version 1.2.0."""
    (tmp_path / "src" / "smp").mkdir(parents=True)
    write_version(tmp_path, "1.2.0")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    return tmp_path


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Stand-ins before everything else on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return Programs(folder)


def write_version(root: Path, version: str) -> None:
    (root / "src" / "smp" / "__init__.py").write_text(f'"""It."""\n\n__version__ = "{version}"\n', encoding="utf-8")


# --- version and changelog --------------------------------------------------------------------------------------------


def test_the_tag_of_this_version_with_its_date_is_released(source: Path) -> None:
    assert release.check(source, "v1.2.0") == "1.2.0"


@pytest.mark.parametrize(
    ("version", "tag", "why"),
    [
        ("1.2.0", "v1.2.1", "the source is 1.2.0: tag v1.2.0"),
        ("1.2.0", "1.2.0", "the source is 1.2.0: tag v1.2.0"),
        ("1.3.0", "v1.3.0", r"write the day of the release, ## 1\.3\.0"),
        ("1.4.0", "v1.4.0", r"no heading ## 1\.4\.0"),
        ("1.2", "v1.2", "has no line of the form"),
    ],
    ids=["another-version", "no-v", "not-dated", "not-in-the-changelog", "not-a-version"],
)
def test_any_other_is_refused(source: Path, version: str, tag: str, why: str) -> None:
    write_version(source, version)
    with pytest.raises(StepFailed, match=why):
        release.check(source, tag)


def test_the_notes_are_what_stands_under_the_heading(source: Path) -> None:
    assert release.notes(source, "1.2.0") == "The second.\n\n- One thing.\n- Another, see [here](docs/time.md)."
    assert release.notes(source, "1.1.0") == "- First."


def test_a_version_of_which_nothing_is_said_is_not_released(source: Path) -> None:
    (source / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0 (2026-02-28)\n\n## 1.1.0 (2026-01-31)\n\n- First.\n")
    with pytest.raises(StepFailed, match=r"says nothing about 1\.2\.0"):
        release.check(source, "v1.2.0")


def test_our_own_changelog_tells_of_our_version(capsys: pytest.CaptureFixture[str]) -> None:
    """With a date or, until the day of the release, as unreleased."""
    assert release.version(ROOT) == __version__
    assert main(["notes"]) == 0
    assert capsys.readouterr().out.strip() == release.notes(ROOT, __version__)
    headings = re.findall(r"(?m)^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert all(re.fullmatch(r"\d+\.\d+\.\d+\S* \((unreleased|\d{4}-\d{2}-\d{2})\)", heading) for heading in headings)


def test_a_step_that_cannot_go_on_says_why_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-tag", "v0.0.0"]) == 1
    assert capsys.readouterr().err.startswith("delivery: the tag is v0.0.0, but the source is ")


# --- the image --------------------------------------------------------------------------------------------------------


def registry_has(programs: Programs, tag: str, digest: str) -> None:
    programs.answer("docker", "inspect", f"{NAME}:{tag}", output=digest + "\n")


def test_the_image_of_the_commit_gets_the_version_after_its_origin_was_verified(programs: Programs) -> None:
    registry_has(programs, COMMIT, DIGEST)
    registry_has(programs, "1.2.0", DIGEST)
    programs.answer("docker", "create")
    programs.answer("gh", "attestation", "verify")
    assert str(images.promote(NAME, "acme/smp", COMMIT, "1.2.0")) == f"{NAME}@{DIGEST}"
    inspect = ["docker", "buildx", "imagetools", "inspect"]
    assert programs.calls() == [
        [*inspect, f"{NAME}:{COMMIT}", "--format", "{{.Manifest.Digest}}"],
        [
            *("gh", "attestation", "verify", f"oci://{NAME}@{DIGEST}", "--repo", "acme/smp"),
            *("--signer-workflow", "acme/smp/.github/workflows/main.yml", "--source-ref", "refs/heads/main"),
            *("--source-digest", COMMIT, "--deny-self-hosted-runners"),
        ],
        ["docker", "buildx", "imagetools", "create", "--tag", f"{NAME}:1.2.0", f"{NAME}@{DIGEST}"],
        [*inspect, f"{NAME}:1.2.0", "--format", "{{.Manifest.Digest}}"],
    ]


def test_an_image_of_another_origin_gets_no_version(programs: Programs) -> None:
    registry_has(programs, COMMIT, DIGEST)
    programs.answer("gh", "attestation", "verify", code=1)
    with pytest.raises(StepFailed, match="exit code 1: gh attestation verify"):
        images.promote(NAME, "acme/smp", COMMIT, "1.2.0")
    assert [call for call in programs.calls() if "create" in call] == []


def test_a_commit_that_was_never_built_is_not_released(programs: Programs) -> None:
    programs.answer("docker", "inspect", code=1)
    with pytest.raises(StepFailed, match=f"exit code 1: .*{COMMIT}"):
        images.promote(NAME, "acme/smp", COMMIT, "1.2.0")


def test_a_registry_that_answers_no_digest_is_not_believed(programs: Programs) -> None:
    registry_has(programs, COMMIT, "latest")
    with pytest.raises(StepFailed, match="answers no digest"):
        images.promote(NAME, "acme/smp", COMMIT, "1.2.0")


def test_a_tag_that_names_another_image_afterwards_is_an_error(programs: Programs) -> None:
    registry_has(programs, COMMIT, DIGEST)
    registry_has(programs, "1.2.0", OTHER)
    programs.answer("docker", "create")
    programs.answer("gh", "attestation", "verify")
    with pytest.raises(StepFailed, match=f"is {OTHER} in the registry"):
        images.promote(NAME, "acme/smp", COMMIT, "1.2.0")


def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepFailed, match="docker is not on the PATH"):
        images.promote(NAME, "acme/smp", COMMIT, "1.2.0")


@pytest.mark.parametrize("reference", [NAME, f"{NAME}:1.2.0", f"{NAME}@sha256:ab", f"@{DIGEST}", f"{NAME}@{DIGEST}0"])
def test_an_image_is_named_by_its_digest(reference: str) -> None:
    with pytest.raises(StepFailed, match="named by its digest"):
        Image.parse(reference)


# --- the manifests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overlay", "named"), [("    newTag: dev", "smp"), (f"    newName: {NAME}-old\n    newTag: '1'", f"{NAME}-old")]
)
def test_the_overlays_image_is_replaced_by_the_released_one(
    tmp_path: Path, programs: Programs, overlay: str, named: str
) -> None:
    """Under the name that the overlay has given it; and the folder that does it is gone afterwards."""
    folder = tmp_path / "k8s" / "overlays" / "production"
    folder.mkdir(parents=True)
    (folder / "kustomization.yaml").write_text(f"images:\n  - name: smp\n{overlay}\n")
    image = Image(NAME, DIGEST)
    # kubectl reads the folder that is its last argument; so does this one.
    (programs.folder / "kubectl").write_text(f'#!/bin/sh\ncat "$2/kustomization.yaml"; echo "image: {image}"\n')
    (programs.folder / "kubectl").chmod(0o755)
    assert manifests.render(tmp_path, "production", image) == (
        f"resources: [../production]\nimages:\n  - name: {named}\n    newName: {NAME}\n    digest: {DIGEST}\n"
        f"image: {image}\n"
    )
    assert [each.name for each in folder.parent.iterdir()] == ["production"]


def test_manifests_without_the_image_are_not_released(tmp_path: Path, programs: Programs) -> None:
    folder = tmp_path / "k8s" / "overlays" / "production"
    folder.mkdir(parents=True)
    (folder / "kustomization.yaml").write_text("resources: []\n")
    programs.answer("kubectl", "kustomize", output=f"image: {NAME}@{OTHER}\n")
    with pytest.raises(StepFailed, match="nothing in production uses"):
        manifests.render(tmp_path, "production", Image(NAME, DIGEST))


def test_an_overlay_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="no overlay moon"):
        manifests.render(tmp_path, "moon", Image(NAME, DIGEST))


def test_the_overlays_of_this_repository_are_rendered_with_it() -> None:
    """By the real kubectl, where there is one: every pod of ours runs the image, and nothing else has its name."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on the PATH")
    image = Image(NAME, DIGEST)
    for overlay, count in [("dev", 3), ("production", 3)]:
        rendered = manifests.render(ROOT, overlay, image)
        used = re.findall(r"(?m)^ +(?:- )?image: (\S+)$", rendered)
        assert used.count(str(image)) == count
        assert [each for each in used if "smp" in each and each != str(image)] == []


# --- the cluster ------------------------------------------------------------------------------------------------------


def test_the_clusters_credentials_are_in_a_file_only_while_they_are_used(tmp_path: Path, programs: Programs) -> None:
    """Which is ours alone, and gone even where the roll-out fails."""
    seen = tmp_path / "seen"
    (programs.folder / "kubectl").write_text(
        f'#!/bin/sh\nexec > {seen}\necho "$KUBECONFIG"\nls -l "$KUBECONFIG" | cut -c 1-10\ncat "$KUBECONFIG"\nexit 1\n'
    )
    (programs.folder / "kubectl").chmod(0o755)
    environ = {
        **os.environ,
        "KUBE_CONFIG": "clusters: []\nusers: [secret]",
        "OVERLAY": "dev",
        "IMAGE": f"{NAME}@{DIGEST}",
    }
    done = subprocess.run(
        ["make", "rollout"], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    file, mode, *content = seen.read_text().splitlines()
    assert mode == "-rw-------"
    assert content == ["clusters: []", "users: [secret]"]
    assert not Path(file).exists()
    assert "secret" not in done.stdout + done.stderr


# --- the release ------------------------------------------------------------------------------------------------------


@pytest.fixture
def built(source: Path) -> Path:
    """The source of 1.2.0 with everything that a release is made of."""
    (source / "dist").mkdir()
    for name in ("smp-1.2.0.tar.gz", "smp-1.2.0-py3-none-any.whl", "smp-dev.yaml", "smp-production.yaml"):
        (source / "dist" / name).touch()
    return source


def test_the_release_has_the_changelogs_words_and_all_files(built: Path, programs: Programs) -> None:
    programs.answer("gh", "release", "create", output="https://code.example.com/acme/smp/releases/v1.2.0\n")
    assert publication.publish(built, "acme/smp", "v1.2.0").endswith("/releases/v1.2.0")
    (call,) = programs.calls()
    files = [str(built / "dist" / name) for name in sorted(path.name for path in (built / "dist").iterdir())]
    assert len(files) == 4
    assert call == [
        *("gh", "release", "create", "v1.2.0", *files, "--repo", "acme/smp", "--verify-tag", "--title", "v1.2.0"),
        *("--notes", release.notes(built, "1.2.0")),
    ]


def test_a_version_to_try_is_marked_as_one(built: Path, programs: Programs) -> None:
    write_version(built, "1.2.0rc1")
    (built / "CHANGELOG.md").write_text("## 1.2.0rc1 (2026-02-27)\n\n- Try it.\n")
    programs.answer("gh", "release", "create")
    publication.publish(built, "acme/smp", "v1.2.0rc1")
    assert programs.calls()[0][-1] == "--prerelease"


@pytest.mark.parametrize("missing", ["*.whl", "*.tar.gz", "*.yaml"])
def test_a_release_lacks_nothing(built: Path, programs: Programs, missing: str) -> None:
    for file in (built / "dist").glob(missing):
        file.unlink()
    with pytest.raises(StepFailed, match="dist has no"):
        publication.publish(built, "acme/smp", "v1.2.0")
    assert programs.calls() == []
