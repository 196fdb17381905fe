"""The first line of a transfer file and its last, between which each line is a row."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from smp.application.transfer import Summary

FORMAT: Final = 1
"""Grows when a reader of the format before would get something wrong."""

_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Text = Annotated[str, Meta(min_length=1, max_length=100)]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="table", tag="smp-transfer"):
    """Line 1: which format this is, of which schema, by which version of SMP, and as of when."""

    format: int
    schema: _Text
    version: _Text
    exported_at: Annotated[datetime, Meta(tz=True)]


class Trailer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="table", tag="end"):
    """The last line: without it the file was cut."""

    rows: _Count
    counts: dict[str, _Count]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]

    def summary(self) -> Summary:
        """What it tells."""
        return Summary(self.rows, self.counts, self.sha256)


TRAILER_BEGINS: Final = b'{"table":"end",'
"""A last line is written so: it is told from a row without a look into each row."""

CHECKSUM_BEGINS: Final = b'"sha256":"'
"""The checksum is of all bytes of the file up to here."""
