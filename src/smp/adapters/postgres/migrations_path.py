"""The location of the migrations."""

from __future__ import annotations

from pathlib import Path

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


def migrations_path() -> Path:
    """Return the folder with Alembic's ``env.py``: in an installed wheel, or else ``migrations`` of the repository.

    Raises:
        FileNotFoundError: if there is neither, because the installation is incomplete.
    """
    candidates = (_PACKAGE_ROOT / "_migrations", _PACKAGE_ROOT.parents[1] / "migrations")
    for folder in candidates:
        if folder.is_dir():
            return folder
    message = "there are no migrations at " + " or ".join(map(str, candidates))
    raise FileNotFoundError(message)
