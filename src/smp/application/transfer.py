"""Moving all data from one database to another, as ``smp export`` and ``smp import`` do.

What is said here is shared by the file (``adapters/transfer_file``) and the storage (``adapters/postgres``), which know
nothing of each other. No rule of the business is involved: rows are moved as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LINE_BYTES_MAX: Final = 1_048_576
"""For one row as JSON. The widest is a kept answer; a request body has 64 KiB at most, and its answer not much more."""

Counts = Mapping[str, int]
"""How many rows of each kind, in the order of the file."""


class TransferRefused(Exception):
    """The file, or the database that it was to go into, is not as it must be; the message says where and why.

    Nothing of the batch at hand was written; of an import, nothing at all was where the file itself is at fault.
    """


@dataclass(frozen=True, slots=True)
class Summary:
    """What a transfer file holds, as its last line tells it."""

    lines: int
    """Rows: the first line of the file and the last are none."""
    counts: Counts
    sha256: str
    """Of all that stands before it in the file, in hexadecimal: by it an import knows its file again."""


class Stage(StrEnum):
    """What a transfer is at."""

    READING = "reading"
    CHECKING = "checking"
    WRITING = "writing"
    COMPARING = "comparing"


Progress = Callable[[Stage, int, int], None]
"""Hears how many rows or bytes are done, of how many."""
