"""The release on the code host."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from delivery import release
from delivery.failures import StepFailed
from delivery.programs import output

FILES: Final = Path("dist")


def publish(root: Path, repository: str, tag: str) -> str:
    """Make the tag's release of the repository (``owner/name``), with the changelog's words and all files of ``dist``.

    Answers where it is to be seen. A version such as 1.2.0rc1 is marked as one to try.

    Raises:
        StepFailed: the tag is not this source's, a file is missing, or there is such a release already.
    """
    version = release.check(root, tag)
    files = sorted(str(file) for file in (root / FILES).iterdir()) if (root / FILES).is_dir() else []
    for kind in (".whl", ".tar.gz", ".yaml"):
        if not any(file.endswith(kind) for file in files):
            raise StepFailed(f"{FILES} has no {kind}")
    return output(
        *("gh", "release", "create", tag, *files, "--repo", repository, "--verify-tag", "--title", tag),
        *("--notes", release.notes(root, version)),
        *([] if version.replace(".", "").isdigit() else ["--prerelease"]),
    )
