"""The machine's clock."""

from __future__ import annotations

from datetime import UTC, datetime


def machine_time() -> datetime:
    """Return the present instant by the machine's clock, aware and in UTC, to the microsecond."""
    return datetime.now(UTC)
