"""A file that is complete or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give an empty file beside ``path`` that takes its place after the block, or is removed if the block fails.

    Only the owner may read it. A process that is killed leaves it behind, with a name that ends in ``.partial``.

    Raises:
        OSError: if the file cannot be made, with its name.
    """
    folder = path.absolute().parent
    # mkstemp makes it with mode 0600.
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=folder)
    os.close(number)
    draft = Path(name)
    try:
        yield draft
        _sync(draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync(folder)  # the name survives a power cut as the content does


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
