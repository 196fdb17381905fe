"""Create the passwords of an installation of compose.yaml; existing ones stay: ``python make_secrets.py FOLDER``.

Each folder in FOLDER is a volume that only the containers mount that need its secret. Every account may read the
files, because each container uses another account.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Final

RANDOM_BYTES: Final = 32


def main(folder: Path) -> None:
    """Create the files that are missing."""
    password = kept(folder / "database" / "password", secrets.token_urlsafe(RANDOM_BYTES))
    kept(folder / "database" / "url", f"postgresql://smp:{password}@postgres:5432/smp")
    kept(folder / "admin" / "password", secrets.token_urlsafe(RANDOM_BYTES))
    kept(folder / "grafana" / "password", secrets.token_urlsafe(RANDOM_BYTES))


def kept(file: Path, new: str) -> str:
    """Return the content of the file, after writing ``new`` if it is missing. A file is never written in part."""
    if not file.exists():
        draft = file.with_suffix(".new")
        with draft.open("w", encoding="ascii") as words:
            words.write(new)
            os.fchmod(words.fileno(), 0o444)
            words.flush()
            os.fsync(words.fileno())
        draft.replace(file)
    return file.read_text(encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
