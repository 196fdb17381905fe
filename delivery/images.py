"""Images in a registry: named by digest, and only those that our own workflow has made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from delivery.failures import StepFailed
from delivery.programs import output

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")

BUILDER: Final = ".github/workflows/main.yml"
"""The workflow whose signature an image needs to be released."""

BRANCH: Final = "refs/heads/main"


@dataclass(frozen=True, slots=True)
class Image:
    """``name`` is the registry's host and the path, with neither tag nor digest."""

    name: str
    digest: str

    @staticmethod
    def parse(reference: str) -> Image:
        """Of the form ``name@sha256:…``. Raises StepFailed for any other: a tag may name another image tomorrow."""
        name, _, digest = reference.partition("@")
        if not name or not _DIGEST.fullmatch(digest):
            raise StepFailed(f"an image is named by its digest, NAME@sha256:…, not {reference!r}")
        return Image(name, digest)

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}"


def promote(name: str, repository: str, commit: str, version: str) -> Image:
    """Give the image that was built of ``commit`` the version for a tag; nothing is built again.

    The image is the one that ran in staging, bit by bit. Its provenance is verified first: signed by ``BUILDER`` of
    ``repository`` (``owner/name``), on a machine of the host's, of this very commit on the main branch.

    Raises:
        StepFailed: there is no image of this commit, it is not verified, or the tag is another image's already.
    """
    built = Image(name, _digest(f"{name}:{commit}"))
    output(
        *("gh", "attestation", "verify", f"oci://{built}", "--repo", repository),
        *("--signer-workflow", f"{repository}/{BUILDER}", "--source-ref", BRANCH, "--source-digest", commit),
        "--deny-self-hosted-runners",
    )
    output("docker", "buildx", "imagetools", "create", "--tag", f"{name}:{version}", str(built))
    tagged = _digest(f"{name}:{version}")
    if tagged != built.digest:
        raise StepFailed(f"{name}:{version} is {tagged} in the registry, and not {built.digest}")
    return built


def _digest(tagged: str) -> str:
    """The digest of what the registry has under the tag."""
    found = output("docker", "buildx", "imagetools", "inspect", tagged, "--format", "{{.Manifest.Digest}}")
    if not _DIGEST.fullmatch(found):
        raise StepFailed(f"the registry answers no digest for {tagged}: {found!r}")
    return found
