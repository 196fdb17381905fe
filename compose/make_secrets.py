"""Make the passwords of an installation of compose.yaml, each once: what is there stays.

`python make_secrets.py FOLDER`; the standard library is all it needs. Each folder in FOLDER is a volume of its own,
which only the containers have that may know what is in it; in there every account may read, for each container has
another.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Final

RANDOM_BYTES: Final = 32


def main(folder: Path) -> None:
    """Make what is missing in the folders of ``folder``."""
    password = kept(folder / "database" / "password", secrets.token_urlsafe(RANDOM_BYTES))
    kept(folder / "database" / "url", f"postgresql://smp:{password}@postgres:5432/smp")
    kept(folder / "admin" / "password", secrets.token_urlsafe(RANDOM_BYTES))
    kept(folder / "grafana" / "password", secrets.token_urlsafe(RANDOM_BYTES))


def kept(file: Path, new: str) -> str:
    """What the file holds, ``new`` where there was none; a file is there whole or not at all."""
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
